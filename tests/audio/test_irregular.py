"""Files that are cut, joined, mislabelled or change are read as the FFmpeg program decodes them.

The table is `helpers.irregular.CASES`: container x irregularity. Length, content at every place
and top genre are compared. The default run has each container and each irregularity at least once,
and each irregularity with each decoder alone; the long form has all of the table.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers.irregular import CASES, decoded_by_ffmpeg, ffmpeg
from numpy.typing import NDArray

from tagger.audio import reader
from tagger.audio.decoders import DECODERS
from tagger.audio.reader import Waveforms, read_windows
from tagger.audio.windows import WindowPlan, place_windows
from tagger.errors import AudioError
from tagger.models.find import find_model
from tagger.models.model import GenreModel, load_model
from tagger.types import PredictOptions

RATE = 16_000
SLICE = RATE // 2
MODEL = find_model("gtzan-small")
PLAN = WindowPlan(samples=MODEL.front_end.window_samples, rate=RATE, count=4)
# FFmpeg drops the first 4,096 samples of WMA, and counts them in its time stamps.
LATEST = {"wma": 0.1}
NEAR = 0.05  # between the probabilities of two genres of which either may lead


def quick() -> set[str]:
    """Every container and every irregularity at least once."""
    seen, chosen = set(), set()
    for name in CASES:
        kind, fault = name.split(" | ")
        if kind not in seen or fault not in seen:
            chosen.add(name)
        seen |= {kind, fault}
    return chosen


QUICK = quick()


def rows() -> list[object]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CASES]


def one_of_each_irregularity() -> list[str]:
    return [*{name.split(" | ")[1]: name for name in reversed(CASES)}.values()]


@pytest.fixture(scope="session")
def model() -> GenreModel:
    return load_model(MODEL, PredictOptions(device="cpu", precision="float32"))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The file of a case, and what is right for it: decodings at 16 kHz."""
    folder = tmp_path_factory.mktemp("irregular")

    def decoded(data: bytes, suffix: str) -> NDArray[np.float32]:
        path = folder / f"part.{suffix}"
        path.write_bytes(data)
        return decoded_by_ffmpeg(path, RATE)

    @cache
    def make(name: str) -> tuple[Path, list[NDArray[np.float32]]]:
        case = CASES[name]
        path = folder / f"{re.sub(r'[^a-z0-9]+', '_', name.lower())}.{case.suffix}"
        path.write_bytes(case.make())
        right = [decoded_by_ffmpeg(path, RATE)]
        if case.parts:
            apart = [decoded(part(), case.suffix) for part in case.parts]
            right.append(np.concatenate(apart))
        return path, [sound for sound in right if len(sound)]

    return make


def differences(
    read: Waveforms, right: NDArray[np.float32], latest: float, joints: int
) -> list[str]:
    """How the windows differ from a decoding; nothing if they are the same music, in place.

    At each joint in a window, one piece may be less alike: decoders drop some samples there.
    """
    found, seconds = [], len(right) / RATE
    if abs(read.seconds - seconds) > 0.05:
        found.append(f"{read.seconds:.3f} s, not {seconds:.3f} s")
    for window, start in zip(read.windows, starts(read), strict=True):
        length, left = min(len(window), len(right)), joints
        for place in range(0, length - SLICE + 1, SLICE):
            late, likeness = find(window[place : place + SLICE], right, start + place)
            if left and 0.5 < likeness < 0.9 and abs(late) <= latest:
                left -= 1
            elif likeness < 0.9 or abs(late) > latest:
                found.append(f"at {(start + place) / RATE:.1f} s: {likeness:.2f}, {late:+.3f} s")
    return found


def starts(read: Waveforms) -> list[int]:
    return place_windows(round(read.seconds * RATE), PLAN)


def find(piece: NDArray[np.float32], sound: NDArray[np.float32], start: int) -> tuple[float, float]:
    """How late (s) a piece is that should be at `start`, within 0.125 s; correlation there."""
    reach = RATE // 8
    if start >= len(sound):
        return 0, 0
    padded = np.pad(sound, (reach, reach + len(piece)))
    near = padded[start : start + len(piece) + 2 * reach].astype(float)
    size = len(near) + len(piece)
    spectra = np.fft.rfft(near, size) * np.fft.rfft(piece, size).conj()
    energy = np.cumsum(np.pad(near**2, (1, 0)))
    energy = (energy[len(piece) :] - energy[: -len(piece)]) * np.square(piece, dtype=float).sum()
    likeness = np.fft.irfft(spectra, size)[: len(energy)] / np.sqrt(energy + 1e-9)
    best = int(likeness.argmax())
    return (best - reach) / RATE, float(likeness[best])


def mean_probabilities(model: GenreModel, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = model.probabilities(windows).mean(axis=0)
    return mean


def windows_of(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    places = place_windows(len(sound), PLAN)
    return np.stack([np.resize(sound[n : n + PLAN.samples], PLAN.samples) for n in places])


def assert_read_right(
    read: Waveforms, right: list[NDArray[np.float32]], name: str, model: GenreModel
) -> None:
    latest = LATEST.get(name.split(" | ")[0], 0.05)
    joints = max(0, len(CASES[name].parts) - 1)
    found = [differences(read, sound, latest, joints) for sound in right]
    assert [] in found, f"differs from what FFmpeg decodes: {found}"
    sound = right[found.index([])]
    ours = mean_probabilities(model, read.windows)
    theirs = mean_probabilities(model, windows_of(sound))
    assert theirs.max() - theirs[ours.argmax()] < NEAR, MODEL.labels[int(ours.argmax())]


@pytest.mark.parametrize("name", rows())
def test_an_irregular_file_is_read_as_ffmpeg_decodes_it(name, made, model):
    path, right = made(name)
    if CASES[name].is_cut and right:
        with pytest.raises(AudioError, match="truncated") as caught:
            read_windows(path, PLAN)
        seconds = re.search(r"after ([\d.]+) s", str(caught.value))
        if seconds and name != "musepack | cut at 60 %":  # the wheel's FFmpeg reads none of it
            assert float(seconds[1]) == pytest.approx(len(right[0]) / RATE, abs=0.1)
    elif len(decoded_by_ffmpeg(path, RATE)):
        assert_read_right(read_windows(path, PLAN), right, name, model)
    else:
        with suppress(AudioError):  # FFmpeg decodes nothing; libsndfile may
            assert_read_right(read_windows(path, PLAN), right, name, model)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", one_of_each_irregularity())
def test_each_decoder_alone_reads_it_right_or_refuses(name, decoder, made, model, monkeypatch):
    if decoder == "pydub" and not shutil.which("ffprobe"):
        pytest.skip("pydub needs ffmpeg and ffprobe")
    path, right = made(name)
    monkeypatch.setattr(reader, "DECODERS", {decoder: DECODERS[decoder]})
    try:
        read = read_windows(path, PLAN)
    except AudioError as error:
        assert "truncated" not in str(error) or CASES[name].is_cut
    else:
        assert_read_right(read, right, name, model)


def test_eight_planar_channels_are_read(tmp_path):
    layout = ["-f", "lavfi", "-i", "sine=440:d=2:r=48000,pan=7.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0"]
    layout[-1] += "|BR=c0|SL=c0|SR=c0"
    path = tmp_path / "room.opus"
    path.write_bytes(ffmpeg(layout, ["-c:a", "libopus"], "ogg"))
    read = read_windows(path, WindowPlan(samples=RATE // 4, rate=RATE, count=4))
    right = decoded_by_ffmpeg(path, RATE)
    assert read.seconds == pytest.approx(len(right) / RATE, abs=0.01)
    for window in read.windows:
        assert window.std() == pytest.approx(0.125 / 2**0.5, rel=0.05)  # of one channel
