"""What each command does, one module per command; the only place where all packages meet.

It may use every package but `cli`. Begin with `tag_library` in `tag.py`, which is a whole run;
`tracks.py` holds the tracks of a run, `pending.py` predicts those without a stored prediction.
"""
