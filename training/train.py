"""One training run: from decoded clips to a trained network."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import ASTForAudioClassification, set_seed

from tagger.models.device import choose_device, choose_precision
from training.augment.features import FeatureAugmenter, augmentation_of
from training.augment.waveforms import KINDS, WaveformAugmenter
from training.errors import TrainingError
from training.evaluation.metrics import fitted
from training.initial import InitialModel, TrainingData
from training.loop.bank import HELD_OUT, Bank, BankDataset, HeldOutRows
from training.loop.crops import CropDataset, CropSource
from training.loop.features import (
    AUGMENTED_PASSES,
    BATCH,
    FeatureDataset,
    Outputs,
    compute_features,
    digest_of,
    features_key,
    features_of,
    in_parts,
    kept_features,
    pooled_outputs,
    windows_key,
)
from training.loop.plan import LoopSettings, ShouldStop, Task, TrainingResult, ValidationSet
from training.loop.trainer import train
from training.memory import Memory
from training.networks.logistic import balanced_regression, fit_head
from training.networks.methods import merged, with_dora
from training.networks.student import HeadStudent, LossWeights, Student
from training.options import FEATURES, VALID_FEATURES, FinetuneOptions

# Weight of the mean loss against the L2 penalty. Chosen on the valid part of GTZAN's filtered
# split, for teachers' outputs: a log loss of 0.72, with a tenth of it 0.83.
BANK_STRENGTH = 30.0


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

    @property
    def features(self) -> Path:
        """Where the outputs of a frozen network are stored."""
        return self.folder if self.should_stop is None else self.folder.parent


def train_network(
    options: FinetuneOptions, initial: InitialModel, data: TrainingData, control: RunControl
) -> tuple[ASTForAudioClassification, TrainingResult]:
    """Train by the options' method; continue where an earlier call in the folder was stopped."""
    set_seed(options.seed)
    if options.trained_by.frozen:
        task = head_task(options, initial, data, control)
    else:
        task = whole_task(options, initial, data)
    settings = loop_settings(options, task.epoch_windows, data.judged, control)
    task.crops.total = settings.draws
    result = train(task, settings, control.say, control.should_stop)
    if not options.trained_by.frozen:
        return merged(result.module.network, initial.dtype), result
    initial.network.classifier = result.module.classifier
    return merged(initial.network.cpu(), initial.dtype), result


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
    options: FinetuneOptions, initial: InitialModel, data: TrainingData, control: RunControl
) -> Task:
    """Train only a head, on the frozen network's output for every window.

    The outputs for the train and the valid part are computed once and stored in a file each, those
    of the valid part in float32, as all figures are measured.
    """
    source = crop_source(options, initial, data)
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    network = initial.network.to(device).eval().requires_grad_(False)
    digest = digest_of(network.audio_spectrogram_transformer)
    changes = options.trained_by.augment
    passes = AUGMENTED_PASSES if changes else 0
    memory = Memory(min(BATCH, windows_at_once(options)), control.say)

    def outputs(dtype: torch.dtype) -> Outputs:
        return in_parts(
            memory,
            lambda windows: pooled_outputs(network, initial.front_end, windows, device, dtype),
        )

    features, owners = kept_features(
        control.features / FEATURES,
        features_key(source, digest, passes, options.seed, changes, precision),
        lambda: compute_features(source, passes, options.seed, outputs(precision), "features"),
    )
    inputs, valid = data.valid.windows, data.valid.owners
    if data.valid.clips:
        inputs, _ = kept_features(
            control.features / VALID_FEATURES,
            windows_key(inputs, digest),
            lambda: (
                features_of(inputs, outputs(torch.float32), "valid features"),
                valid.tolist(),
            ),
        )
    crops = FeatureDataset(features, owners, source, options.balance, options.seed)
    student = HeadStudent(network.classifier.requires_grad_(True))
    return Task(student, crops, len(crops), validation_set(data, inputs), dtype=initial.dtype)


def whole_task(options: FinetuneOptions, initial: InitialModel, data: TrainingData) -> Task:
    """Train the whole network, or DoRA's adapters and the head, on random crops or on a bank."""
    if data.bank is not None:
        return bank_task(options, initial, data, data.bank)
    source = crop_source(options, initial, data)
    augmentation = augmentation_of(options.trained_by.augment)
    network = with_dora(initial.network) if options.method == "dora" else initial.network
    return Task(
        Student(network, source.teachers.means, augmentation.patch_drop, initial.heads),
        CropDataset(source, options.balance, options.seed, 0),
        source.windows,
        validation_set(data, data.valid.windows),
        (initial.front_end, FeatureAugmenter(augmentation)),
        initial.dtype,
    )


def bank_task(
    options: FinetuneOptions, initial: InitialModel, data: TrainingData, bank: Bank
) -> Task:
    """Train the whole network on the sounds of a bank that hold no music of held-out clips.

    Raises `TrainingError` if the bank has none of the music, or too little of a label.
    """
    learned = {(decoded.clip.label, decoded.clip.name) for decoded in data.train}
    rows = bank.rows_of(learned)
    if not len(rows):
        raise TrainingError(
            f"no sound in {bank.folder} is made only of train clips of --data: make a bank from "
            "the same --data and --split"
        )
    crops = BankDataset(bank, rows, bank_labels(bank, rows, data.labels), options.seed)
    drop = augmentation_of(options.trained_by.augment).patch_drop
    valid = bank.rows_of({(clip.label, clip.name) for clip in data.valid.clips}, unlabelled=False)[
        :HELD_OUT
    ]
    return Task(
        Student(initial.network, crops.means, drop, initial.heads),
        crops,
        len(crops),
        validation_set(data, data.valid.windows),
        (initial.front_end, None),
        initial.dtype,
        LossWeights(labels=1.0, smoothing=0.0),
        HeldOutRows(bank, valid, initial.front_end) if len(valid) > 1 else None,
    )


def bank_labels(bank: Bank, rows: NDArray[np.int64], labels: Sequence[str]) -> Tensor:
    """Probabilities of the labels for some rows of a bank, `(rows, labels)`.

    Most rows have no true label: they are mixtures, or music without labels. So logistic regression
    on the teachers' outputs is fitted to the rows with a single labelled clip, and its
    probabilities are the targets: on GTZAN's valid part it is right for 0.82 of the clips. Raises
    `TrainingError` if the bank has no such row of a label.
    """
    alone = bank.single_clip_rows(rows)
    names = [bank.index.clips[clip][0] for clip in bank.sources[alone, 0]]
    if lost := sorted(set(labels) - set(names)):
        raise TrainingError(
            f"{bank.folder} has no sound with one clip of {lost[0]!r} alone: make a new bank from "
            "--data, with more --crops"
        )
    known = torch.tensor([labels.index(name) for name in names])

    def targets(some: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(bank.targets[some].astype(np.float32))

    weight, bias = balanced_regression(targets(alone), known, BANK_STRENGTH)
    return (targets(rows) @ weight.T + bias).softmax(dim=-1)


def validation_set(data: TrainingData, inputs: Tensor) -> ValidationSet | None:
    """The valid part, with its windows as inputs of the student; None without clips.

    The metrics are those that a checkpoint saved now would have: `evaluation.metrics.fitted`.
    """
    truth = [clip.label for clip in data.valid.clips]
    if not truth:
        return None

    def score(windows: list[NDArray[np.floating]]) -> dict[str, float]:
        # A run that diverges ends with its own error, after this.
        finite = all(np.isfinite(of).all() for of in windows)
        windows = windows if finite else [np.zeros_like(of) for of in windows]
        metrics = fitted(truth, windows, data.labels, fit=not data.known)
        plain = metrics.uncalibrated or metrics
        return {
            "loss": float(plain.log_loss or 0.0) if finite else math.nan,
            data.judged: metrics.accuracy,
            f"balanced_{data.judged}": metrics.balanced_accuracy,
        }

    return ValidationSet(inputs, data.valid.owners, score)


def fit_logistic_head(
    options: FinetuneOptions, model: InitialModel, data: TrainingData, say: Callable[[str], None]
) -> None:
    """Fit the head of the trained network in `model`, see `training.networks.logistic`."""
    device = choose_device(options.device)
    network = model.network.to(device).eval()
    labelled = [decoded for decoded in data.train if decoded.clip.label]
    source = CropSource(labelled, data.labels, model.plan)

    outputs = in_parts(
        Memory(min(BATCH, windows_at_once(options)), say),
        lambda windows: pooled_outputs(network, model.front_end, windows, device, torch.float32),
    )
    features, owners = compute_features(source, 0, options.seed, outputs, "head")
    labels = [data.labels.index(decoded.clip.label) for decoded in labelled]
    fit_head(network.cpu(), features, torch.tensor(labels)[owners])


def batch_of(options: FinetuneOptions) -> int:
    """Windows per step and process."""
    return max(1, options.step_windows // process_count())


def windows_at_once(options: FinetuneOptions) -> int:
    """Windows that are computed at once, as long as memory suffices."""
    return math.ceil(batch_of(options) / options.accumulate)


def process_count() -> int:
    """How many processes share the run; torchrun and accelerate say so."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def loop_settings(
    options: FinetuneOptions, epoch_windows: int, judged: str, control: RunControl
) -> LoopSettings:
    """The settings of the training loop."""
    method = options.trained_by
    device = choose_device(options.device)
    epoch_steps = epoch_windows / (batch_of(options) * process_count())
    return LoopSettings(
        method=method,
        steps=control.steps or options.steps or math.ceil(method.epochs * epoch_steps),
        epoch_steps=epoch_steps,
        batch=batch_of(options),
        windows=windows_at_once(options),
        processes=process_count(),
        seed=options.seed,
        device=device,
        precision=choose_precision(options.precision, device),
        keep=options.keep,
        judged=judged,
        folder=control.folder,
    )
