"""Augmentation: random changes of the music that a network learns from.

May use the tagger only. Start reading in `waveforms.py`.
"""
