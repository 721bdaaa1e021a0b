"""From tracks to predictions.

Which windows are read next, batches across tracks, and the mean over a track's windows. It may use
`audio` and `models`. Begin reading in `predict.py`.
"""
