"""The genre of one file, in every container: reading, writing, proof that nothing else changed.

It may use `audio`, `files` and `genres`. Start with `genre_tag.py`, the functions that other
packages call; `isolated.py` runs those that read in a child process. `formats.py` has a row for
each family of containers, `fields.py` reads and writes the fields of each kind of tag,
`new_fields.py` says what a write puts there, `verify.py` compares everything that must not change,
and `rehearse.py` does all this in memory, for a dry run.
"""
