"""Make a bank: mixtures of all clips but those of the test part, and the teacher's targets."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError, Crashed
from tagger.models.device import count_cores
from tagger.models.fbank import Fbank
from tagger.types import FrontEnd
from training.app.data import choose_clips, unlabelled_clips
from training.augment.mixtures import Mixer, Mixture, Pools
from training.clips.clip import Clip
from training.clips.decode import DecodedClip, decode_clip
from training.clips.split import Split
from training.console import progress, say
from training.errors import TrainingError
from training.loop.bank import INDEX, Bank, BankIndex, blocks, identity, quantised
from training.loop.projection import COMPONENTS, Projection
from training.networks.methods import scratch_front_end, scratch_network
from training.networks.musicnn import MusicnnTeacher
from training.networks.teacher import Teacher, TeacherOutputs
from training.networks.yamnet import Yamnet
from training.options import BankOptions, ClipOptions, FinetuneOptions

BLOCK = 8  # sounds computed at once: their intermediate results stay small
SEGMENT_FRAMES = 16  # of the features, as many as in a patch
SAMPLE_ROWS = 768  # from which the components of the targets are computed
PROJECTION = "projection.npz"
LABELLED = 0.4  # share of the clips in mixtures that have a label, if there are others
TRAIN = 0.75  # share of the train part among them, so that most rows hold nothing of the valid part
WAVEFORMS, LENGTHS = "waveforms.i16", "lengths.npy"  # of the clips, until all rows are computed


def make_bank(options: BankOptions) -> None:
    """Compute the rows that the bank in `options.out` lacks. Raises `TaggerError`."""
    same = {field.name: getattr(options, field.name) for field in fields(ClipOptions)}
    split = choose_clips(FinetuneOptions(out=options.out, **same))
    clips = [*split.train, *split.valid]
    if options.unlabelled is not None:
        clips += unlabelled_clips(options.unlabelled, split)
    teachers = [load_teacher(path) for path in options.teacher]
    front_end = shape_front_end(options.shape)
    longest = max(teacher.seconds for teacher in teachers)
    if front_end.window_samples < longest * front_end.rate:
        raise TrainingError(
            f"--shape {options.shape} has shorter windows than the {longest:.0f} s of the teacher: "
            "choose another one"
        )
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in options.teacher
    }
    index = BankIndex(
        rows=options.crops,
        frames=front_end.frames,
        mel_bins=front_end.mel_bins,
        segments=front_end.frames // SEGMENT_FRAMES,
        width=COMPONENTS * len(teachers),
        clips=tuple(map(identity, clips)),
        made_by={"seed": options.seed, "teachers": digests, "split": split.name},
    )
    if not (options.out / INDEX).exists():  # what one that was deleted has left
        for name in (PROJECTION, LENGTHS):
            (options.out / name).unlink(missing_ok=True)
    bank = Bank.create(options.out, index)
    if not bank.done.all():
        store_waveforms(options.out, clips, front_end.rate)
        groups = mixture_groups(split, clips)
        job = Job(options.out, tuple(options.teacher), options.seed, groups, front_end)
        if not (options.out / PROJECTION).exists():
            fit_projection(job, bank)
        compute_rows(job, bank)
        bank.check_finished()  # a process may have been killed as the last one
    for name in (WAVEFORMS, LENGTHS):
        (options.out / name).unlink(missing_ok=True)
    say(f"{index.rows} sounds of {front_end.window_samples / front_end.rate:.1f} s: {options.out}")


def load_teacher(path: Path) -> Teacher:
    """Read musicnn from an .npz file, YAMNet from a .tflite file. Raises `TrainingError`."""
    if path.suffix == ".npz":
        return MusicnnTeacher(path)
    if path.suffix == ".tflite":
        return Yamnet(path)
    raise TrainingError(f"{path} is no teacher: give musicnn's .npz or YAMNet's .tflite file")


def shape_front_end(shape: str) -> FrontEnd:
    """The front end of a network from scratch."""
    return scratch_front_end(scratch_network(shape, ("a", "b")))


def mixture_groups(split: Split, clips: Sequence[Clip]) -> list[tuple[float, list[int]]]:
    """Weights and clips of the groups from which mixtures draw: labels equally often."""
    parts = {
        (clip.label, clip.name): part for part in ("train", "valid") for clip in split.part(part)
    }
    groups: dict[tuple[str, str], list[int]] = {}
    for index, clip in enumerate(clips):
        part = parts.get((clip.label, clip.name), "")
        groups.setdefault((part, clip.label), []).append(index)
    counts = {part: sum(of == part for of, _ in groups) for part in ("train", "valid", "")}
    weights = {"train": LABELLED * TRAIN, "valid": LABELLED * (1 - TRAIN), "": 1 - LABELLED}
    return [(weights[part] / counts[part], of) for (part, _), of in groups.items()]


def store_waveforms(folder: Path, clips: Sequence[Clip], rate: int) -> None:
    """Decode all clips into one file, if it does not exist yet.

    A clip that cannot be decoded is reported, and has length 0. Raises `TrainingError` if none can.
    """
    if (folder / LENGTHS).exists():
        return
    plan = WindowPlan(rate, rate)  # one second: shorter clips are repeated
    lengths = []
    with (
        (folder / WAVEFORMS).open("wb") as file,
        progress(len(clips), "decoding", "clips") as shown,
    ):
        for clip in clips:
            try:
                waveform = joined(decode_clip(clip, plan))
            except (AudioError, Crashed, OSError) as error:
                say(f"left out: {clip.path}: {error}")
                waveform = np.zeros(0, np.int16)
            file.write(waveform.tobytes())
            lengths.append(len(waveform))
            shown.advance()
    if not any(lengths):
        raise TrainingError("no clip can be decoded")
    partial = folder / f"{LENGTHS}.partial.npy"
    np.save(partial, np.array(lengths))
    partial.replace(folder / LENGTHS)


def joined(decoded: DecodedClip) -> NDArray[np.int16]:
    """All kept music of a clip, without repetitions, `(samples,)`."""
    whole = np.concatenate([segment[:] for segment in decoded.segments])  # float32
    whole = whole[: max(1, round(decoded.kept_seconds * decoded.rate))]
    result: NDArray[np.int16] = (whole * 32767).round().clip(-32767, 32767).astype(np.int16)
    return result


@dataclass(frozen=True, slots=True)
class Job:
    """What each process needs to compute rows."""

    folder: Path
    teachers: tuple[Path, ...]
    seed: int
    groups: Sequence[tuple[float, Sequence[int]]]
    front_end: FrontEnd


class RowMaker:
    """Makes sounds and what the teachers make of them, in blocks of rows."""

    def __init__(self, job: Job, bank: Bank) -> None:
        lengths = np.load(job.folder / LENGTHS)
        audio = np.memmap(job.folder / WAVEFORMS, np.int16, "r")
        ends = np.cumsum(lengths)
        clips = [audio[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        front_end = job.front_end
        pools = Pools(job.groups, lengths)
        self.mixer = Mixer(clips, pools, front_end.window_samples, front_end.rate)
        self.seed = job.seed
        self.bank = bank
        self.teachers = [load_teacher(path) for path in job.teachers]
        self.fbank = Fbank(front_end)

    def mixtures(self, rows: range) -> list[Mixture]:
        """The sounds of some rows: those of a row depend on nothing else."""
        return [self.mixer(np.random.default_rng((self.seed, row))) for row in rows]

    def outputs(self, mixtures: Sequence[Mixture]) -> tuple[Tensor, list[TeacherOutputs]]:
        """Waveforms `(rows, samples)`, and what each teacher makes of them."""
        waveforms = torch.from_numpy(np.stack([mixture.waveform for mixture in mixtures]))
        segments = self.bank.index.segments
        return waveforms, [teacher(waveforms, segments) for teacher in self.teachers]

    @torch.inference_mode()
    def write(self, block: range, projection: Projection) -> None:
        """Compute a block of rows, and store it."""
        mixtures = self.mixtures(block)
        waveforms, outputs = self.outputs(mixtures)
        bank, rows = self.bank, slice(block.start, block.stop)
        bank.features[rows] = quantised(self.fbank(waveforms), self.fbank.front_end).numpy()
        targets, segments = projection(outputs)
        bank.targets[rows], bank.segments[rows] = targets.numpy(), segments.numpy()
        bank.sources[rows] = [mixture.clips for mixture in mixtures]
        bank.done[rows] = 1


def fit_projection(job: Job, bank: Bank) -> None:
    """Choose the components of the targets by the first rows.

    Rows with music of held-out clips count too: only what the targets are made of depends on them.
    """
    maker = RowMaker(job, bank)
    count = min(SAMPLE_ROWS, bank.index.rows)
    found: list[list[TeacherOutputs]] = []
    with progress(count, "components", "sounds") as shown, torch.inference_mode():
        for start in range(0, count, BLOCK):
            rows = range(start, min(start + BLOCK, count))
            found.append(maker.outputs(maker.mixtures(rows))[1])
            shown.advance(len(rows))
    projection = Projection.fit(
        [
            TeacherOutputs(
                torch.cat([outputs.whole for outputs in of_one]),
                torch.cat([outputs.segments for outputs in of_one]),
            )
            for of_one in zip(*found, strict=True)
        ]
    )
    projection.save(job.folder / PROJECTION)


def compute_rows(job: Job, bank: Bank) -> None:
    """Compute all rows that are not done, in a process for each core."""
    left = int((bank.done == 0).sum())
    workers = min(count_cores(), ceil(left / BLOCK))
    if workers < 2:
        compute_share(job, 0, 1)
        return
    context = get_context("spawn")
    # As daemons, they end with this process, however it ends.
    processes = [
        context.Process(target=run_worker, args=(job, number, workers, os.getpid()), daemon=True)
        for number in range(workers)
    ]
    with progress(left, "teachers", "sounds") as shown:
        try:
            for process in processes:
                process.start()
            while alive := [process.sentinel for process in processes if process.is_alive()]:
                wait(alive, timeout=1.0)
                if failed := [of.exitcode for of in processes if of.exitcode]:
                    raise TrainingError(
                        f"a process that computes rows failed with status {failed[0]}; what it "
                        "said stands above, -9 is often too little memory: run the same command "
                        "to go on"
                    )
                now = int((bank.done == 0).sum())
                shown.advance(left - now)
                left = now
        finally:
            for process in processes:
                process.terminate()


def run_worker(job: Job, worker: int, workers: int, parent: int) -> None:
    """Compute a share of the rows in a process of its own, as long as its parent lives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
    compute_share(job, worker, workers, lambda: os.getppid() == parent)


def compute_share(
    job: Job, worker: int, workers: int, is_wanted: Callable[[], bool] = lambda: True
) -> None:
    """The rows of one of `workers` processes, as long as they are wanted."""
    torch.set_num_threads(1)
    maker = RowMaker(job, Bank(job.folder, writable=True))
    projection = Projection.load(job.folder / PROJECTION)
    for block in blocks(maker.bank, BLOCK, worker, workers):
        if not is_wanted():
            return
        maker.write(block, projection)
