"""When enough windows of a track are scored: a pure function of their scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagger.audio.windows import FIRST

# Chosen on music that the model had not learned from, see README.md in this folder. Raise
# `windows.RULE` with any.
SURE = 1.5  # standard errors by which the leading label must lead every other
PRECISE = 0.1  # largest standard error allowed for the mean of any label
PRIOR = 0.3  # weight, in windows, of scores that differ as much as they can


def is_settled(scores: NDArray[np.float32], total: int) -> bool:
    """Whether the other windows are unlikely to change which label leads, or any mean by much.

    `scores` is `(scored, labels)`: the probabilities of the windows scored so far. `total` is the
    number of windows in the track; once all are scored, the result is true. Before that, take two
    labels with the means a and b. Their lead `d = a - b` has the standard error
    `sqrt(v / scored * (1 - scored / total))`, that of a sample without replacement (Cochran,
    Sampling Techniques, 1977, section 2.6). v is the variance of the lead over the scored windows;
    `PRIOR` windows of the largest variance that such means allow, `min(a + b, 2 - a - b) - d * d`,
    are added to it, so that a few windows that happen to agree do not count as certainty. The
    leading label must lead every other by more than `SURE` errors, and no label's mean may have an
    error above `PRECISE`, where the largest variance is `a - a * a`.

    False before `FIRST` windows, and if any score is not finite: the average will show that.
    """
    scored = len(scores)
    if scored >= total:
        return True
    if scored < FIRST or not np.isfinite(scores).all():
        return False
    # Rounding may have taken a probability beyond 0 or 1.
    values: NDArray[np.float64] = scores.astype(np.float64).clip(0, 1)
    mean = values.mean(axis=0)  # (labels,)
    leader = int(mean.argmax())
    others = np.delete(np.arange(len(mean)), leader)
    leads: NDArray[np.float64] = values[:, [leader]] - values[:, others]  # (scored, labels - 1)
    both = mean[leader] + mean[others]  # (labels - 1,)
    error = _standard_error(leads, np.minimum(both, 2 - both), total)  # (labels - 1,)
    is_ahead = (leads.mean(axis=0) > SURE * error).all()
    return bool(is_ahead and (_standard_error(values, mean, total) <= PRECISE).all())


def _standard_error(
    values: NDArray[np.float64], largest: NDArray[np.float64], total: int
) -> NDArray[np.float64]:
    """Standard error of the mean of each column; `largest` bounds the mean of its squares."""
    scored = len(values)
    mean = values.mean(axis=0)
    squares = ((values - mean) ** 2).sum(axis=0) + PRIOR * (largest - mean**2)
    variance = squares / (scored - 1 + PRIOR)
    error: NDArray[np.float64] = np.sqrt(variance / scored * (1 - scored / total))
    return error
