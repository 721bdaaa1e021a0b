"""What each command does, one module per command; the only place where all packages meet.

It may use every package but `cli`. Begin with `tag_library` in `tag.py`, the walk of a whole run;
`tracks.py` holds the tracks of a run, `pending.py` predicts those that are not known yet.
"""
