"""From a prediction to the tag on disk, and back.

It combines policy, journal and tags: `writer.py` writes one file, `undo.py` undoes a change of one
that `moved.py` finds if it is elsewhere by now. `by_hand.py` writes what a person chose, and
`edits.py` reads what a person edited in a report, in whichever encoding (`encodings.py`) and with
letters that were lost (`lost_names.py`). May use `genres`, `files`, `state`, `report`, `tags` and
`models`. Start reading in `writer.py`.
"""
