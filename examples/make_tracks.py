"""Make song-length tracks in many containers, for `benchmark.py`.

They are joined from given clips, or from the synthetic songs of `make_library.py`.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import soundfile
import soxr
from make_library import SONGS, play, write_tags
from numpy.typing import NDArray

from tagger.files.scan import find_tracks
from tagger.types import Track

RATE = 44_100  # Hz, of the music before encoding
Samples = NDArray[np.float32]


class Kind(NamedTuple):
    """A container, and how its audio is encoded."""

    suffix: str
    codec: str
    rate: int = RATE
    options: Mapping[str, str] = {}  # for FFmpeg


KINDS = (
    Kind("mp3", "libmp3lame", options={"b": "192k"}),
    Kind("mp3", "libmp3lame", options={"flags": "+qscale", "global_quality": "236"}),  # VBR, V2
    Kind("m4a", "aac", options={"b": "160k"}),
    Kind("flac", "flac"),
    Kind("opus", "libopus", 48_000, {"b": "128k"}),
    Kind("ogg", "vorbis"),
    Kind("mp3", "libmp3lame", 48_000, {"b": "320k"}),
    Kind("wma", "wmav2", options={"b": "160k"}),
    Kind("wav", "pcm_s16le"),
    Kind("flac", "flac", 48_000),
    Kind("m4a", "alac"),
    Kind("wv", "wavpack"),
)


def decode_whole(path: Path, rate: int) -> Samples:
    """The whole file, mono, `(samples,)` at `rate` Hz, as a short script would decode it."""
    try:
        samples, own = soundfile.read(path, dtype="float32", always_2d=True)  # (samples, channels)
        mono = samples.mean(axis=1)
    except soundfile.LibsndfileError:
        with av.open(path) as container:
            own = container.streams.audio[0].rate
            resampler = av.AudioResampler("fltp")
            frames = chain(container.decode(audio=0), [None])
            pieces = [piece.to_ndarray() for f in frames for piece in resampler.resample(f)]
        mono = np.concatenate([piece.mean(axis=0) for piece in pieces], dtype=np.float32)
    return np.asarray(soxr.resample(mono, own, rate))


def music(clips: Sequence[Path], seconds: float, chance: random.Random) -> Samples:
    """Joined clips of one folder, or synthetic music, `(2, samples)` at `RATE` Hz."""
    if clips:
        chosen = chance.choice(clips).parent
        beside = [path for path in clips if path.parent == chosen]
        parts = (decode_whole(chance.choice(beside), RATE) for _ in iter(int, 1))
    else:
        song, rng = chance.choice(SONGS), np.random.default_rng(chance.randrange(1 << 32))
        verses = [play(replace(song, rate=RATE, tempo=song.tempo + n), rng) for n in range(4)]
        parts = (chance.choice(verses) for _ in iter(int, 1))
    mono = np.zeros(0, np.float32)
    while len(mono) < seconds * RATE:
        mono = np.concatenate([mono, next(parts)])
    mono = 0.9 * mono[: round(seconds * RATE)]
    return np.stack([mono, 0.8 * np.roll(mono, RATE // 200)])


def encode(samples: Samples, kind: Kind, path: Path) -> None:
    """Encode `(2, samples)` at `RATE` Hz into a container."""
    if kind.codec == "vorbis":  # PyAV's wheel has no Vorbis encoder
        with soundfile.SoundFile(path, "w", RATE, 2, "VORBIS", format="OGG") as file:
            for start in range(0, samples.shape[1], RATE):  # all at once overflows the stack
                file.write(samples[:, start : start + RATE].T)
        return
    names = {"m4a": "ipod", "wma": "asf"}
    with av.open(path, "w", format=names.get(kind.suffix)) as container:
        stream: Any = container.add_stream(
            kind.codec, rate=kind.rate, options=dict(kind.options), layout="stereo"
        )
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", "stereo")
        frame.sample_rate = RATE
        size = stream.frame_size or 4096
        resampler = av.AudioResampler(stream.format, "stereo", kind.rate, frame_size=size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def make_track(path: Path, kind: Kind, clips: Sequence[Path], minutes: Sequence[float]) -> None:
    """Make one track, under a temporary name until it is complete. Its name is the random seed."""
    chance = random.Random(path.name)
    unfinished = path.with_name(f".{path.name}")
    encode(music(clips, 60 * chance.uniform(*minutes), chance), kind, unfinished)
    unfinished.rename(path)


def make_tracks(
    folder: Path, count: int, minutes: Sequence[float], clips: Path | None
) -> list[Path]:
    """Make `count` tracks in a folder, of `minutes` (min, max); existing files are kept.

    One track of each kind is encoded; the others are copies with their own tags. Each track is
    joined from the clips of one folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = find_tracks([clips] if clips else [])
    music = [item.path for item in found if isinstance(item, Track)]
    kinds = [KINDS[number % len(KINDS)] for number in range(count)]
    paths = [folder / f"{number:05}.{kind.suffix}" for number, kind in enumerate(kinds)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        first = list(zip(paths[: len(KINDS)], kinds, strict=False))
        missing = [(path, kind) for path, kind in first if not path.exists()]
        jobs = [pool.submit(make_track, *each, music, minutes) for each in missing]
        for job in jobs:
            job.result()
    for number, path in enumerate(paths):
        if not path.exists():
            shutil.copy(paths[number % len(KINDS)], path)
            write_tags(path, replace(SONGS[number % len(SONGS)], file=path.name), number)
    return paths
