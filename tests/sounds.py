"""A piece of "music" that is known as a formula, so that any instant of a decoded file can be checked.

Every quarter of a second brings other notes, and the two channels play different ones: a decoder
that is late, early, in the wrong place or louder than it should be cannot go unnoticed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

NOTE = 0.25  # s
SECONDS = 12.0
RATE = 44_100

# name: (suffix, arguments of ffmpeg's encoder)
FFMPEG = {
    "wav": (".wav", "-c:a pcm_s16le"),
    "wav of 24 bits": (".wav", "-c:a pcm_s24le"),
    "wav of floats": (".wav", "-c:a pcm_f32le"),
    "wav of 8 bits": (".wav", "-c:a pcm_u8"),
    "aiff": (".aiff", "-c:a pcm_s16be"),
    "au": (".au", "-c:a pcm_s16be"),
    "w64": (".w64", "-c:a pcm_s16le"),
    "caf": (".caf", "-c:a pcm_s16be"),
    "flac": (".flac", "-c:a flac"),
    "ogg-flac": (".oga", "-c:a flac -f ogg"),
    "alac": (".m4a", "-c:a alac"),
    "wavpack": (".wv", "-c:a wavpack"),
    "tta": (".tta", "-c:a tta"),
    "vorbis": (".ogg", "-c:a libvorbis -b:a 128k"),
    "opus": (".opus", "-c:a libopus -b:a 128k"),
    "aac in m4a": (".m4a", "-c:a aac -b:a 160k"),
    "aac in m4b": (".m4b", "-c:a aac -b:a 160k -movflags +faststart -f ipod"),
    "aac in mka": (".mka", "-c:a aac -b:a 160k"),
    "adts": (".aac", "-c:a aac -b:a 160k"),
    "wma": (".wma", "-c:a wmav2 -b:a 160k"),
    "ac3": (".ac3", "-c:a ac3 -b:a 192k"),
    "mp2": (".mp2", "-c:a mp2 -b:a 256k"),
    "mp3, constant": (".mp3", "-c:a libmp3lame -b:a 160k"),
    "mp3, variable": (".mp3", "-c:a libmp3lame -q:a 3"),
    "mp3, constant, no Xing": (".mp3", "-c:a libmp3lame -b:a 160k -write_xing 0"),
    "mp3, variable, no Xing": (".mp3", "-c:a libmp3lame -q:a 3 -write_xing 0"),
}
LOSSLESS = frozenset(
    ["wav", "wav of 24 bits", "wav of floats", "aiff", "au", "w64", "caf", "flac", "ogg-flac", "alac"]
    + ["wavpack", "tta"]
)


def music(seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """`(n, 2)` in [-0.4, 0.4]: a sine under a Hann envelope for each note and channel."""
    time = np.arange(round(seconds * rate)) / rate  # (n,)
    note = (time / NOTE).astype(int)  # (n,)
    pitches = np.random.default_rng(5).uniform(200, 3000, size=(note.max() + 1, 2))  # Hz
    envelope = 0.4 * np.sin(np.pi * time / NOTE) ** 2
    return envelope[:, None] * np.sin(2 * np.pi * pitches[note] * (time % NOTE)[:, None])


def mono(seconds: float = SECONDS, rate: int = 16_000) -> np.ndarray:
    """What a decoder must give of `music` at another rate: the mean of the channels."""
    return music(seconds, rate).mean(axis=1)


def make(kind: str, folder: Path) -> Path:
    """A file of `music`; skips the test where FFmpeg is missing."""
    path = folder / f"music{FFMPEG[kind][0]}"
    path.write_bytes(_encoded(kind))
    return path


@cache
def _encoded(kind: str) -> bytes:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg to encode with")
    suffix, arguments = FFMPEG[kind]
    raw = music().astype("<f4").tobytes()
    source = f"ffmpeg -v error -f f32le -ar {RATE} -ac 2 -i pipe:0 -fflags +bitexact".split()
    form = [] if "-f" in arguments.split() else ["-f", MUXERS[suffix]]
    # Some muxers must seek, so a pipe will not do.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"music{suffix}"
        subprocess.run([*source, *arguments.split(), *form, "-y", target], input=raw, check=True)
        return target.read_bytes()


MUXERS = {
    ".wav": "wav", ".aiff": "aiff", ".au": "au", ".w64": "w64", ".caf": "caf", ".flac": "flac",
    ".m4a": "ipod", ".wv": "wv", ".tta": "tta", ".ogg": "ogg", ".opus": "opus", ".mka": "matroska",
    ".aac": "adts", ".wma": "asf", ".ac3": "ac3", ".mp2": "mp2", ".mp3": "mp3",
}  # fmt: skip
