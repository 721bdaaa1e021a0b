"""What is stored between runs, in one SQLite file.

`database.py` opens the file and has its tables and migrations; `journal.py` keeps the journal of
tag changes, which makes undo possible; `store.py` keeps predictions, failures and tags as they
were read. May use `types` and `errors` only. Start reading in `store.py`.
"""
