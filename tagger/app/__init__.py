"""What each command does, one module per command; the only place where all packages meet.

It may use every package but `cli` and `integrations`. Begin with `tag_library` in `tag.py`, which
is a whole run: `tracks.py` holds its tracks, `pending.py` predicts those without a stored
prediction, `results.py` averages over albums and models, `summary.py` counts, and `news.py` knows
what the last run reported. `given.py` decides for another program that keeps the tags.
"""
