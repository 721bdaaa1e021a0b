"""Augmentation of waveforms: another tempo, a filter, an echo, a gain.

These are changes that cannot be made on features, or that the seed project made on waveforms;
`features` has those that are cheaper on features. All but the echo come from audiomentations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from audiomentations.core.transforms_interface import BaseWaveformTransform

KINDS = ("faster", "slower", "highpass", "lowpass", "echo", "gain", "mix")
RANGES = {
    "faster": (1.6, 1.9),  # times the tempo, at the same pitch
    "slower": (0.6, 0.8),
    "highpass": (1400.0, 1600.0),  # Hz, cutoff
    "lowpass": (900.0, 1100.0),
    "echo": (0.08, 0.35),  # s from one repeat to the next
    "gain": (-6.0, 6.0),  # dB
}
# A mix uses at most one of each row, in this order: two tempi would undo each other, and the two
# filters together leave little. The tempo comes first because it decides how much input is read.
ROWS = (("faster", "slower"), ("highpass", "lowpass"), ("echo",), ("gain",))
ROLLOFF = 12  # dB per octave; the seed project's slope is not known
ECHO_REPEATS = (2, 4)
ECHO_DECAY = (0.3, 0.6)  # amplitude of a repeat relative to the one before it


class WaveformAugmenter:
    """Applies one of `kinds` to some crops; a "mix" applies two or three of them.

    A kind that is left out is not used in a mix either; without kinds, crops stay unchanged.
    Raises `ValueError` for an unknown kind, a mix of kinds that cannot go together, a probability
    outside [0, 1], and a `rate` in Hz too low for the filters.
    """

    def __init__(self, kinds: Sequence[str], rate: int, probability: float = 0.5) -> None:
        if unknown := sorted(set(kinds) - set(KINDS)):
            raise ValueError(f"unknown kinds {', '.join(unknown)}; known are {', '.join(KINDS)}")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must be in 0 to 1, got {probability}")
        if rate <= 2 * RANGES["highpass"][1]:
            raise ValueError(f"rate must be above {2 * RANGES['highpass'][1]:.0f} Hz, got {rate}")
        self.kinds = tuple(kind for kind in KINDS if kind in kinds)
        self.rate = rate
        self.probability = probability
        given = (tuple(kind for kind in row if kind in kinds) for row in ROWS)
        self.rows = tuple(row for row in given if row)
        if "mix" in kinds and len(self.rows) < 2:
            raise ValueError(f"mix needs two kinds that go together, got {', '.join(kinds)}")
        self.transforms = _make_transforms()

    def needed(self, samples: int) -> int:
        """How many input samples a crop of `samples` may use; later ones are never read."""
        fastest = RANGES["faster"][1] if "faster" in self.kinds and self.probability else 1.0
        return math.ceil(samples * fastest)

    def __call__(
        self, waveform: NDArray[np.float32], samples: int, draw: np.random.Generator
    ) -> NDArray[np.float32]:
        """The start of `waveform` `(any,)`, changed or not, as `(samples,)`.

        A waveform that is too short is repeated; it is never modified, and the result may be a view
        of it. If the peak of a changed crop exceeds 1, it is scaled down to 1, not clipped; an
        unchanged crop stays as the tagger decodes it. All randomness comes from `draw`: equal
        generators give equal bytes. Raises `ValueError` for an empty waveform or crop.
        """
        if not len(waveform) or samples < 1:
            raise ValueError(f"cannot make {samples} samples of {len(waveform)}")
        values = {kind: draw.uniform(*RANGES[kind]) for kind in self._draw_kinds(draw)}
        tempo = next((value for kind, value in values.items() if kind in ROWS[0]), 1.0)
        changed = _fill(waveform, math.ceil(samples * tempo))
        for kind, value in values.items():
            changed = self._change(changed, kind, value, draw)
        changed = _fill(changed, samples)  # stretching rounds the length
        peak = np.abs(changed).max()
        return changed / peak if values and peak > 1 else changed

    def _draw_kinds(self, draw: np.random.Generator) -> list[str]:
        if not self.kinds or draw.random() >= self.probability:
            return []
        kind = self.kinds[draw.integers(len(self.kinds))]
        if kind != "mix":
            return [kind]
        count = min(int(draw.integers(2, 3, endpoint=True)), len(self.rows))
        chosen = sorted(draw.choice(len(self.rows), count, replace=False))
        return [self.rows[row][draw.integers(len(self.rows[row]))] for row in chosen]

    def _change(
        self, waveform: NDArray[np.float32], kind: str, value: float, draw: np.random.Generator
    ) -> NDArray[np.float32]:
        if kind == "echo":
            repeats = int(draw.integers(*ECHO_REPEATS, endpoint=True))
            decay = draw.uniform(*ECHO_DECAY)
            amplitudes = [decay**repeat for repeat in range(repeats + 1)]
            return echo(waveform, round(value * self.rate), amplitudes)
        transform, parameter = self.transforms[kind]
        transform.parameters[parameter] = 10 ** (value / 20) if kind == "gain" else value
        changed: NDArray[np.float32] = transform(waveform, self.rate)
        return changed.astype(np.float32, copy=False)


def echo(
    waveform: NDArray[np.float32], delay: int, amplitudes: Sequence[float]
) -> NDArray[np.float32]:
    """`waveform` `(samples,)` plus copies `i * delay` samples later, scaled by `amplitudes[i]`.

    Repeats are cut off at the end. `amplitudes[0]` scales the original.
    """
    # Own code: audiomentations has no plain echo. Its RoomSimulator needs pyroomacoustics, one more
    # dependency for one effect, and its ApplyImpulseResponse needs recordings of rooms.
    result = waveform * np.float32(amplitudes[0])
    for repeat, amplitude in enumerate(amplitudes[1:], start=1):
        late = result[repeat * delay :]
        late += waveform[: len(late)] * np.float32(amplitude)
    return result


def _fill(waveform: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """The first `samples`; a shorter waveform is repeated, as a short track is for the model."""
    return waveform[:samples] if len(waveform) >= samples else np.resize(waveform, samples)


def _make_transforms() -> dict[str, tuple[BaseWaveformTransform, str]]:
    """The transform of each kind, and the name of the parameter that takes the drawn value."""
    # Importing takes a second, mostly for SciPy: only runs with augmentation must wait.
    from audiomentations import Gain, HighPassFilter, LowPassFilter, TimeStretch

    # Its default method, signalsmith_stretch, keeps the pitch and starts without a gap. It draws
    # random numbers only from half the tempo down, which is outside our range.
    stretch = TimeStretch(leave_length_unchanged=False)
    transforms = {
        "faster": (stretch, "rate"),
        "slower": (stretch, "rate"),
        "highpass": (HighPassFilter(), "cutoff_freq"),
        "lowpass": (LowPassFilter(), "cutoff_freq"),
        "gain": (Gain(), "amplitude_ratio"),
    }
    for transform, _ in transforms.values():
        # By default it draws from the global generators of Python and NumPy, which are shared with
        # other code and inherited by the workers of a DataLoader. If frozen, it draws nothing.
        transform.parameters = {"should_apply": True, "rolloff": ROLLOFF}
        transform.freeze_parameters()
    return transforms
