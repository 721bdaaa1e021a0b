"""Labelled clips: where they are, how they are split into parts, and their decoded audio.

May use `options`, `errors` and the tagger. Start reading in `find.py`.
"""
