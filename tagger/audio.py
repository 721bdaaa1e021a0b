"""Read the windows of a track with the first decoder that can.

Placing the windows, resampling, and repeating what is short is the same for every decoder, so that
the same music gets the same prediction whatever container it came in.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from tagger import blocks
from tagger.decoders import DECODERS, SettledError, Source
from tagger.errors import AudioError, EmptyAudio, TagError
from tagger.families import recognise
from tagger.pyav import TRUNCATED, Samples, open_container
from tagger.windows import WindowPlan, place_windows

PART_WINDOWS = 32  # windows handed over at once; bounds the memory that a long track takes
MARGIN = 0.025  # s read on both sides of a window, so that the resampler's edges fall outside it


@dataclass(frozen=True, slots=True)
class Waveforms:
    """Windows of one track: `windows` is `(n, samples)`, float32 in [-1, 1] at the plan's rate."""

    windows: Samples
    total: int  # windows of the whole track; more than n where it is read in parts
    seconds: float  # decoded length of the track


def read_windows(path: Path, plan: WindowPlan, part: int = 0) -> Waveforms:
    """Decode the planned windows of a track, and nothing else where its container can seek.

    Of a track with more than `PART_WINDOWS` windows this is the `part`-th lot of as many. Raises
    `AudioError` with the reason of every decoder if none can read it, `OSError` if the file cannot
    be opened at all.
    """
    path.open("rb").close()
    reasons = []
    for name, opened in DECODERS.items():
        try:
            with closing(opened(path)) as source:
                return _read_part(source, plan, part)
        except SettledError as error:
            raise AudioError(str(error), path) from None
        except Exception as error:
            # Decoders raise what their C libraries say, of every type; the next one gets its turn.
            reasons.append(f"{name}: {_one_line(error)}")
    raise AudioError("; ".join(reasons), path)


def _read_part(source: Source, plan: WindowPlan, part: int) -> Waveforms:
    """Read one lot of windows; where a track ends before its stated length, place them anew."""
    while True:
        starts = place_windows(round(source.length * plan.rate / source.rate), plan)
        chosen = starts[part * PART_WINDOWS : (part + 1) * PART_WINDOWS]
        try:
            windows = [_read_window(source, start, plan) for start in chosen]
        except _EndsEarly as end:
            if source.is_stated and end.length < TRUNCATED * source.length:
                raise AudioError(
                    f"truncated: {end.length / source.rate:.1f} s can be decoded of the "
                    f"{source.length / source.rate:.1f} s it declares"
                ) from None
            source.length = end.length
        else:
            # No window is left of a last part if the track ends before its stated length.
            rows = np.stack(windows) if windows else np.zeros((0, plan.samples), np.float32)
            return Waveforms(rows, len(starts), source.length / source.rate)


def _read_window(source: Source, start: int, plan: WindowPlan) -> Samples:
    """One window `(samples,)`; a shorter track is repeated until it fills it."""
    ratio = Fraction(source.rate, plan.rate)
    margin = round(MARGIN * source.rate) if source.rate != plan.rate else 0
    # A multiple of the ratio's numerator, where a sample of the one rate falls on one of the other.
    begin = max(0, int(start * ratio) - margin) // ratio.numerator * ratio.numerator
    end = min(source.length, int((start + plan.samples) * ratio) + margin + 1)
    samples = source.read(begin, end - begin)
    if len(samples) < end - begin:
        raise _EndsEarly(begin + len(samples))
    if not np.isfinite(samples).all():
        raise SettledError("it holds samples that are not finite numbers")
    if source.rate != plan.rate:
        import soxr

        samples = soxr.resample(samples, source.rate, plan.rate)
    skip = start - int(begin / ratio)
    window = samples[skip : skip + plan.samples]
    if len(window) == 0:
        raise EmptyAudio("it holds no audio samples")
    return np.resize(window, plan.samples)  # numpy's resize repeats


class _EndsEarly(Exception):
    """A source gave fewer samples than its length promised."""

    def __init__(self, length: int) -> None:
        self.length = length


def digest_packets(path: Path) -> str | None:
    """A hash of the encoded audio, without decoding it; None where PyAV does not know the format.

    Equal before and after a change of tags, unless the change damaged the audio.
    """
    import av

    digest = hashlib.sha256()
    try:
        with closing(open_container(path, _audio_end(path))) as container:
            for packet in container.demux(container.streams.audio[0]):
                digest.update(bytes(packet))
    except (AudioError, TagError, OSError, av.error.FFmpegError, ValueError):
        return None
    return digest.hexdigest()


def _audio_end(path: Path) -> int | None:
    """Where tags at the end begin, of which FFmpeg takes some for audio; None if none can be."""
    with path.open("rb") as file:
        family = recognise(file, path)[1]
        return blocks.find_audio_end(file) if family is not None and family.has_ape else None


def _one_line(error: Exception) -> str:
    # libsndfile's and FFmpeg's own words, without the path that their bindings put around them.
    words = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    text = words.encode("utf-8", "backslashreplace").decode()  # names may not be UTF-8
    return " ".join(text.split())[:200].rstrip(".") or type(error).__name__
