"""What is remembered between runs, in one SQLite file.

Here are: the file itself, its tables and migrations (`database.py`); the journal of tag changes,
which makes undo possible (`journal.py`); and predictions, failures and tags as they were read
(`store.py`). May use `types` and `errors` only. Start reading in `store.py`.
"""
