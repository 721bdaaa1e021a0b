"""When enough windows of a track have been heard: a pure function of their scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tagger.audio.windows import FIRST

# Found on music that the model had not learned from, see README; with `windows.RULE`, which a
# change of any of them must raise.
SURE = 1.5  # standard errors by which the leading label must lead each other
PRECISE = 0.1  # greatest standard error of any label's mean
PRIOR = 0.3  # windows that scores as different as they can be stand in for


def is_settled(scores: NDArray[np.float32], total: int) -> bool:
    """Whether the rest can hardly change which label leads on the mean, nor any mean by much.

    `scores` is `(heard, labels)`, probabilities of the windows heard so far; `total` is how many
    there are to hear, and with all of them heard the answer is yes. Else, of two labels with the
    means a and b, the lead `d = a - b` has the standard error `sqrt(v / heard * (1 - heard /
    total))`, that of a sample without replacement (Cochran, Sampling Techniques, 1977, section
    2.6). v is the variance of the lead over the windows heard, to which `PRIOR` windows are added
    of the greatest variance that such means allow, `min(a + b, 2 - a - b) - d * d`: few windows
    that happen to agree do not pass for certain. The leading label must lead each other by more
    than `SURE` errors, and no label's own mean may have an error above `PRECISE`, where the
    greatest variance is `a - a * a`.

    No before `FIRST` windows, and on scores that are not all finite: then whoever averages all of
    them will see it.
    """
    heard = len(scores)
    if heard >= total:
        return True
    if heard < FIRST or not np.isfinite(scores).all():
        return False
    # Rounding may have taken a probability beyond 0 or 1.
    values: NDArray[np.float64] = scores.astype(np.float64).clip(0, 1)
    mean = values.mean(axis=0)  # (labels,)
    leader = int(mean.argmax())
    others = np.delete(np.arange(len(mean)), leader)
    leads: NDArray[np.float64] = values[:, [leader]] - values[:, others]  # (heard, labels - 1)
    both = mean[leader] + mean[others]  # (labels - 1,)
    error = _standard_error(leads, np.minimum(both, 2 - both), total)  # (labels - 1,)
    is_ahead = (leads.mean(axis=0) > SURE * error).all()
    return bool(is_ahead and (_standard_error(values, mean, total) <= PRECISE).all())


def _standard_error(
    values: NDArray[np.float64], greatest: NDArray[np.float64], total: int
) -> NDArray[np.float64]:
    """Of the mean of each column; `greatest` is what the mean of its squares can be at most."""
    heard = len(values)
    mean = values.mean(axis=0)
    squares = ((values - mean) ** 2).sum(axis=0) + PRIOR * (greatest - mean**2)
    variance = squares / (heard - 1 + PRIOR)
    error: NDArray[np.float64] = np.sqrt(variance / heard * (1 - heard / total))
    return error
