"""From a prediction to the tag on disk, and back.

It combines policy, journal and tags: `writer.py` writes one file, `undo.py` undoes a change, and
`edits.py` reads what a person edited in a report. May use `genres`, `files`, `state`, `report`,
`tags` and `models`. Start reading in `writer.py`.
"""
