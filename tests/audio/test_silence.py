"""Windows lie where a track sounds, whatever its container, and its samples are of one scale."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import sounds
from numpy.typing import NDArray

from tagger.audio import samples as samples_module
from tagger.audio.reader import Waveforms, read_windows
from tagger.audio.windows import AUTO, CHUNK_WINDOWS, Count, WindowPlan, window_chunks

RATE = 16_000
PLAN = WindowPlan(2 * RATE, RATE, 4)
ALL = WindowPlan(2 * RATE, RATE, None)
SCALED = "its samples, floats in the range of {}-bit integers, were scaled"


def noise(seconds: float, level: float = 0.5) -> NDArray[np.float64]:
    return np.random.default_rng(3).uniform(-level, level, round(seconds * RATE))


def write(path: Path, *parts: NDArray[np.float64], subtype: str = "FLOAT") -> Path:
    soundfile.write(path, np.concatenate(parts), RATE, subtype=subtype)
    return path


def read_all(path: Path, plan: WindowPlan) -> list[Waveforms]:
    """Every chunk of a track."""
    first = read_windows(path, plan)
    numbers = range(1, len(window_chunks(first.total, plan)))
    return [first, *(read_windows(path, plan, number, first.placement) for number in numbers)]


def windows(path: Path, plan: WindowPlan) -> NDArray[np.float32]:
    return np.concatenate([read.windows for read in read_all(path, plan)])


# --- where a track sounds -------------------------------------------------------------------------

ZEROS = {count: np.zeros(count * RATE) for count in (6, 20, 60, 300)}
SONG = noise(8)


@pytest.mark.parametrize("count", [1, 4, AUTO, None])
@pytest.mark.parametrize(
    "parts",
    [
        (SONG, ZEROS[60]), (ZEROS[60], SONG), (ZEROS[20], SONG, ZEROS[300]),
        (ZEROS[6], SONG, ZEROS[6]),
    ],
    ids=["silent end", "silent start", "in the middle of minutes", "both"],
)  # fmt: skip
def test_windows_of_a_mostly_silent_track_are_those_of_its_sound_alone(parts, count, tmp_path):
    plan = WindowPlan(2 * RATE, RATE, count)
    alone = windows(write(tmp_path / "alone.wav", SONG), plan)
    read = read_all(write(tmp_path / "x.wav", *parts), plan)
    assert np.array_equal(np.concatenate([each.windows for each in read]), alone)
    assert not any(each.silent for each in read) and read[0].total == len(alone)
    assert read[0].seconds == sum(map(len, parts)) / RATE


def test_a_song_and_a_hidden_track_both_have_windows(tmp_path):
    hidden = noise(8, 0.2)
    path = write(tmp_path / "x.wav", SONG, ZEROS[60], hidden)
    assert np.array_equal(
        windows(path, ALL).reshape(-1), np.concatenate([SONG, hidden]).astype(np.float32)
    )
    assert {float(np.abs(each).max()) > 0.3 for each in windows(path, PLAN)} == {True, False}


def test_sound_shorter_than_a_window_is_repeated_without_the_silence(tmp_path):
    sound = noise(1.2)
    (window,) = windows(write(tmp_path / "x.wav", sound, ZEROS[20]), PLAN)
    assert np.array_equal(window, np.resize(sound.astype(np.float32), PLAN.samples))


@pytest.mark.parametrize("count", [1, 8, AUTO, None])
def test_a_window_as_long_as_the_track_holds_no_pause(count, tmp_path):
    sound = noise(1.5)
    path = write(tmp_path / "x.wav", sound, ZEROS[6][: 9 * RATE // 4])
    (window,) = windows(path, WindowPlan(4 * RATE, RATE, count))
    assert np.array_equal(window, np.resize(sound.astype(np.float32), 4 * RATE))
    path = write(tmp_path / "y.wav", noise(7), ZEROS[6][: 3 * RATE])
    (window,) = windows(path, WindowPlan(10 * RATE, RATE, count))
    assert np.array_equal(window, np.resize(noise(7).astype(np.float32), 10 * RATE))


@pytest.mark.parametrize("count", [1, 8, AUTO, None])
@pytest.mark.parametrize("level", [-61, -70, -80])
@pytest.mark.parametrize(("before", "after"), [(0, 6), (7, 0), (3, 4)])
def test_noise_below_60_db_in_long_windows_is_a_pause_as_zeros_are(
    before, after, level, count, tmp_path
):
    parts = [noise(each, 0.5 * 10 ** (level / 20)) for each in (before, after)]
    path = write(tmp_path / "x.wav", parts[0], noise(6), parts[1])
    plan = WindowPlan(164_080, RATE, count)
    (window,) = windows(path, plan)
    alone = windows(write(tmp_path / "alone.wav", noise(6)), plan)[0]
    np.testing.assert_allclose(window[: 5 * RATE], alone[: 5 * RATE], atol=0.001)
    assert np.mean(np.abs(window) > 0.01) > 0.95


@pytest.mark.parametrize("gap", [0, 1e-4])
def test_one_window_in_the_middle_of_a_track_holds_no_pause(gap, tmp_path):
    path = write(tmp_path / "x.wav", noise(34), noise(30, gap))
    (window,) = windows(path, WindowPlan(164_080, RATE, 1))
    assert np.mean(np.abs(window) > 0.01) > 0.95


@pytest.mark.parametrize("count", [AUTO, None])
def test_silent_windows_of_a_track_that_mostly_sounds_are_left_out(count, tmp_path):
    path = write(tmp_path / "x.wav", noise(80), ZEROS[20], noise(6))
    read = read_all(path, WindowPlan(2 * RATE, RATE, count))
    assert sum(each.silent for each in read) >= 1
    assert sum(len(each.windows) + each.silent for each in read) == read[0].total
    assert all(np.ptp(each) for of_chunk in read for each in of_chunk.windows)


def test_a_fixed_number_of_windows_all_sound(tmp_path):
    path = write(tmp_path / "x.wav", noise(80), ZEROS[20], noise(6))
    (read,) = read_all(path, WindowPlan(2 * RATE, RATE, 8))
    assert (len(read.windows), read.silent) == (8, 0)
    assert max(read.starts) > 60 * RATE  # they lie over all of the sound
    assert not any(80 * RATE < start < 98 * RATE for start in read.starts)


def test_all_covers_every_sound_also_of_a_later_chunk(tmp_path):
    minutes = CHUNK_WINDOWS * 2
    path = write(tmp_path / "x.wav", noise(minutes), ZEROS[60], ZEROS[60], noise(3, 0.1))
    read = read_all(path, ALL)
    assert not read[1].windows.size and read[1].silent == CHUNK_WINDOWS
    assert len(read[0].windows) == CHUNK_WINDOWS and sum(len(each.windows) for each in read) == 34


def test_quiet_passages_at_50_db_below_the_rest_are_predicted(tmp_path):
    path = write(tmp_path / "x.wav", noise(4), *[noise(4, 0.5 * 10**-2.5)] * 5)
    assert len(windows(path, ALL)) == 12


def test_what_is_65_db_below_the_rest_is_silence(tmp_path):
    path = write(tmp_path / "x.wav", noise(12), noise(4, 0.5 * 10**-3.25))
    assert len(windows(path, ALL)) == 6


@pytest.mark.parametrize("hiss", [1e-4, 3e-4])
def test_hiss_in_every_window_of_the_first_chunk_hides_no_song(hiss, tmp_path):
    quiet = noise(60, hiss)
    path = write(tmp_path / "x.wav", quiet, SONG, quiet)
    assert np.abs(windows(path, PLAN)).max(axis=1).min() > 0.4


def test_a_faint_track_is_predicted_as_it_is(tmp_path):
    faint = noise(20, 2e-4)
    alike = windows(write(tmp_path / "x.wav", faint), PLAN)
    loud = windows(write(tmp_path / "y.wav", 2_048 * faint), PLAN)
    np.testing.assert_allclose(2_048 * alike, loud, atol=1e-3)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(20 * RATE),
        np.full(20 * RATE, 0.4),
        np.random.default_rng(1).integers(-1, 2, 20 * RATE) / 32_768,
        np.where(np.arange(20 * RATE) == 100_000, 0.9, 0),
    ],
    ids=["zeros", "a constant", "dither", "one click"],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_track_without_sound_is_silent(samples, channels, tmp_path):
    read = read_windows(write(tmp_path / "x.wav", np.stack([samples] * channels, 1)), PLAN)
    assert read.is_silent and read.windows.shape == (0, PLAN.samples)
    assert (read.seconds, read.total) == (20, 0)


@pytest.mark.parametrize("kind", sorted({*sounds.FFMPEG} - {"musepack"}))
def test_a_song_and_a_silent_end_are_the_song_in_every_container(kind, tmp_path, monkeypatch):
    def with_silence(rate: int = sounds.RATE, seconds: float = 6) -> NDArray[np.float64]:
        return np.concatenate(
            [sounds.sound_at(np.arange(6 * rate) / rate), np.zeros((20 * rate, 2))]
        )

    monkeypatch.setattr(sounds, "music", with_silence)
    read = read_windows(sounds.make(kind, tmp_path, 26.125), PLAN)  # not in the cache of others
    assert len(read.windows) == 4 and not read.silent
    assert all(window[-8_000:].std() > 0.01 for window in read.windows)
    assert read.seconds == pytest.approx(26, abs=0.1)


@pytest.mark.parametrize("kind", ["flac", "aac in m4a", "mp3, constant", "opus", "alac"])
def test_opposite_channels_give_what_either_gives(kind, tmp_path, monkeypatch):
    left = sounds.music(sounds.RATE, 6)[:, :1]
    read = {}
    for number, other in enumerate((left, -left)):
        monkeypatch.setattr(sounds, "music", lambda seconds, other=other: np.hstack([left, other]))
        folder = tmp_path / str(number)
        folder.mkdir()
        read[number] = read_windows(sounds.make(kind, folder, 6.25 + number / 8), PLAN)
    np.testing.assert_allclose(np.abs(read[1].windows), np.abs(read[0].windows), atol=0.02)
    assert not read[0].notes
    assert read[1].notes == ("its channels cancel each other, so the louder one was used",)


def test_hours_of_silence_take_a_bounded_time(tmp_path, monkeypatch):
    """A third of an hour is found in ten hours, though only places of them are decoded."""
    size, sound = 10 * 3600 * RATE, np.random.default_rng(3).integers(-9_000, 9_000, 1200 * RATE)
    path = tmp_path / "x.wav"
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    with path.open("wb") as file:
        file.write(struct.pack("<4sI4s", b"RIFF", 36 + 2 * size, b"WAVE"))
        file.write(form + struct.pack("<4sI", b"data", 2 * size))
        file.seek(44 + size // 2 // 2 * 2)
        file.write(sound.astype("<i2").tobytes())
        file.truncate(44 + 2 * size)
    pieces: list[int] = []
    add = samples_module.Scan.add

    def counted(self, piece, start, end, peak):
        pieces.append(len(piece))
        add(self, piece, start, end, peak)

    monkeypatch.setattr(samples_module.Scan, "add", counted)
    found = windows(path, WindowPlan(2 * RATE, RATE, 8))
    assert len(found) == 8 and all(np.abs(window).max() > 0.2 for window in found)
    assert sum(pieces) <= samples_module.SCANNED * RATE


# --- integers stored as floats --------------------------------------------------------------------


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".au", ".w64", ".caf"])
@pytest.mark.parametrize("start", [0.5, 0.001, 0.0], ids=["loud", "quiet", "silent start"])
def test_integers_stored_as_floats_are_scaled_and_this_is_noted(start, bits, suffix, tmp_path):
    shares = np.concatenate([noise(70, start), noise(8, 0.9)]).astype(np.float32)
    plain = write(tmp_path / f"plain{suffix}", shares)
    path = write(tmp_path / f"x{suffix}", shares * np.float32(2 ** (bits - 1)))
    for plan in (ALL, PLAN, WindowPlan(2 * RATE, RATE, AUTO)):
        expected, read = read_all(plain, plan), read_all(path, plan)
        for before, after in zip(expected, read, strict=True):
            assert np.array_equal(before.windows, after.windows)
            assert not before.notes and after.notes == (SCALED.format(bits),)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_what_the_resampler_adds_to_a_peak_does_not_change_the_scale(rate, tmp_path):
    clipped = np.sign(noise(8, 1)).astype(np.float32)
    for name, scale in (("plain", 1), ("integers", 32_767)):
        soundfile.write(tmp_path / f"{name}.wav", scale * clipped, rate, subtype="FLOAT")
    plain, read = (read_windows(tmp_path / f"{n}.wav", ALL) for n in ("plain", "integers"))
    np.testing.assert_allclose(read.windows, plain.windows * (32_767 / 32_768), atol=1e-4)
    assert read.notes == (SCALED.format(16),)


@pytest.mark.parametrize("peak", [1.5, 4, 90])
def test_floats_beyond_full_scale_are_left_as_they_are(peak, tmp_path):
    samples = noise(8, peak).astype(np.float32)
    read = read_windows(write(tmp_path / "x.wav", samples), ALL)
    assert np.array_equal(read.windows.reshape(-1), samples) and not read.notes


COUNTS: tuple[Count, ...] = (1, 8, AUTO, None)


@pytest.mark.parametrize("count", COUNTS)
def test_a_chunk_without_sound_stops_no_track(count, tmp_path, tiny_model):
    from tagger import predict
    from tagger.types import Prediction, PredictOptions

    path = write(tmp_path / "x.wav", noise(120), ZEROS[60], noise(3))
    options = PredictOptions(windows=count, workers=1, device="cpu")
    (prediction,) = predict(path, model=str(tiny_model), options=options)
    assert isinstance(prediction, Prediction)
    assert prediction.windows >= 1 and sum(prediction.probabilities) == pytest.approx(1, abs=1e-3)
