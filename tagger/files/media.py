"""Files that a person may take for music, but that a scan does not list for their suffix."""

from __future__ import annotations

from collections import Counter

SHOWN = 4  # suffixes
# Files that a person may take for music or for a video with music, and which are not listed unless
# `--suffix` says so. No decoder here reads the first ones: they hold notes, are encrypted, or old.
UNREADABLE = frozenset([
    ".mid", ".midi", ".kar", ".rmi", ".mod", ".xm", ".s3m", ".it", ".mtm", ".sid", ".nsf", ".nsfe",
    ".spc", ".psf", ".vgm", ".vgz", ".gym", ".hes", ".gbs", ".ay", ".sap", ".cda", ".aa", ".aax",
    ".aaxc", ".rm", ".rmvb", ".ra", ".amr", ".awb", ".la", ".ofr", ".ofs", ".gsm", ".oma", ".aa3",
    ".at3", ".vox", ".vqf", ".lpcm", ".pcm", ".mxf", ".adx", ".xa",
])  # fmt: skip
MEDIA = UNREADABLE | frozenset([
    ".m4v", ".mkv", ".mk3d", ".avi", ".divx", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".vob",
    ".wmv", ".flv", ".f4v", ".f4a", ".f4b", ".ogv", ".ogm", ".qt", ".mpeg4", ".shn", ".voc", ".mlp",
    ".thd", ".truehd", ".dtshd", ".sf", ".ircam", ".iff", ".8svx", ".svx", ".16svx", ".paf",
    ".nist", ".sph", ".dsdiff",
])  # fmt: skip


def skipped_line(suffixes: Counter[str]) -> str:
    """How many files there are of these suffixes, and how to have them predicted; "" for none."""
    ranked = sorted(suffixes.items(), key=lambda pair: (-pair[1], pair[0]))
    counted = ", ".join(f"{count:,} {suffix}" for suffix, count in ranked[:SHOWN])
    more = sum(count for _, count in ranked[SHOWN:])
    others = f" and {more:,} others" if more else ""
    most = next((suffix for suffix, _ in ranked if suffix not in UNREADABLE), "")
    way = f" (--suffix {most} predicts these too)" if most else ""
    return f"left out by suffix: {counted}{others}{way}" if counted else ""
