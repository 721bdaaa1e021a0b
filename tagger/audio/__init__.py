"""From a path to the windows of a track.

`windows` says where they lie, `decoders` and `pyav` decode, `reader` tries one decoder after the
other, and `pool` does so for many tracks in child processes. It may use `files`, and knows nothing
of tags. Begin reading in `reader.py`.
"""
