"""Coded audio as the words of PCM: what a DTS CD or a recording of SPDIF holds."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from helpers import sounds

RATE = 48_000
# name: (FFmpeg's encoder and muxer; what it is called). At 1,344 kbit/s a frame of DTS is a whole
# number of words of 14 bits.
ENCODERS = {
    "dts": ("-c:a dca -strict -2 -b:a 1344k", "dts", "DTS"),
    "ac3": ("-c:a ac3 -b:a 384k", "ac3", "AC-3"),
    "eac3": ("-c:a eac3 -b:a 384k", "eac3", "E-AC-3"),
    "mp2": ("-c:a mp2 -b:a 256k", "mp2", "MPEG audio"),
    "aac": ("-c:a aac -b:a 256k", "adts", "AAC"),
}
BARE = ("dts", "dts of 14 bits", "ac3", "eac3")
BURSTS = tuple(f"{name} by spdif" for name in ENCODERS)
KINDS = BARE + BURSTS


def called(kind: str) -> str:
    """The name of a kind in a reason."""
    return ENCODERS[kind.split()[0]][2]


@cache
def stream(kind: str) -> bytes:
    """The music as the bytes of a stream, in the order in which a stereo WAV has them."""
    encoder, muxer, _ = ENCODERS[kind.split()[0]]
    with tempfile.TemporaryDirectory() as folder:
        source, coded, burst = (Path(folder) / name for name in ("x.wav", "coded", "burst"))
        source.write_bytes(sounds.make("wav", Path(folder)).read_bytes())
        quiet, form = ["ffmpeg", "-v", "error", "-y", "-i"], ["-f", muxer]
        resampled = ["-ar", str(RATE), *encoder.split()]
        subprocess.run([*quiet, source, *resampled, *form, coded], check=True)
        if "spdif" not in kind:
            data = coded.read_bytes()
            return in_14_bits(data) if "14" in kind else data[: len(data) // 4 * 4]
        subprocess.run([*quiet, coded, "-c", "copy", "-f", "spdif", burst], check=True)
        return burst.read_bytes()


def in_14_bits(data: bytes) -> bytes:
    """Words of 16 bits, each of which carries 14 and repeats its sign."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    bits = bits[: len(bits) // 28 * 28].reshape(-1, 14).astype(np.int32)
    numbers = bits @ (1 << np.arange(13, -1, -1, dtype=np.int32))
    return np.where(numbers >= 8192, numbers - 16_384, numbers).astype("<i2").tobytes()


def as_samples(data: bytes, order: str = "<", channels: int = 2) -> np.ndarray:
    """The words `(channels, n)` as a decoder of PCM gives them."""
    words = np.frombuffer(data[: len(data) // 4 * 4], f"{order}i2").reshape(-1, channels)
    return np.ascontiguousarray(words.T.astype(np.float32) / 32_768)
