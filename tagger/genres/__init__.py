"""Labels and genres, as values.

Here are: how genres are spelled (`labels.py`), the user's own rules (`vocabulary.py`), which genres
a prediction gives (`ranking.py`, averaged over albums in `albums.py`), which of them are written
(`policy.py`), and the note that says we wrote them (`provenance.py`). Pure: the only files it reads
are those with the user's rules. May use `types` and `errors` only. Start reading in `policy.py`.
"""
