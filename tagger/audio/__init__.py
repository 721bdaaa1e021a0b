"""From a path to the windows of a track.

`windows` places them, `decoders` and `pyav` decode, `joined` reads files that consist of several,
`sequential` those in which nothing can be sought, `frames` joins what FFmpeg decodes, `mixing`
mixes channels, `samples` resamples, `levels` says what is silence, and `reader` tries the decoders
in turn; `isolated` reads one track, and `pool` many, in child processes. `id3` and `extent` find
where the audio starts and ends, `musepack` how long it is, and `examine` says whether a file is as
long as its header says. `uncompressed` corrects the sizes of WAV, AIFF and their relatives by
`chunks`; `coded` tells a coded stream from PCM, and `carrier` decodes it. It may use `files`, and
knows nothing of tags. Start reading in `reader.py`.
"""
