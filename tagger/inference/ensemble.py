"""Several models as one: the mean of their probabilities of each genre. Pure: no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from tagger.genres.labels import name_key
from tagger.genres.policy import Policy, rank_genres, why_no_music
from tagger.models.checkpoint import ModelInfo
from tagger.types import Prediction, Track, common_precision


def combine(
    predictions: Sequence[Prediction], models: Sequence[ModelInfo], policy: Policy
) -> tuple[Prediction, str]:
    """One prediction of a track from the predictions of several models, and how they differ.

    Its labels are the genres that the policy derives from the models' labels, in alphabetical
    order. Labels that differ only in spelling are one (in the first model's spelling), and a
    whitelist with a tree maps all models to the user's genres. The probability of a genre is the
    mean over all models, where a model that does not know it counts as 0: a genre that every model
    ranks first is first in the mean. The floor is the mean of the models' floors. `agreement` is
    the share of the models whose best genre is the best of the mean, and `windows` the sum over the
    models. The second value names each model's best genre, or is "" if they agree.
    """
    rankings = [rank_genres(prediction, policy) for prediction in predictions]
    shares: dict[str, list[float]] = {}
    spelled: dict[str, str] = {}
    for name, _ in chain.from_iterable(map(sorted, rankings)):
        spelled.setdefault(name_key(name), name)
    for name, share in chain.from_iterable(rankings):
        shares.setdefault(spelled[name_key(name)], []).append(share)
    count = len(predictions)
    means = {name: sum(shares[name]) / count for name in sorted(shares)}
    best = max(means, key=lambda name: means[name], default="")
    agreeing = sum(spelled[name_key(ranking[0][0])] == best for ranking in rankings if ranking)
    combined = replace(
        predictions[0],
        labels=tuple(means),
        probabilities=tuple(means.values()),
        agreement=agreeing / count,
        windows=sum(prediction.windows for prediction in predictions),
        multi_label=all(prediction.multi_label for prediction in predictions),
        # Models that know only genres must not outvote one that recognises other sounds.
        no_music=next(filter(None, (why_no_music(each, policy) for each in predictions)), ""),
        floor=sum(map(policy.floor, predictions)) / count,
        note=next((each.note for each in predictions if each.note), ""),
        precision=common_precision(each.precision for each in predictions),
        stored=all(each.stored for each in predictions),
    )
    if agreeing == count:
        return combined, ""
    best_of_each = (
        f"{info.short_name} {name} {share:.2f}"
        for info, ranking in zip(models, rankings, strict=True)
        for name, share in ranking[:1]
    )
    return combined, f"models differ: {', '.join(best_of_each)}"


def combined_labels(models: Sequence[ModelInfo], policy: Policy) -> tuple[str, ...]:
    """The labels of the combined prediction of these models; with one model, its own labels."""
    if len(models) == 1:
        return models[0].labels
    empty = (
        Prediction(Track(Path(), 0, 0), info.labels, (0.0,) * len(info.labels), 0, 0, 0)
        for info in models
    )
    return combine(list(empty), models, policy)[0].labels
