"""What every training of a command starts from: the model, and the decoded clips."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import ASTForAudioClassification, set_seed

from tagger.audio.windows import WindowPlan
from tagger.models.checkpoint import ModelInfo
from tagger.models.device import choose_device
from tagger.models.find import find_model
from tagger.types import DEFAULT_MODEL, FrontEnd
from training.clips.decode import DecodedClip
from training.clips.leakage import read_learned_from
from training.errors import TrainingError
from training.evaluation.metrics import REMEMBERED
from training.loop.bank import Bank
from training.loop.crops import Teachers
from training.loop.validation import VALIDATION_WINDOWS, ValidationClips
from training.networks.methods import (
    pretrained_network,
    scratch_front_end,
    scratch_network,
    stored_dtype,
)
from training.options import FEATURE_AUGMENTATION, FinetuneOptions

# Changes of features before they enter the network; "speed" changes the waveform.
FEATURES_ONLY = frozenset(FEATURE_AUGMENTATION) - {"speed"}


@dataclass(frozen=True, slots=True)
class InitialModel:
    """The model that a training starts from."""

    labels: tuple[str, ...]
    network: ASTForAudioClassification
    front_end: FrontEnd
    info: ModelInfo | None  # of the checkpoint; None from scratch
    learned_from: tuple[dict[str, Any], ...]  # see `training.clips.leakage`
    dtype: torch.dtype  # in which the weights are saved
    heads: nn.ModuleDict | None = None  # for the teachers, of a training to go on from

    @property
    def plan(self) -> WindowPlan:
        """All windows of a clip, as long as the network's."""
        return self._plan(None)

    @property
    def tagged_plan(self) -> WindowPlan:
        """The windows of a clip by which a run is measured: as many as `evaluate.py` uses."""
        return self._plan(VALIDATION_WINDOWS)

    def _plan(self, count: int | None) -> WindowPlan:
        return WindowPlan(self.front_end.window_samples, self.front_end.rate, count=count)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The decoded clips to learn from and to validate on."""

    labels: tuple[str, ...]
    train: Sequence[DecodedClip]
    valid: ValidationClips = field(default_factory=ValidationClips)
    teachers: Teachers = field(default_factory=Teachers)
    bank: Bank | None = None
    known: bool = False  # whether the initial network had learned from clips of the valid part
    more: Sequence[DecodedClip] = ()  # clips that only a refit learns from

    @property
    def judged(self) -> str:
        """What the share of valid clips that are right is called, see `history.epoch_row`."""
        return REMEMBERED if self.known else "accuracy"


def make_initial_model(
    options: FinetuneOptions, labels: tuple[str, ...], say: Callable[[str], None]
) -> InitialModel:
    """The model before training; equal for equal seeds.

    Raises `TrainingError` if a head to train further has other labels, or if the head cannot be
    fitted as requested.
    """
    if options.logistic_head and options.trained_by.head != "linear":
        raise TrainingError("--logistic-head fits a linear head, not the one of --head mlp")
    without_effect = set(options.trained_by.augment) & FEATURES_ONLY
    if options.trained_by.frozen and without_effect:
        raise TrainingError(
            f"--augment {min(without_effect)} changes features before they enter the network, but "
            f"--method {options.method} runs the network only once: leave it out"
        )
    set_seed(options.seed)
    if options.method == "scratch":
        network = scratch_network(options.shape, labels, options.trained_by.head)
        front_end = scratch_front_end(network)
        return _on_device(
            options, InitialModel(labels, network, front_end, None, (), torch.float16)
        )
    info = find_model(
        options.model or DEFAULT_MODEL,
        say,
        labels=options.labels,
        needs_names=not options.makes_new_head,
    )
    check_head(info, labels, options)
    learned_from = tuple(read_learned_from(info))
    if set(labels) == set(info.labels):
        labels = info.labels  # in the order of its head
    head = None if options.head is None and not options.makes_new_head else options.trained_by.head
    network = pretrained_network(info, labels, head, new_head=options.makes_new_head)
    dtype = stored_dtype(info.folder)
    initial = InitialModel(labels, network, info.front_end, info, learned_from, dtype)
    return _on_device(options, initial)


def _on_device(options: FinetuneOptions, initial: InitialModel) -> InitialModel:
    device = choose_device(options.device)
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # else all processes use the first
    if device.type == "cpu" and not options.trained_by.frozen:
        # On a CPU the backward pass of fused attention is slow: with it a step takes 0.9 s instead
        # of 0.6 s, for 64 windows on 2 cores.
        initial.network.set_attn_implementation("eager")
    return initial


def check_head(info: ModelInfo, labels: tuple[str, ...], options: FinetuneOptions) -> None:
    """Raise `TrainingError` if a head for other labels would be replaced without a request."""
    if options.makes_new_head or set(info.labels) == set(labels):
        return
    unknown = sorted(set(labels) - set(info.labels)) or sorted(set(info.labels) - set(labels))
    raise TrainingError(
        f"the labels of the clips are not those of {info.name}: {unknown[0]!r} is only in one of "
        "them; rename the folders, or train a new head with --new-head"
    )
