"""Several models heard as one: the mean of what they make of each genre. Pure: no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from tagger.genres.labels import name_key
from tagger.genres.policy import Policy, rank_genres, why_no_music
from tagger.models.checkpoint import ModelInfo
from tagger.types import Prediction, Track


def combine(
    predictions: Sequence[Prediction], models: Sequence[ModelInfo], policy: Policy
) -> tuple[Prediction, str]:
    """One prediction of a track from that of each model, and where they differ, what each heard.

    Its labels are the genres that the policy makes of the models' labels, in alphabetical order:
    labels that differ in spelling alone coincide (the first model's counts), and a whitelist with a
    tree maps all models to the user's genres. The probability of a genre is the mean over all
    models, 0 by one that does not know it: a genre that leads with each of them leads the mean.
    So is the floor. `agreement` is the share of the models whose best genre is the best of the
    mean, and `windows` their number over all models.
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
        # One that knows what is no music is not outvoted by those that know nothing else.
        no_music=next(filter(None, (why_no_music(each, policy) for each in predictions)), ""),
        floor=sum(map(policy.floor, predictions)) / count,
    )
    if agreeing == count:
        return combined, ""
    told = (
        f"{info.short_name} {name} {share:.2f}"
        for info, ranking in zip(models, rankings, strict=True)
        for name, share in ranking[:1]
    )
    return combined, f"models differ: {', '.join(told)}"


def combined_labels(models: Sequence[ModelInfo], policy: Policy) -> tuple[str, ...]:
    """The labels that predictions of these models together have; of one model, its own."""
    if len(models) == 1:
        return models[0].labels
    nothing = (
        Prediction(Track(Path(), 0, 0), info.labels, (0.0,) * len(info.labels), 0, 0, 0)
        for info in models
    )
    return combine(list(nothing), models, policy)[0].labels
