"""Which samples of a source are read for some at another rate."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

MARGIN = 0.025  # s read on both sides, so that the resampler's edges fall outside what is used


class Reading(NamedTuple):
    """The samples `begin` to `end` of a source; resampled, the first `skip` are not used."""

    begin: int
    end: int
    skip: int


def reading_for(start: int, stop: int, rates: tuple[int, int], length: int) -> Reading:
    """What to read of a source of `length` samples for those from `start` to `stop` at a rate.

    `rates` are that of the source and the other one.
    """
    ratio = Fraction(*rates)
    margin = round(MARGIN * rates[0]) if ratio != 1 else 0
    # A multiple of the ratio's numerator: there, samples of both rates coincide.
    begin = max(0, int(start * ratio) - margin) // ratio.numerator * ratio.numerator
    end = min(length, int(stop * ratio) + margin + 1)
    return Reading(begin, end, start - int(begin / ratio))
