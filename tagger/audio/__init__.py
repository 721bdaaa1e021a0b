"""From a path to the windows of a track.

`windows` places them, `decoders` and `pyav` decode, `mixing` mixes channels, `reader` tries the
decoders in turn; `isolated` reads one track, and `pool` many, in child processes. `id3` finds where
the audio starts, `musepack` how long it is. It may use `files`, and knows nothing of tags. Start reading in `reader.py`.
"""
