"""The genre of one file, in every container: read, written, and proof that nothing else changed.

It may use `audio`, `files` and `genres`. Start with `genre_tag.py`, the functions that others call;
`isolated.py` runs the readers among them in a child process. `formats.py` has a row for each family
of containers, `fields.py` reads and writes the fields of each kind of tag, and `verify.py` compares
what must not change.
"""
