"""Decoded clips in one file, so that their samples need no memory and a resumed run no decoding."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tagger.audio.windows import WindowPlan
from training.clips.clip import Clip
from training.clips.decode import KEPT_SECONDS, SEGMENT_WINDOWS, DecodedClip, decode_clips

VERSION = 1
FULL_SCALE = 32768
TAIL = 16  # bytes at the end that say in hexadecimal how long the index before them is
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DecodedFile:
    """The file, memory-mapped: int16 samples, then an index as JSON, then its length.

    Another process that gets it opens the file again, instead of getting the samples. Raises
    `OSError` or `ValueError` if it is not complete.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - TAIL))
            length = int(file.read(TAIL), 16)
            file.seek(max(0, size - TAIL - length))
            self.index: dict[str, Any] = json.loads(file.read(length))
        count = (size - TAIL - length) // 2
        empty: NDArray[np.int16] = np.zeros(0, np.int16)  # cannot be mapped
        self.samples = np.memmap(path, np.int16, "r", shape=(count,)) if count else empty

    def __reduce__(self) -> tuple[type[DecodedFile], tuple[Path]]:
        return DecodedFile, (self.path,)


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """Consecutive samples of the file, int16."""

    file: DecodedFile
    first: int
    length: int

    def __len__(self) -> int:
        """How many there are."""
        return self.length

    def __getitem__(self, part: slice, /) -> NDArray[np.int16]:
        """Some of them."""
        whole: NDArray[np.int16] = self.file.samples[self.first : self.first + self.length]
        return whole[part]


def stored_clips(
    path: Path,
    clips: Sequence[Clip],
    plan: WindowPlan,
    report: Callable[[str], None],
    advance: Callable[[], None] = lambda: None,
) -> list[DecodedClip]:
    """What `decode_clips` gives, with samples that stay in a file; decoded only if not there yet.

    A sample is rounded to 16 bits of the clip's peak, see `quantised`. Raises `OSError`, which says
    how much is needed if there is no space for the file.
    """
    key = _key(clips, plan)
    file = _opened(path, key)
    for _ in clips if file is not None else ():
        advance()
    while file is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")  # each process writes its own
        try:
            _write(partial, key, clips, plan, advance)
            if _opened(path, key) is None:  # no other process was faster
                partial.replace(path)
        except FileNotFoundError:
            pass  # the first of several processes has just cleared the folder: once more
        finally:
            partial.unlink(missing_ok=True)
        file = _opened(path, key)
    for row in file.index["clips"]:
        for line in row["notes"]:
            report(line)
    pairs = zip(clips, file.index["clips"], strict=True)
    return [_clip(clip, row, file, plan) for clip, row in pairs if row["segments"]]


def quantised(segments: Sequence[NDArray[np.float32]]) -> tuple[list[NDArray[np.int16]], float]:
    """Segments as int16, and the scale that they are to be multiplied with.

    The scale is a power of two that suits their peak: samples of 16 bits stay what they were.
    """
    peak = max(float(np.abs(segment).max()) for segment in segments)
    fraction, exponent = math.frexp(peak)
    scale = 2.0 ** (exponent - (fraction == 0.5)) / FULL_SCALE  # a peak of 1 is full scale
    limits = (-FULL_SCALE, FULL_SCALE - 1)
    rows = [(of / np.float32(scale)).round().clip(*limits).astype(np.int16) for of in segments]
    return rows, scale


def _key(clips: Sequence[Clip], plan: WindowPlan) -> str:
    """A digest of what the file is made of: the files of the clips, and what is kept of them."""
    digest = hashlib.sha256(repr((VERSION, plan, KEPT_SECONDS, SEGMENT_WINDOWS)).encode())
    for clip in clips:
        facts: tuple[int, ...] = ()
        with suppress(OSError):
            stat = clip.path.stat()
            facts = (stat.st_size, stat.st_mtime_ns)
        digest.update(repr((os.fsencode(clip.path.absolute()), facts)).encode())
    return digest.hexdigest()


def _opened(path: Path, key: str) -> DecodedFile | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        file = DecodedFile(path)
        if file.index["key"] == key:
            return file
    return None


def _write(
    path: Path, key: str, clips: Sequence[Clip], plan: WindowPlan, advance: Callable[[], None]
) -> None:
    rows: list[dict[str, Any]] = []
    try:
        with path.open("wb") as file:
            for row in _rows(file, clips, plan):
                rows.append(row)
                advance()
            index = json.dumps({"key": key, "clips": rows}).encode()
            file.write(index + f"{len(index):0{TAIL}x}".encode())
    except OSError as error:
        if error.errno not in FULL:
            raise
        needed = sum(row["bytes"] for row in rows) / max(1, len(rows)) * len(clips)
        reason = f"{error.strerror}, and the decoded clips take about {needed / 1e6:.0f} MB"
        raise OSError(error.errno, reason, str(path.parent)) from error


def _rows(file: BinaryIO, clips: Sequence[Clip], plan: WindowPlan) -> Iterator[dict[str, Any]]:
    """Write the samples of each clip; what the index says of it."""
    first = 0
    for clip in clips:
        row: dict[str, Any] = {"notes": [], "segments": [], "bytes": 0}
        for decoded in decode_clips([clip], plan, row["notes"].append):
            segments, scale = quantised([segment[:] for segment in decoded.segments])
            for start, segment in zip(decoded.starts, segments, strict=True):
                file.write(segment.tobytes())
                row["segments"].append((first, len(segment), start))
                row["bytes"] += segment.nbytes
                first += len(segment)
            row |= {"seconds": decoded.seconds, "scale": scale}
        yield row


def _clip(clip: Clip, row: dict[str, Any], file: DecodedFile, plan: WindowPlan) -> DecodedClip:
    return DecodedClip(
        clip,
        tuple(StoredSamples(file, first, length) for first, length, _ in row["segments"]),
        tuple(start for _, _, start in row["segments"]),
        row["seconds"],
        plan.rate,
        row["scale"],
    )
