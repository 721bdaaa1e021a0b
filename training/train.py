"""One training run: from sounds to a network whose weights are final."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import ASTForAudioClassification, set_seed

from tagger.audio.windows import WindowPlan
from tagger.models.checkpoint import ModelInfo
from tagger.models.device import choose_device, choose_precision
from tagger.models.find import find_model
from tagger.types import FrontEnd
from training.augment.features import FeatureAugmenter, only
from training.augment.waveforms import KINDS, WaveformAugmenter
from training.clips.leakage import read_learned
from training.clips.sounds import Sound
from training.errors import TrainingError
from training.loop.crops import CropDataset, Material, Teachers
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
from training.loop.plan import Judged, Loop, Trained, Watch
from training.loop.trainer import train
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
from training.options import FEATURE_AUGMENTATION, FEATURES, JUDGED_FEATURES, FinetuneOptions

FEATURES_ONLY = frozenset(FEATURE_AUGMENTATION) - {"speed"}
JUDGED_WINDOWS = 4  # of each clip, on the way; the figures of the end take the tagger's own


@dataclass(frozen=True, slots=True)
class Start:
    """Where every training of one command begins."""

    labels: tuple[str, ...]
    network: ASTForAudioClassification
    front_end: FrontEnd
    info: ModelInfo | None  # of the checkpoint; None from scratch
    known: tuple[dict[str, Any], ...]  # what it learned from, see `training.learned`
    dtype: torch.dtype  # in which the weights are saved

    @property
    def plan(self) -> WindowPlan:
        """All windows of a clip, as the network hears them."""
        return WindowPlan(self.front_end.window_samples, self.front_end.rate, count=None)


@dataclass(frozen=True, slots=True)
class Heard:
    """What is learned from and judged by, decoded."""

    labels: tuple[str, ...]
    train: Sequence[Sound]
    valid: Sequence[Sound] = ()
    teachers: Teachers = field(default_factory=Teachers)


def make_start(
    options: FinetuneOptions, labels: tuple[str, ...], say: Callable[[str], None]
) -> Start:
    """The network as it is before training; equal for equal seeds.

    Raises `TrainingError` where the labels are not those of a head that is to be trained further,
    or the head is none that can be fitted as asked.
    """
    if options.logistic_head and options.trained_by.head != "linear":
        raise TrainingError("--logistic-head fits a linear head, not that of --head mlp")
    unheard = set(options.trained_by.augment) & FEATURES_ONLY
    if options.trained_by.frozen and unheard:
        raise TrainingError(
            f"--augment {min(unheard)} changes features on their way into the network, which "
            f"--method {options.method} computes once: leave it out"
        )
    set_seed(options.seed)
    if options.method == "scratch":
        network = scratch_network(options.shape, labels, options.trained_by.head)
        front_end = scratch_front_end(network)
        return _on_device(options, Start(labels, network, front_end, None, (), torch.float16))
    info = find_model(options.model, say)
    check_head(info, labels, options)
    known = tuple(read_learned(info))
    if set(labels) == set(info.labels):
        labels = info.labels  # in the order that its head has them
    head = None if options.head is None and not options.makes_new_head else options.trained_by.head
    network = pretrained_network(info, labels, head, new_head=options.makes_new_head)
    dtype = stored_dtype(info.folder)
    return _on_device(options, Start(labels, network, info.front_end, info, known, dtype))


def _on_device(options: FinetuneOptions, start: Start) -> Start:
    device = choose_device(options.device)
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))  # else all processes use the first
    if device.type == "cpu" and not options.trained_by.frozen:
        # There the backward pass of fused attention takes half of a step: 0.9 s against 0.6 s for
        # 64 windows on 2 cores.
        start.network.set_attn_implementation("eager")
    return start


def check_head(info: ModelInfo, labels: tuple[str, ...], options: FinetuneOptions) -> None:
    """Raise `TrainingError` if a head for other labels would be replaced without being asked."""
    if options.makes_new_head or set(info.labels) == set(labels):
        return
    unknown = sorted(set(labels) - set(info.labels)) or sorted(set(info.labels) - set(labels))
    raise TrainingError(
        f"the labels of the clips are not those of {info.name}: {unknown[0]!r} is only in one of "
        "them; mend the folders' names, or train a new head with --new-head"
    )


@dataclass(frozen=True, slots=True)
class Task:
    """What the loop needs of a method."""

    student: nn.Module
    crops: CropDataset | FeatureDataset
    epoch: int  # windows
    judged: Judged | None
    hears: tuple[FrontEnd, FeatureAugmenter] | None = None  # None where inputs are features


def train_network(
    options: FinetuneOptions,
    start: Start,
    heard: Heard,
    folder: Path,
    say: Callable[[str], None],
    steps: int | None = None,
    watch: Watch | None = None,
) -> tuple[ASTForAudioClassification, Trained]:
    """Train by the options' method; `folder` keeps what a later call can go on from.

    `steps` fixes how long, in place of the options. A run that `watch` looks on, and may end, is
    one of several with the same features, kept in the folder above; it writes no checkpoints.
    """
    set_seed(options.seed)
    material = make_material(options, start, heard)
    judged = replace(material, sounds=heard.valid)
    if options.trained_by.frozen:
        kept_in = folder if watch is None else folder.parent
        task = head_task(options, start, material, judged, kept_in)
    else:
        task = whole_task(options, start, material, judged)
    loop = make_loop(options, task.epoch, steps, folder)
    task.crops.total = loop.draws
    trained = train(task.student, task.crops, task.judged, loop, task.hears, say, watch)
    if not options.trained_by.frozen:
        return merged(trained.module.network), trained
    start.network.classifier = trained.module.classifier
    return merged(start.network.cpu()), trained


def make_material(options: FinetuneOptions, start: Start, heard: Heard) -> Material:
    """What crops are cut from, with the changes of waveforms that were asked for."""
    kinds = [kind for kind in options.trained_by.augment if kind in KINDS]
    return Material(
        heard.train,
        heard.labels,
        start.plan,
        heard.teachers,
        WaveformAugmenter(kinds, start.plan.rate) if kinds else None,
        only(options.trained_by.augment).speed,
    )


def head_task(
    options: FinetuneOptions, start: Start, learned: Material, judged: Material, kept_in: Path
) -> Task:
    """A head alone, on what the frozen network makes of every window, computed once and kept."""
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)
    network = start.network.to(device).eval().requires_grad_(False)
    digest = digest_of(network.audio_spectrogram_transformer)
    changes = options.trained_by.augment
    passes = AUGMENTED_PASSES if changes else 0

    def outputs(windows: Tensor) -> Tensor:
        return pooled_outputs(network, start.front_end, windows, device, precision)

    features, sounds = kept_features(
        kept_in / FEATURES,
        features_key(learned, digest, passes, options.seed, changes, precision),
        lambda: compute_features(learned, passes, options.seed, outputs, "features"),
    )
    inputs, clips = spread_windows(judged.sounds, start.plan)
    if judged.sounds:
        windows = torch.split(inputs, BATCH)
        inputs, _ = kept_features(
            kept_in / JUDGED_FEATURES,
            features_key(judged, digest, precision),
            lambda: (torch.cat([outputs(some) for some in windows]), clips.tolist()),
        )
    crops = FeatureDataset(features, sounds, learned, options.balance, options.seed)
    student = HeadStudent(network.classifier.requires_grad_(True))
    return Task(student, crops, len(crops), judged_by(judged, inputs, clips))


def judged_by(material: Material, inputs: Tensor, clips: Tensor) -> Judged | None:
    """What the run is judged by on its way, if there is anything."""
    truth = [material.labels.index(sound.clip.label) for sound in material.sounds]
    return Judged(inputs, clips, torch.tensor(truth)) if truth else None


def whole_task(
    options: FinetuneOptions, start: Start, material: Material, judged: Material
) -> Task:
    """The whole network, or DoRA's share of it, on random crops."""
    augmentation = only(options.trained_by.augment)
    network = with_dora(start.network) if options.method == "dora" else start.network
    return Task(
        Student(network, material.teachers.means, augmentation.patch_drop),
        CropDataset(material, options.balance, options.seed, 0),
        material.windows,
        judged_by(judged, *spread_windows(judged.sounds, start.plan)),
        (start.front_end, FeatureAugmenter(augmentation, start.front_end)),
    )


def fit_logistic_head(options: FinetuneOptions, start: Start, heard: Heard) -> None:
    """Fit the head of the trained network that `start` holds, see `training.networks.logistic`."""
    device = choose_device(options.device)
    network = start.network.to(device).eval()
    labelled = [sound for sound in heard.train if sound.clip.label]
    material = Material(labelled, heard.labels, start.plan)

    def outputs(windows: Tensor) -> Tensor:
        return pooled_outputs(network, start.front_end, windows, device, torch.float32)

    features, sounds = compute_features(material, 0, options.seed, outputs, "head")
    owned = [heard.labels.index(sound.clip.label) for sound in labelled]
    fit_head(network.cpu(), features, torch.tensor(owned)[sounds])


def make_loop(options: FinetuneOptions, epoch: int, steps: int | None, folder: Path) -> Loop:
    """How long a run goes; `epoch` is the number of windows in one."""
    method = options.trained_by
    device = choose_device(options.device)
    processes = int(os.environ.get("WORLD_SIZE", "1"))  # as torchrun and accelerate say it
    batch = max(1, method.batch_size // processes)
    per_epoch = epoch / (batch * processes)
    return Loop(
        method=method,
        steps=steps or options.steps or math.ceil(method.epochs * per_epoch),
        epoch_steps=per_epoch,
        batch=batch,
        processes=processes,
        seed=options.seed,
        device=device,
        precision=choose_precision(options.precision, device),
        keep=options.keep,
        folder=folder,
    )


def spread_windows(sounds: Sequence[Sound], plan: WindowPlan) -> tuple[Tensor, Tensor]:
    """At most `JUDGED_WINDOWS` of each sound, `(n, samples)`, and its number for each, `(n,)`."""
    windows, owners = [], []
    for owner, sound in enumerate(sounds):
        every = [
            segment[start : start + plan.samples]
            for segment in sound.segments
            for start in range(0, len(segment) - plan.samples + 1, plan.samples)
        ]
        step = max(1, len(every) // JUDGED_WINDOWS)
        chosen = every[step // 2 :: step][:JUDGED_WINDOWS]
        windows += [torch.from_numpy(window.copy()) for window in chosen]
        owners += [owner] * len(chosen)
    if not windows:
        return torch.zeros(0, plan.samples), torch.zeros(0, dtype=torch.long)
    return torch.stack(windows), torch.tensor(owners)
