"""Labels and genres, as values.

`labels.py` knows how genres are spelled, `vocabulary.py` the user's own rules; `separators.py`
splits a value of a tag that holds several, and `placeholders.py` knows the names that mean none.
`ranking.py` turns a prediction into genres, which `albums.py` averages over albums; `policy.py`
decides which of them are written, and `provenance.py` makes the note that says we wrote them. Pure:
the only files it reads are those with the user's rules. May use `types` and `errors` only. Start
reading in `policy.py`.
"""
