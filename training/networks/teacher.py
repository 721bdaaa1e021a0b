"""What a teacher makes of sounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class TeacherOutputs:
    """`whole` `(n, width)` describes each sound, `moments` `(n, steps, width)` equal parts of it.

    A student that also learns the moments is told far more by each sound: what it could otherwise
    only find out from the sum over all of them.
    """

    whole: Tensor
    moments: Tensor


class Teacher(Protocol):
    """A network that was trained on far more music than a student can be."""

    seconds: float  # the least that it takes at once

    def __call__(self, waveforms: Tensor, steps: int) -> TeacherOutputs:
        """Outputs for waveforms `(n, samples)` at 16 kHz, with `steps` moments."""
        ...
