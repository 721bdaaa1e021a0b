"""The genre of one file, in every container.

Reading it, writing it, and the proof that nothing else changed. It may use `audio` and `files`.
Begin reading in `genre_tag.py`; `formats.py` has a row per container.
"""
