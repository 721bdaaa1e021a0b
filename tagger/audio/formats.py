"""What FFmpeg makes of formats, by its names of them: what it may open, where it cannot seek."""

from __future__ import annotations

# The formats that FFmpeg may recognise. Without this list, a playlist renamed to .mp3 could make it
# open other files or addresses, and a picture or a text would be a "video".
FORMATS = (
    "aac,ac3,aiff,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,iff,matroska,webm,mlp,mov,mp4,m4a,mp3,"
    "mpc,mpc8,mpeg,mpegts,ogg,shn,tak,truehd,tta,w64,wav,wv"
)
# Streams of bare frames: they have no index, and FFmpeg guesses their length.
BARE = {"aac", "ac3", "dts", "eac3", "mp3"}
# FFmpeg guesses the length of these as well: a large picture in the tag makes the track seem
# longer. WMA has few enough packets to count; the packets of DSD are as large as the file.
GUESSED = BARE | {"asf", "dsf", "iff"}
COUNTED = BARE | {"asf"}
# FFmpeg seeks to wrong packets of these, and a packet of SV7 depends on all before it.
MUSEPACK = {"mpc", "mpc8"}
MATROSKA, MP4 = "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"
# Time stamps of these may begin anew or jump, and they have no table of their packets, or one that
# is often wrong.
FROM_START = {"avi", "flv", "mlp", "mpeg", "mpegts", "shn", "truehd"}
# Decoders of these depend on all that comes before, and their packets have no state to begin with.
CONTINUOUS = {"adpcm_swf", "adpcm_yamaha", "g722"}
# Containers whose packets of these have wrong durations, or none.
UNTIMED = {("caf", "flac"), (MATROSKA, "wavpack")}


def is_lost(container: str, codec: str) -> bool:
    """Whether only decoding from the start gives the right samples."""
    is_wrong = container in FROM_START or (container, codec) in UNTIMED
    return is_wrong or codec in CONTINUOUS
