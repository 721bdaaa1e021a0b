"""A piece of "music" that is a formula, so that a decoded file can be checked at any time.

Every quarter of a second brings other notes, and the two channels play different ones: a decoder
that is late, early, in the wrong place or louder than it should be cannot go unnoticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tagger.audio.reader import Waveforms
from tagger.audio.windows import WindowPlan, place_windows

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
    "opus in webm": (".webm", "-c:a libopus -b:a 128k"),
    "aac in 3gp": (".3gp", "-c:a aac -b:a 160k"),
    "musepack": (".mpc", "mpcenc"),
    "adts": (".aac", "-c:a aac -b:a 160k"),
    "wma": (".wma", "-c:a wmav2 -b:a 160k"),
    "ac3": (".ac3", "-c:a ac3 -b:a 192k"),
    "mp2": (".mp2", "-c:a mp2 -b:a 256k"),
    "mp3, constant": (".mp3", "-c:a libmp3lame -b:a 160k"),
    "mp3, variable": (".mp3", "-c:a libmp3lame -q:a 3"),
    "mp3, constant, no Xing": (".mp3", "-c:a libmp3lame -b:a 160k -write_xing 0"),
    "mp3, variable, no Xing": (".mp3", "-c:a libmp3lame -q:a 3 -write_xing 0"),
}
LOSSLESS = {
    "wav", "wav of 24 bits", "wav of floats", "aiff", "au", "w64", "caf", "flac", "ogg-flac",
    "alac", "wavpack", "tta",
}  # fmt: skip
# These also know how many samples an encoder put in front.
IN_TIME = LOSSLESS | {
    "vorbis", "opus", "aac in m4a", "aac in m4b", "mp3, constant", "mp3, variable",
}  # fmt: skip


def sound_at(times: np.ndarray) -> np.ndarray:
    """What both channels play at these times (s): `(n, 2)` in [-0.4, 0.4], silence outside."""
    notes = round(SECONDS / NOTE)
    pitches = np.random.default_rng(5).uniform(200, 3000, size=(notes, 2))  # Hz
    note = np.clip((times / NOTE).astype(int), 0, notes - 1)  # (n,)
    loudness = np.where(
        (times >= 0) & (times < SECONDS), 0.4 * np.sin(np.pi * times / NOTE) ** 2, 0
    )
    return loudness[:, None] * np.sin(2 * np.pi * pitches[note] * (times % NOTE)[:, None])


def music(rate: int = RATE, seconds: float = SECONDS) -> np.ndarray:
    """The first `seconds` as samples `(n, 2)`."""
    return sound_at(np.arange(round(seconds * rate)) / rate)


def compare(window: np.ndarray, start: int, rate: int = 16_000) -> tuple[float, float, float]:
    """How late (s) a mono window is that should start at `start`; correlation and gain there.

    The mean of the channels is what it is compared with.
    """
    quarters = (_likeness(window, start + part, rate) for part in (-0.5, -0.25, 0, 0.25))
    (likeness, lag), part = max(zip(quarters, (-0.5, -0.25, 0, 0.25), strict=True))
    played = _mono((start + part + lag + np.arange(len(window))) / rate)
    gain = np.sqrt((window**2).sum() / max((played**2).sum(), 1e-9))
    return -(lag + part) / rate, likeness, float(gain)


def _likeness(window: np.ndarray, start: float, rate: int) -> tuple[float, int]:
    """The best correlation with what is played within 50 ms of `start`, and its lag (samples)."""
    reach = rate // 20
    played = _mono((start + np.arange(-reach, len(window) + reach)) / rate)
    # By FFT, and no BLAS: its threads fight for the cores of a busy machine.
    size = len(played) + len(window)
    spectra = np.fft.rfft(played, size) * np.fft.rfft(window, size).conj()
    products = np.fft.irfft(spectra, size)[: 2 * reach + 1]
    energy = np.cumsum(np.pad(played**2, (1, 0)))
    energy = energy[len(window) :] - energy[: -len(window)]  # of what is played at each lag
    likeness = products / np.sqrt(energy * (window**2).sum() + 1e-12)
    best = int(likeness.argmax())
    return float(likeness[best]), best - reach


def _mono(times: np.ndarray) -> np.ndarray:
    return sound_at(times).mean(axis=1)


def make(kind: str, folder: Path, seconds: float = SECONDS) -> Path:
    """A file of the first `seconds` of `music`; skips the test where FFmpeg is missing."""
    path = folder / f"music{FFMPEG[kind][0]}"
    path.write_bytes(_encoded(kind, seconds))
    return path


@cache
def _encoded(kind: str, seconds: float) -> bytes:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg to encode with")
    suffix, arguments = FFMPEG[kind]
    if kind == "musepack":
        return _by_mpcenc(seconds)
    raw = music(seconds=seconds).astype("<f4").tobytes()
    source = f"ffmpeg -v error -f f32le -ar {RATE} -ac 2 -i pipe:0 -fflags +bitexact".split()
    form = [] if "-f" in arguments.split() else ["-f", MUXERS[suffix]]
    # Some muxers must seek, so a pipe will not do.
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"music{suffix}"
        subprocess.run([*source, *arguments.split(), *form, "-y", target], input=raw, check=True)
        return target.read_bytes()


def _by_mpcenc(seconds: float) -> bytes:
    """Stream version 8; FFmpeg has no encoder."""
    if shutil.which("mpcenc") is None:
        required = os.environ.get("REQUIRE_PROGRAMS") == "1"
        (pytest.fail if required else pytest.skip)("no mpcenc to encode with")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "music.wav", Path(folder) / "music.mpc"
        source.write_bytes(_encoded("wav", seconds))
        subprocess.run(["mpcenc", "--silent", source, target], capture_output=True, check=True)
        return target.read_bytes()


MUXERS = {
    ".wav": "wav", ".aiff": "aiff", ".au": "au", ".w64": "w64", ".caf": "caf", ".flac": "flac",
    ".m4a": "ipod", ".wv": "wv", ".tta": "tta", ".ogg": "ogg", ".opus": "opus", ".mka": "matroska",
    ".webm": "webm", ".3gp": "3gp",
    ".aac": "adts", ".wma": "asf", ".ac3": "ac3", ".mp2": "mp2", ".mp3": "mp3",
}  # fmt: skip


def assert_is_music(read: Waveforms, kind: str, plan: WindowPlan) -> None:
    """Every window is what the formula gives at its place: in time, in shape, and as loud."""
    starts = place_windows(round(read.seconds * plan.rate), plan)
    for window, start in zip(read.windows, starts, strict=True):
        late, likeness, gain = compare(window, start)
        assert abs(late) <= (0.001 if kind in IN_TIME else 0.05)
        assert likeness > 0.98
        # LAME turns constant bit rates down to 95 %.
        assert gain == pytest.approx(1, abs=0.06)
        if kind in LOSSLESS:
            assert late == 0
            expected = sound_at((start + np.arange(plan.samples)) / plan.rate).mean(axis=1)
            np.testing.assert_allclose(window, expected, atol=1e-3)
