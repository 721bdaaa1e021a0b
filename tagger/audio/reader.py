"""Read the windows of a track with the first decoder that can read it.

Placing windows, resampling, and repeating short tracks are the same for every decoder, so the same
music gets the same prediction in any container.
"""

from __future__ import annotations

import errno
import stat
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tagger.audio.coded_source import CodedSource
from tagger.audio.decoders import DECODERS, SettledError, Source
from tagger.audio.id3 import skip_id3
from tagger.audio.levels import OFTEN, Span, block_levels, cut, paused
from tagger.audio.mixing import CHANNELS, Samples
from tagger.audio.samples import (
    EndsEarly,
    Window,
    check_end,
    check_loudness,
    length_at,
    read_window,
    scan,
    shorten,
)
from tagger.audio.windows import WindowPlan, place_windows, window_chunks
from tagger.errors import AudioError, Crashed, EmptyAudio, NoSound, NotPcm, Truncated, one_line

CODED = "coded"  # reads what only seems to be PCM, and is tried when a decoder finds that
# A file may declare rates from below a telephone's up to DSD1024 as FFmpeg decodes it, and six
# weeks. Anything beyond is a mistake, or an attempt to use up memory.
RATES = range(1_000, 6_000_001)  # Hz
SECONDS = 1_000 * 3600
# A track whose first windows are all below this level is scanned: they may be the noise of silence.
FAINT = 1e-3

ZEROS = 1 << 20  # bytes; a good MP3 may have fewer zeros in front of its first frame

Placed = tuple[int, Window]  # the first sample of a window in the track, at the plan's rate


@dataclass(frozen=True, slots=True)
class Placement:
    """What the first chunk of a track finds out; the others are read by it."""

    decoder: str  # the first of `DECODERS` that can read the track
    length: int  # samples of each channel, at the rate of the file
    # Where windows are placed, at the plan's rate: in all of the track, or without its silence.
    sound: tuple[Span, ...]
    loudest: float = 0  # level of the loudest window so far
    scale: float = 1  # samples are divided by it; more than 1 for integers stored as floats

    @property
    def sounding(self) -> int:
        """Samples in which windows are placed; 0 for a silent track."""
        return sum(end - start for start, end in self.sound)


@dataclass(frozen=True, slots=True)
class Waveforms:
    """Windows of one track: `windows` is `(n, samples)`, float32 in [-1, 1] at the plan's rate.

    Silent windows are left out; `silent` is their number. A window is silent if the range of its
    samples is below `levels.SILENCE`, or its level below `levels.QUIET` (-60 dB) times that of the
    loudest window of its chunk and of the first chunk, and of a scan the loudest two seconds.
    """

    windows: Samples
    starts: tuple[int, ...]  # of each of these windows: its first sample, at the plan's rate
    total: int  # windows of the whole track; more than n + silent where it has several chunks
    seconds: float  # decoded length of the track
    placement: Placement
    silent: int = 0
    notes: tuple[str, ...] = ()  # what a person should know about how it was read

    @property
    def is_silent(self) -> bool:
        """Whether the whole track is silent, as a scan of it found."""
        return not self.placement.sound


def read_windows(
    path: Path, plan: WindowPlan, chunk: int = 0, placement: Placement | None = None
) -> Waveforms:
    """Decode one chunk of the planned windows, and nothing else if the container can seek.

    `chunk` counts the chunks of `window_chunks` from 0. `placement` is that of chunk 0; without it,
    chunk 0 is decoded first. Raises `AudioError` with the reasons of all decoders if none can read
    the track, `OSError` if the file cannot be opened at all, `Crashed` if a decoder was killed.
    """
    if chunk and placement is None:
        placement = read_windows(path, plan).placement
    check_start(path)
    errors: dict[str, Exception] = {}
    openers = DECODERS | {CODED: CodedSource}
    names = [*openers]
    # Those before it could not read the first chunk.
    names = names[names.index(placement.decoder) :] if placement else [*DECODERS]
    while names:
        name = names.pop(0)
        try:
            # Another decoder may give the track another rate.
            known = placement.length if placement and name == placement.decoder else None
            with closing(openers[name](path, known)) as source:
                _check_declared(source)
                if placement:
                    read = _read_placed(source, plan, chunk, placement)
                    return _waveforms(source, plan, read)
                return _read_first(source, plan, name)
        except (SettledError, NoSound) as error:
            raise AudioError(str(error), path) from None
        except Crashed:  # not by the file: no reason to call it broken
            raise
        except NotPcm as error:
            errors[name] = error
            names = [] if placement or name == CODED else [CODED]
        except Exception as error:
            # Decoders and their C libraries raise errors of every type; try the next one.
            errors[name] = error
    raise AudioError(_summary(errors), path)


def check_start(path: Path) -> None:
    """Raise for an empty file, and for one that would keep every decoder waiting or searching."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "no longer a regular file", str(path))
    with path.open("rb") as file:
        if not status.st_size:
            raise AudioError("the file is empty", path)
        skip_id3(file)
        head = file.read(4096)
        if head and not head.strip(b"\0") and not file.read(ZEROS).strip(b"\0"):
            raise AudioError(
                "it begins with nothing but zeros, as an unfinished download does", path
            )


def _check_declared(source: Source) -> None:
    if source.rate < 1:
        raise AudioError("no sample rate")  # another decoder may know it
    if source.rate not in RATES:
        raise SettledError(f"it declares a sample rate of {source.rate:,} Hz")
    if source.channels > CHANNELS:
        raise SettledError(f"it declares {source.channels:,} channels")
    if source.length > SECONDS * source.rate:
        raise SettledError(f"it declares {source.length // source.rate // 3600:,} hours")


def _read_first(source: Source, plan: WindowPlan, decoder: str) -> Waveforms:
    """Read the first chunk.

    The whole track is scanned, and windows are placed where it sounds, if at least half of the
    chunk is silent, if it has a pause and covers the track or has a fixed number of windows, if all
    of it is faint, or if its samples are not of full scale 1.
    """
    placement = Placement(decoder, source.length, ((0, length_at(source, plan.rate)),))
    windows, placement, total = _read_placed(source, plan, 0, placement)
    if source.is_stated:
        starts = place_windows(placement.sounding, plan)
        last = max(starts[number] for number in window_chunks(total, plan)[0])
        check_end(source, (last + plan.samples) / plan.rate)
    covers = len(windows) * plan.samples >= placement.sounding
    if not _is_doubtful([window for _, window in windows], plan, covers=covers):
        return _waveforms(source, plan, (windows, placement, total))
    found, is_whole = scan(source, plan.rate)
    sound = tuple(found.sound())
    if sound and plan.count is None and not is_whole:
        # Between the seconds that were decoded may be more.
        sound = ((0, length_at(source, plan.rate)),)
    placement = replace(
        placement,
        length=source.length, sound=sound, loudest=found.loudest, scale=found.full_scale,
    )  # fmt: skip
    if not sound:
        return _waveforms(source, plan, ([], placement, 0))
    return _waveforms(source, plan, _read_placed(source, plan, 0, placement))


def _is_doubtful(windows: list[Window], plan: WindowPlan, *, covers: bool) -> bool:
    """Whether a first chunk needs a scan of the track, see `_read_first`."""
    loudest = max(window.level for window in windows)
    blocks = [block_levels(window.samples, plan.rate) for window in windows]
    is_beyond = max(window.peak for window in windows) > OFTEN / 2
    if is_beyond and float(np.median(np.concatenate([ranges for ranges, _ in blocks]))) > OFTEN:
        return True
    check_loudness(windows)
    silent = sum(
        1 if window.is_silent(loudest) else share
        for window, share in zip(windows, paused(blocks), strict=True)
    )
    if loudest < FAINT or 2 * silent >= len(windows):
        return True
    # With a fixed number of windows, no others follow in place of a silent one.
    return (covers or isinstance(plan.count, int)) and silent > 0


def _read_placed(
    source: Source, plan: WindowPlan, chunk: int, placement: Placement
) -> tuple[list[Placed], Placement, int]:
    """The windows of a chunk, where they are placed, and how many the whole track has.

    If the track ends before its stated length, the first chunk is placed again. Of later ones,
    windows that are not in it any more are left out, but those of `all` are placed again, so that
    they cover all there is.
    """
    starts = place_windows(placement.sounding, plan)
    numbers = window_chunks(len(starts), plan)[chunk]
    is_short = len(starts) == 1
    while True:
        chosen = starts[numbers.start : numbers.stop]
        if not is_short:
            chosen = [start for start in chosen if start + plan.samples <= placement.sounding]
        try:
            return _read_in_order(source, chosen, plan, placement), placement, len(starts)
        except EndsEarly as end:
            shorten(source, end.length)
        placement = _shortened(placement, source, plan)
        if not chunk or plan.count is None:
            starts = place_windows(placement.sounding, plan)
        if not chunk:
            numbers, is_short = window_chunks(len(starts), plan)[0], len(starts) == 1


def _shortened(placement: Placement, source: Source, plan: WindowPlan) -> Placement:
    """The placement for a source that has turned out to be shorter."""
    end = length_at(source, plan.rate)
    sound = ((first, min(last, end)) for first, last in placement.sound if first < end)
    return replace(placement, length=source.length, sound=tuple(sound))


def _read_in_order(
    source: Source, starts: list[int], plan: WindowPlan, placement: Placement
) -> list[Placed]:
    """The windows at `starts`, read from front to back, since some containers cannot seek back."""
    is_whole = placement.sound == ((0, length_at(source, plan.rate)),)
    pieces = {
        # Not cut off at the end: rounding may leave one sample more than the length says.
        start: [(start, start + plan.samples)] if is_whole
        else cut(placement.sound, start, plan.samples)
        for start in starts
    }  # fmt: skip
    read = {
        start: read_window(source, pieces[start], plan, placement.scale) for start in sorted(starts)
    }
    return [(pieces[start][0][0], read[start]) for start in starts]


def _waveforms(
    source: Source, plan: WindowPlan, read: tuple[list[Placed], Placement, int]
) -> Waveforms:
    """The windows that are not silent, and what a person should know about them."""
    windows, placement, total = read
    check_loudness([window for _, window in windows])
    loudest = max([placement.loudest, *(window.level for _, window in windows)])
    sounding = [placed for placed in windows if not placed[1].is_silent(loudest)]
    rows, starts = np.zeros((len(sounding), plan.samples), np.float32), []
    for row, (start, window) in zip(rows, sounding, strict=True):
        starts.append(start)
        row[:] = window.samples
    notes = []
    if placement.scale != 1:
        bits = int(placement.scale).bit_length()
        notes.append(f"its samples, floats in the range of {bits}-bit integers, were scaled")
    if any(window.is_one_channel for _, window in sounding):
        notes.append("its channels cancel each other, so the louder one was used")
    seconds, silent = source.length / source.rate, len(windows) - len(sounding)
    placement = replace(placement, loudest=loudest)
    return Waveforms(rows, tuple(starts), total, seconds, placement, silent, tuple(notes))


def _summary(errors: dict[str, Exception]) -> str:
    """A message in plain words if there is one, else the errors of all decoders."""
    known = EmptyAudio | NotPcm | Truncated
    plain = [str(error) for error in errors.values() if isinstance(error, known)]
    if plain:
        return plain[0]
    reasons = (f"{name}: {_one_line(error)}" for name, error in errors.items())
    return f"no decoder can read it ({'; '.join(reasons)})"


def _one_line(error: Exception) -> str:
    return "it needs too much memory" if isinstance(error, MemoryError) else one_line(error)
