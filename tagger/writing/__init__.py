"""From a prediction to the tag on disk, and back.

Here policy, journal and tags meet: writing one file (`writer.py`), undoing a change (`undo.py`),
and reading what a person edited in a report (`edits.py`). May use `genres`, `files`, `state`,
`report`, `tags` and `models`. Start reading in `writer.py`.
"""
