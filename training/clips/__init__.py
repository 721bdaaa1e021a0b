"""Labelled clips: where they are, how they are split into parts, and their decoded audio.

May use `options`, `errors` and the tagger. Start reading in `find.py`: `walk` lists
the files, `tree` and `tables` say what their folders or a table mean, `artists` reads their tags.
`splits` has the splits, `draws` how they are drawn, `groups` which clips stay together, `stored`
the list beside a checkpoint.
"""
