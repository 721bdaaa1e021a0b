"""PyAV decodes any part of a file, little more than that, and without threads."""

from __future__ import annotations

import gc
import os
import sys
import weakref
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from helpers import sounds
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.audio import frames, reader
from tagger.audio.decoders import DECODERS
from tagger.audio.pyav import AvSource
from tagger.audio.reader import read_windows
from tagger.audio.windows import WindowPlan
from tagger.files.process import Child

PLAN = WindowPlan(samples=8_000, rate=16_000, count=4)
READ_BY_SOUNDFILE = (
    "wav", "wav of 24 bits", "wav of 8 bits", "wav of floats", "aiff", "flac", "vorbis", "opus",
    "mp3, constant", "mp3, variable",
)  # fmt: skip


@pytest.mark.parametrize("kind", READ_BY_SOUNDFILE)
def test_pyav_alone_decodes_the_same(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "DECODERS", {"PyAV": DECODERS["PyAV"]})
    sounds.assert_is_music(read_windows(sounds.make(kind, tmp_path), PLAN), kind, PLAN)


LENGTH = round(sounds.SECONDS * sounds.RATE)
READS = st.lists(
    st.tuples(st.integers(0, LENGTH - 1), st.integers(1, 50_000)), min_size=1, max_size=5
)


@pytest.mark.parametrize("kind", ["alac", "wavpack", "tta"])
def test_reads_of_pyav_from_anywhere_in_any_order_are_right(kind, tmp_path):
    path, music = sounds.make(kind, tmp_path), sounds.music().T

    @settings(max_examples=10, deadline=None)
    @given(reads=READS)
    def check(reads):
        with closing(AvSource(path)) as source:
            for start, count in reads:
                read = source.read(start, count)
                np.testing.assert_allclose(read, music[:, start : start + count], atol=1e-3)

    check()


def threads_after_reading(path: Path) -> int:
    with closing(AvSource(path)) as source:
        source.read(0, source.length)
        return len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(sys.platform != "linux", reason="process list of Linux")
@pytest.mark.parametrize("kind", ["wavpack", "flac", "aac in m4a"])
def test_decoding_starts_no_threads(kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    with closing(Child(["numpy", "av"])) as child:
        before = len(child.call(30, os.listdir, "/proc/self/task"))
        assert child.call(30, threads_after_reading, path) == before


@pytest.mark.parametrize("kind", ["wavpack", "aac in m4a"])
def test_a_closed_source_lets_go_of_its_decoder(kind, tmp_path):
    source = AvSource(sounds.make(kind, tmp_path))
    source.read(0, 1_000)
    kept = weakref.ref(source)
    gc.disable()
    try:
        source.close()
        del source
        assert kept() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", ["aac in m4a", "alac", "mp3, constant, no Xing", "adts"])
def test_pyav_decodes_little_more_than_the_planned_windows(kind, tmp_path, monkeypatch):
    counts = []
    decode = frames._samples

    def counted(decoded):
        samples = decode(decoded)
        counts.append(samples.shape[1])
        return samples

    monkeypatch.setattr(frames, "_samples", counted)
    read_windows(sounds.make(kind, tmp_path), WindowPlan(16_000, 16_000, 2))
    assert sum(counts) < 2 * 1.6 * sounds.RATE
