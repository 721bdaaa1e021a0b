"""Predictions for files and folders, as values; `from tagger import predict`."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path

from tagger.files.scan import find_tracks
from tagger.models.find import find_model
from tagger.models.model import load_model
from tagger.types import (
    DEFAULT_MODEL,
    Failure,
    Prediction,
    PredictOptions,
    Track,
)


def predict(
    paths: Path | str | Iterable[Path | str],
    *,
    model: str = DEFAULT_MODEL,
    labels: Path | str | None = None,
    options: PredictOptions | None = None,
) -> list[Prediction | Failure]:
    """Predictions for files and folders, in the order of the paths; a bad track is a `Failure`.

    `labels` is a file with the names of the model's outputs, for a model whose own are not genres.
    Nothing is written, and earlier runs are ignored. Raises `CheckpointError` or `DeviceError`.
    """
    from tagger.audio.pool import DecoderPool
    from tagger.inference.predict import choose_workers, predict_tracks

    options = options or PredictOptions()
    given = [paths] if isinstance(paths, (str, Path)) else paths
    found = list(find_tracks(Path(path).expanduser() for path in given))
    tracks = [item for item in found if isinstance(item, Track)]
    names = None if labels is None else Path(labels).expanduser()
    info = find_model(model, quiet=True, labels=names)
    workers = choose_workers(options.workers, len(tracks))
    with DecoderPool(workers, options.decode_timeout) as pool:  # it starts while the model loads
        loaded = load_model(info, options)
        results = sorted(
            predict_tracks(tracks, loaded, info.plan(options.windows), pool), key=itemgetter(0)
        )
    in_order = (result for _, result in results)
    return [next(in_order) if isinstance(item, Track) else item for item in found]
