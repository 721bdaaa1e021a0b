"""The options that a search varies, their ranges, and how Optuna stores them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from training.errors import TrainingError
from training.options import METHODS, SEED_AUGMENTATION, FinetuneOptions, Method, value_or

LEARNING_RATES = 5.0  # times the method's own, up and down
WEIGHT_DECAYS = (1e-3, 0.3)
BATCH_SIZES = (16, 32, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Values of the options that a search can vary; None for an option that does not vary."""

    learning_rate: float | None = None
    weight_decay: float | None = None
    batch_size: int | None = None
    augment: tuple[str, ...] | None = None

    def replace_in(self, options: FinetuneOptions) -> FinetuneOptions:
        """The options with these values; None leaves an option as it is."""
        return replace(
            options,
            learning_rate=value_or(self.learning_rate, options.learning_rate),
            weight_decay=value_or(self.weight_decay, options.weight_decay),
            batch_size=value_or(self.batch_size, options.batch_size),
            augment=value_or(self.augment, options.augment),
        )


def search_space(options: FinetuneOptions) -> dict[str, BaseDistribution]:
    """The ranges of the options that vary: those that the user did not give."""
    method = METHODS[options.method]
    own = method.learning_rate
    sets = [names(kinds) for kinds in ((), method.augment, SEED_AUGMENTATION)]
    space: dict[str, BaseDistribution] = {
        "learning_rate": FloatDistribution(own / LEARNING_RATES, own * LEARNING_RATES, log=True),
        "weight_decay": FloatDistribution(*WEIGHT_DECAYS, log=True),
        "batch_size": CategoricalDistribution(BATCH_SIZES),
    }
    if not method.frozen:
        space["augment"] = CategoricalDistribution(tuple(dict.fromkeys(sets)))
    given = as_params(
        Hyperparameters(
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            batch_size=options.batch_size,
            augment=options.augment,
        )
    )
    return {name: values for name, values in space.items() if name not in given}


def method_values(method: Method) -> Hyperparameters:
    """The method's own defaults."""
    return Hyperparameters(
        learning_rate=method.learning_rate,
        weight_decay=method.weight_decay,
        batch_size=method.batch_size,
        augment=method.augment,
    )


def as_params(values: Hyperparameters) -> dict[str, float | int | str]:
    """The values that are not None, as Optuna stores them."""
    params = {
        "learning_rate": values.learning_rate,
        "weight_decay": values.weight_decay,
        "batch_size": values.batch_size,
        "augment": None if values.augment is None else names(values.augment),
    }
    return {name: value for name, value in params.items() if value is not None}


def from_params(params: Mapping[str, Any]) -> Hyperparameters:
    """The inverse of `as_params`. Raises `TrainingError` for an unknown parameter."""
    left = dict(params)
    kinds = left.pop("augment", None)
    if kinds is not None:
        kinds = () if kinds == names(()) else tuple(kinds.split(","))
    values = Hyperparameters(
        learning_rate=left.pop("learning_rate", None),
        weight_decay=left.pop("weight_decay", None),
        batch_size=left.pop("batch_size", None),
        augment=kinds,
    )
    if left:
        raise TrainingError(f"the search has an unknown parameter: {min(left)}")
    return values


def names(kinds: tuple[str, ...]) -> str:
    """A set of augmentations as on the command line."""
    return ",".join(kinds) or "none"


def in_words(values: Hyperparameters) -> str:
    """The values for a line on the terminal."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.2g}"
        if isinstance(value, float)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in as_params(values).items()
    )
