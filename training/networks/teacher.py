"""What a teacher makes of sounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class TeacherOutputs:
    """`whole` `(n, width)` describes each sound, `segments` `(n, count, width)` equal parts of it.

    Targets for segments say more about each sound than a single one for all of it.
    """

    whole: Tensor
    segments: Tensor


class Teacher(Protocol):
    """A network that was trained on far more music than a student can be."""

    seconds: float  # the shortest input that it takes

    def __call__(self, waveforms: Tensor, segments: int) -> TeacherOutputs:
        """Outputs for waveforms `(n, samples)` at 16 kHz, in `segments` parts."""
        ...
