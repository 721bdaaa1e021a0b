"""What is stored between runs, in one SQLite file.

`database.py` opens the file, `migrations.py` has its tables; `journal.py` keeps the journal of
tag changes, which makes undo possible, with the fields as `stored_fields.py` writes them;
`decisions.py` keeps what a person decided; `recognition.py` finds what is known about a file that
changed its path, size or time; `store.py` keeps predictions, failures and tags as they were read;
`glance.py` reads the file for completion in a shell.
May use `files`, `types` and `errors`. Start reading in `store.py`.
"""
