"""From a path to the windows of a track. It may use `files`, and knows nothing of tags.

Start reading in `reader`. CONTRIBUTING.md says in "A file to its length" how the modules of the
last two groups work together.

Windows: `reader` tries the decoders in turn; `isolated` reads one track, and `pool` many, in child
processes. `windows` places the windows, `samples` reads one at the rate of the model, and `levels`
says what is silence.

Sources, which give the samples from any place: `decoders` has their interface, those of libsndfile
and of the FFmpeg program, and the choice among the sources that use FFmpeg's libraries. These are
`pyav`, which seeks; `joined`, for files that consist of several; `sequential`, for those in which
nothing can be sought; and `coded_source`, for coded streams that are stored as PCM, which `coded`
finds. `frames` joins what FFmpeg decodes, `mixing` mixes channels, and `resampling` says what to
read for samples at another rate.

Structure, without decoding: `examine` says whether a file is as long as its header says, by a
module for each kind: `asf`, `bare` (AAC, AC-3 and DTS without a container), `flac`, `mp3`, `ogg`
and `wavpack`. `structure` is what they share. `uncompressed` corrects the sizes of WAV, AIFF and
their relatives, whose `chunks` it finds. `ebml` (Matroska), `mp4` and `musepack` each answer one
question that FFmpeg does not. `formats` lists what FFmpeg may open, and where it cannot seek.

Bytes: `extent` finds where the audio lies between tags, `id3` how long an ID3v2 tag is. `mpeg`
reads headers of MPEG audio. `crc` has checksums; `virtual` is a file whose bytes are computed.
"""
