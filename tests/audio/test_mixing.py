"""Channels keep their places in the stereo pair that they are mixed to."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from helpers import sounds

from tagger.audio.decoders import DECODERS
from tagger.audio.mixing import join, mix, side_weights, to_mono
from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan

# Of FFmpeg's `ffmpeg -layouts`, those of three channels and more.
LAYOUTS = (
    "2.1", "3.0", "3.0(back)", "4.0", "quad", "quad(side)", "3.1", "5.0", "5.0(side)", "4.1", "5.1",
    "5.1(side)", "6.0", "6.0(front)", "hexagonal", "6.1", "6.1(back)", "6.1(front)", "7.0",
    "7.0(front)", "7.1", "7.1(wide)", "7.1(wide-side)", "octagonal", "7.1.4", "22.2",
)  # fmt: skip


def places(layout: str) -> tuple[str, ...]:
    return tuple(channel.name for channel in av.AudioLayout(layout).channels)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_side_of_a_layout_weighs_one_and_mirrors_the_other(layout):
    names = places(layout)
    left, right = side_weights(names)
    assert sum(left) == pytest.approx(1) and sum(right) == pytest.approx(1)
    mirrored = dict(zip(names, right, strict=True))
    for name, weight in zip(names, left, strict=True):
        other = name.translate(str.maketrans("LR", "RL")) if "LFE" not in name else name
        assert weight == pytest.approx(mirrored[other])
        assert weight == 0 or not name.startswith("LFE")


@pytest.mark.parametrize("layout", ["5.1", "5.1(side)"])
def test_five_channels_are_mixed_as_the_itu_says(layout):
    half, sum_ = 0.5**0.5, 1 + 2 * 0.5**0.5
    expected = [[1, 0, half, 0, half, 0], [0, 1, half, 0, 0, half]]
    np.testing.assert_allclose(side_weights(places(layout)), np.array(expected) / sum_)


@pytest.mark.parametrize("count", [3, 4, 5, 7, 64])
def test_channels_without_places_become_their_mean(count):
    channels = np.random.default_rng(1).uniform(-1, 1, (count, 50)).astype(np.float32)
    np.testing.assert_allclose(mix(channels), channels.mean(axis=0)[None], atol=1e-6)
    no_side = mix(channels, ("LFE",) * count)
    np.testing.assert_allclose(no_side, channels.mean(axis=0)[None], atol=1e-6)


def test_ambisonics_become_what_comes_from_everywhere():
    channels = np.random.default_rng(1).uniform(-1, 1, (4, 50)).astype(np.float32)
    np.testing.assert_allclose(to_mono(mix(channels, places("ambisonic 1"))), channels[0])


def test_mono_between_pairs_becomes_a_pair():
    pair, mono = np.ones((2, 3), np.float32), np.zeros((1, 2), np.float32)
    assert join([mono, pair]).tolist() == [[0, 0, 1, 1, 1]] * 2
    assert join([mono]).shape == (1, 2)
    assert join([]).shape == (1, 0)


CONTAINERS = {
    "flac": "-c:a flac", "wav": "-c:a pcm_s24le", "mka": "-c:a pcm_f32le", "wv": "-c:a wavpack",
    "m4a": "-c:a alac", "aiff": "-c:a pcm_s16be", "caf": "-c:a pcm_s16be",
}  # fmt: skip


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_centre_and_lfe_of_a_container_are_found(suffix, decoder, tmp_path: Path):
    """Music is on the centre alone, and a loud hum on the LFE channel."""
    if not shutil.which("ffprobe"):
        pytest.skip("no ffmpeg to encode with")
    path, music = tmp_path / f"x.{suffix}", sounds.make("wav", tmp_path, 3)
    hum = "sine=50:r=44100:d=3,pan=5.1|LFE=c0[hum]"
    centre = "pan=5.1|FC=0.5*c0+0.5*c1[music]"
    mixed = f"{hum};[0:a]{centre};[music][hum]amix=normalize=0"
    command = ["ffmpeg", "-v", "error", "-i", music, "-filter_complex", mixed]
    subprocess.run([*command, *CONTAINERS[suffix].split(), path], check=True)
    try:
        source = DECODERS[decoder](path)
    except Exception as error:
        assert decoder == "soundfile" or (decoder, suffix) == ("pydub", "wav"), error
        return
    samples = source.read(0, source.length)
    source.close()
    assert samples.shape == (2, 3 * 44_100)
    share = 0.5**0.5 / (1 + 2 * 0.5**0.5)
    expected = share * sounds.music(seconds=3).mean(axis=1)
    np.testing.assert_allclose(samples, np.stack([expected] * 2), atol=1e-3)


def test_six_channels_of_a_container_are_read(tmp_path):
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg to encode with")
    path = tmp_path / "x.ogg"
    command = ["ffmpeg", "-v", "error", "-i", sounds.make("wav", tmp_path, 3)]
    surround = ["-af", "pan=5.1|FL=c0|FR=c1|FC=0.5*c0+0.5*c1", "-c:a", "libvorbis"]
    subprocess.run([*command, *surround, path], check=True)
    (window,) = read_windows(path, WindowPlan(16_000, 16_000, 1)).windows
    late, likeness, _ = sounds.compare(window, 16_000)
    assert abs(late) < 0.001 and likeness > 0.98


def test_adts_whose_first_frame_alone_places_the_channels_is_read_from_any_place(tmp_path):
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg to encode with")
    path = tmp_path / "x.aac"
    command = ["ffmpeg", "-v", "error", "-i", sounds.make("wav", tmp_path, 6)]
    quad = ["-af", "pan=quad|FL=c0|FR=c1|BL=c0|BR=c1", "-c:a", "aac", "-b:a", "384k"]
    subprocess.run([*command, *quad, path], check=True)
    read = read_windows(path, WindowPlan(16_000, 16_000, 4))
    assert len(read.windows) == 4 and abs(read.seconds - 6) < 0.1
    assert all(np.std(window) > 0.01 for window in read.windows)
