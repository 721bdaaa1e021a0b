"""Predict the genres of a music library with an Audio Spectrogram Transformer, and tag it.

>>> from tagger import predict
>>> for prediction in predict("~/Music/Kind of Blue"):  # doctest: +SKIP
...     print(prediction.track.path, prediction.ranked[0])
"""

import os
from typing import TYPE_CHECKING, Any

from tagger.types import Failure, Prediction, PredictOptions
from tagger.version import __version__

# torch's threads wait for each other by spinning, which beside other programs takes the time of the
# thread they wait for: beside one with two threads, a training step took fourteen times as long.
# With fewer turns it takes two and a half times as long, and 7 % longer on an idle machine. libgomp
# reads this when torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

if TYPE_CHECKING:
    from tagger.app.predict import predict as predict

__all__ = ["Failure", "PredictOptions", "Prediction", "__version__", "predict"]


def __getattr__(name: str) -> Any:
    """Import on first use: `import tagger` must cost nothing."""
    if name == "predict":
        from tagger.app.predict import predict

        return predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
