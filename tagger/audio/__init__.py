"""From a path to the windows of a track.

`windows` places them, `decoders` and `pyav` decode, `reader` tries the decoders in turn, and `pool`
reads many tracks in child processes. It may use `files`, and knows nothing of tags. Start reading
in `reader.py`.
"""
