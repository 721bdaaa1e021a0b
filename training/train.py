"""One training run: from decoded clips to a trained network."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import ASTForAudioClassification, set_seed

from tagger.audio.windows import WindowPlan
from tagger.models.checkpoint import ModelInfo
from tagger.models.device import choose_device, choose_precision
from tagger.models.find import find_model
from tagger.types import FrontEnd
from training.augment.features import FeatureAugmenter, augmentation_of
from training.augment.waveforms import KINDS, WaveformAugmenter
from training.clips.decode import DecodedClip
from training.clips.leakage import read_learned_from
from training.errors import TrainingError
from training.loop.crops import CropDataset, CropSource, Teachers
from training.loop.features import (
    AUGMENTED_PASSES,
    BATCH,
    FeatureDataset,
    compute_features,
    digest_of,
    features_key,
    kept_features,
    pooled_outputs,
)
from training.loop.plan import LoopSettings, ShouldStop, Task, TrainingResult
from training.loop.trainer import train
from training.loop.validation import spread_windows, validation_set
from training.networks.logistic import fit_head
from training.networks.methods import (
    merged,
    pretrained_network,
    scratch_front_end,
    scratch_network,
    stored_dtype,
    with_dora,
)
from training.networks.student import HeadStudent, Student
from training.options import FEATURE_AUGMENTATION, FEATURES, VALID_FEATURES, FinetuneOptions

# Changes of features before they enter the network; "speed" changes the waveform.
FEATURES_ONLY = frozenset(FEATURE_AUGMENTATION) - {"speed"}


@dataclass(frozen=True, slots=True)
class InitialModel:
    """The model that every training of one command starts from."""

    labels: tuple[str, ...]
    network: ASTForAudioClassification
    front_end: FrontEnd
    info: ModelInfo | None  # of the checkpoint; None from scratch
    learned_from: tuple[dict[str, Any], ...]  # see `training.clips.leakage`
    dtype: torch.dtype  # in which the weights are saved

    @property
    def plan(self) -> WindowPlan:
        """All windows of a clip, as long as the network's."""
        return WindowPlan(self.front_end.window_samples, self.front_end.rate, count=None)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The decoded clips to learn from and to validate on."""

    labels: tuple[str, ...]
    train: Sequence[DecodedClip]
    valid: Sequence[DecodedClip] = ()
    teachers: Teachers = field(default_factory=Teachers)


@dataclass(frozen=True, slots=True)
class RunControl:
    """Where a training stores the files it resumes from, how it prints, and when it ends.

    A run with `should_stop` is one of several on the same features, which are stored in the parent
    folder; it writes no checkpoints.
    """

    folder: Path
    say: Callable[[str], None]
    steps: int | None = None  # in place of the options'
    should_stop: ShouldStop | None = None


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
    info = find_model(options.model, say, labels=options.labels)
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


def train_network(
    options: FinetuneOptions, initial: InitialModel, data: TrainingData, control: RunControl
) -> tuple[ASTForAudioClassification, TrainingResult]:
    """Train by the options' method; continue where an earlier call in the folder was stopped."""
    set_seed(options.seed)
    source = crop_source(options, initial, data)
    valid = replace(source, clips=data.valid)
    if options.trained_by.frozen:
        folder = control.folder if control.should_stop is None else control.folder.parent
        task = head_task(options, initial, (source, valid), folder)
    else:
        task = whole_task(options, initial, source, valid)
    settings = loop_settings(options, task.epoch_windows, control)
    task.crops.total = settings.draws
    result = train(task, settings, control.say, control.should_stop)
    if not options.trained_by.frozen:
        return merged(result.module.network), result
    initial.network.classifier = result.module.classifier
    return merged(initial.network.cpu()), result


def crop_source(options: FinetuneOptions, initial: InitialModel, data: TrainingData) -> CropSource:
    """The source of crops, with the augmentation of waveforms in the options."""
    kinds = [kind for kind in options.trained_by.augment if kind in KINDS]
    return CropSource(
        data.train,
        data.labels,
        initial.plan,
        data.teachers,
        WaveformAugmenter(kinds, initial.plan.rate) if kinds else None,
        augmentation_of(options.trained_by.augment).speed,
    )


def head_task(
    options: FinetuneOptions,
    initial: InitialModel,
    sources: tuple[CropSource, CropSource],
    folder: Path,
) -> Task:
    """Train only a head, on the frozen network's output for every window.

    The outputs for both sources, the train and the valid part, are computed once and stored in
    `folder`.
    """
    source, valid = sources
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    network = initial.network.to(device).eval().requires_grad_(False)
    digest = digest_of(network.audio_spectrogram_transformer)
    changes = options.trained_by.augment
    passes = AUGMENTED_PASSES if changes else 0

    def outputs(windows: Tensor) -> Tensor:
        return pooled_outputs(network, initial.front_end, windows, device, precision)

    features, owners = kept_features(
        folder / FEATURES,
        features_key(source, digest, passes, options.seed, changes, precision),
        lambda: compute_features(source, passes, options.seed, outputs, "features"),
    )
    inputs, valid_owners = spread_windows(valid.clips, initial.plan)
    if valid.clips:
        windows = torch.split(inputs, BATCH)
        inputs, _ = kept_features(
            folder / VALID_FEATURES,
            features_key(valid, digest, precision),
            lambda: (torch.cat([outputs(some) for some in windows]), valid_owners.tolist()),
        )
    crops = FeatureDataset(features, owners, source, options.balance, options.seed)
    student = HeadStudent(network.classifier.requires_grad_(True))
    return Task(student, crops, len(crops), validation_set(valid, inputs, valid_owners))


def whole_task(
    options: FinetuneOptions, initial: InitialModel, source: CropSource, valid: CropSource
) -> Task:
    """Train the whole network, or DoRA's adapters and the head, on random crops."""
    augmentation = augmentation_of(options.trained_by.augment)
    network = with_dora(initial.network) if options.method == "dora" else initial.network
    return Task(
        Student(network, source.teachers.means, augmentation.patch_drop),
        CropDataset(source, options.balance, options.seed, 0),
        source.windows,
        validation_set(valid, *spread_windows(valid.clips, initial.plan)),
        (initial.front_end, FeatureAugmenter(augmentation, initial.front_end)),
    )


def fit_logistic_head(options: FinetuneOptions, model: InitialModel, data: TrainingData) -> None:
    """Fit the head of the trained network in `model`, see `training.networks.logistic`."""
    device = choose_device(options.device)
    network = model.network.to(device).eval()
    labelled = [decoded for decoded in data.train if decoded.clip.label]
    source = CropSource(labelled, data.labels, model.plan)

    def outputs(windows: Tensor) -> Tensor:
        return pooled_outputs(network, model.front_end, windows, device, torch.float32)

    features, owners = compute_features(source, 0, options.seed, outputs, "head")
    labels = [data.labels.index(decoded.clip.label) for decoded in labelled]
    fit_head(network.cpu(), features, torch.tensor(labels)[owners])


def loop_settings(
    options: FinetuneOptions, epoch_windows: int, control: RunControl
) -> LoopSettings:
    """The settings of the training loop."""
    method = options.trained_by
    device = choose_device(options.device)
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # set by torchrun and accelerate
    batch = max(1, method.batch_size // processes)
    epoch_steps = epoch_windows / (batch * processes)
    return LoopSettings(
        method=method,
        steps=control.steps or options.steps or math.ceil(method.epochs * epoch_steps),
        epoch_steps=epoch_steps,
        batch=batch,
        processes=processes,
        seed=options.seed,
        device=device,
        precision=choose_precision(options.precision, device),
        keep=options.keep,
        folder=control.folder,
    )
