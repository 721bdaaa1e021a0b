"""Predict the genres of a music library with an Audio Spectrogram Transformer, and tag it.

>>> from tagger import predict
>>> for prediction in predict("~/Music/Kind of Blue"):  # doctest: +SKIP
...     print(prediction.track.path, prediction.ranked[0])
"""

from typing import TYPE_CHECKING, Any

from tagger.types import Failure, Prediction, PredictOptions
from tagger.version import __version__

if TYPE_CHECKING:
    from tagger.app.predict import predict as predict

__all__ = ["Failure", "PredictOptions", "Prediction", "__version__", "predict"]


def __getattr__(name: str) -> Any:
    """Import on first use: `import tagger` must cost nothing."""
    if name == "predict":
        from tagger.app.predict import predict

        return predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
