"""Make a bank: mixtures of all clips but those of the test part, and the teacher's targets."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass, fields
from math import ceil
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tagger.audio.windows import WindowPlan
from tagger.models.device import count_cores
from tagger.models.fbank import Fbank
from tagger.types import FrontEnd
from training.app.data import choose_clips, unlabelled_clips
from training.augment.mixtures import Mixer, Pools
from training.clips.clip import Clip
from training.clips.decode import DecodedClip, decode_clip
from training.clips.split import Split
from training.console import progress, say
from training.errors import TrainingError
from training.loop.bank import PROJECTION, Bank, BankIndex, blocks, quantised
from training.networks.methods import scratch_front_end, scratch_network
from training.networks.musicnn import EMBEDDING, TAGS, Musicnn
from training.options import BankOptions, ClipOptions, FinetuneOptions

BLOCK = 8  # sounds computed at once: their intermediate results stay small
LABELLED = 0.5  # share of the clips in mixtures that have a label, if there are others
TRAIN = 0.75  # share of the train part among them, so that most rows hold nothing of the valid part
WAVEFORMS, LENGTHS = "waveforms.i16", "lengths.npy"  # of the clips, until all rows are computed


def make_bank(options: BankOptions) -> None:
    """Compute the rows that the bank in `options.out` lacks. Raises `TaggerError`."""
    same = {field.name: getattr(options, field.name) for field in fields(ClipOptions)}
    split = choose_clips(FinetuneOptions(out=options.out, **same))
    clips = [*split.train, *split.valid]
    if options.unlabelled is not None:
        clips += unlabelled_clips(options.unlabelled, split)
    Musicnn(options.teacher)  # an error before hours of work
    front_end = shape_front_end(options.shape)
    if front_end.window_samples < Musicnn.front_end.window_samples:
        raise TrainingError(
            f"--shape {options.shape} has shorter windows than the 3 s of the teacher: choose "
            "another one"
        )
    made_by = {"seed": options.seed, "teacher": options.teacher.name, "split": split.name}
    index = BankIndex(
        options.crops,
        front_end.frames,
        front_end.mel_bins,
        2 * EMBEDDING + TAGS,
        tuple((clip.label, clip.name) for clip in clips),
        made_by,
    )
    bank = Bank.create(options.out, index)
    if not (options.out / PROJECTION).exists():
        store_waveforms(options.out, clips, front_end.rate)
        groups = mixture_groups(split, clips)
        compute_rows(Job(options.out, options.teacher, options.seed, groups, front_end), bank)
        bank.finish()
        for name in (WAVEFORMS, LENGTHS):
            (options.out / name).unlink()
    say(f"{index.rows} sounds of {front_end.window_samples / front_end.rate:.1f} s: {options.out}")


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
    """Decode all clips into one file, unless it is there.

    Raises `TrainingError` if one cannot be decoded: the rows would be others without it.
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
            waveform = joined(decode_clip(clip, plan))
            file.write(waveform.tobytes())
            lengths.append(len(waveform))
            shown.advance()
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
    teacher: Path
    seed: int
    groups: Sequence[tuple[float, Sequence[int]]]
    front_end: FrontEnd


def compute_rows(job: Job, bank: Bank) -> None:
    """Compute all rows that are not done, in a process for each core."""
    left = int((bank.done == 0).sum())
    workers = min(count_cores(), ceil(left / BLOCK))
    if workers < 2:
        compute_share(job, 0, 1)
        return
    with (
        ProcessPoolExecutor(workers, get_context("spawn")) as pool,
        progress(left, "teacher", "sounds") as shown,
    ):
        running = {pool.submit(compute_share, job, number, workers) for number in range(workers)}
        while running:
            finished, running = wait(running, timeout=1.0)
            for future in finished:
                future.result()
            now = int((bank.done == 0).sum())
            shown.advance(left - now)
            left = now


def compute_share(job: Job, worker: int, workers: int) -> None:
    """The rows of one of `workers` processes."""
    torch.set_num_threads(1)
    bank = Bank(job.folder, writable=True)
    lengths = np.load(job.folder / LENGTHS)
    audio = np.memmap(job.folder / WAVEFORMS, np.int16, "r")
    ends = np.cumsum(lengths)
    clips = [audio[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    front_end = job.front_end
    mixer = Mixer(clips, Pools(job.groups, lengths), front_end.window_samples, front_end.rate)
    ear = Listener(front_end, Musicnn(job.teacher))
    for block in blocks(bank, BLOCK, worker, workers):
        mixtures = [mixer(np.random.default_rng((job.seed, row))) for row in block]
        rows = slice(block.start, block.stop)
        waveforms = torch.from_numpy(np.stack([mixture.waveform for mixture in mixtures]))
        gains = torch.from_numpy(np.stack([mixture.gains for mixture in mixtures]))
        features, targets = ear(waveforms, gains)
        bank.features[rows], bank.targets[rows] = features.numpy(), targets.numpy()
        bank.sources[rows] = [mixture.clips for mixture in mixtures]
        bank.shares[rows] = [mixture.shares for mixture in mixtures]
        bank.done[rows] = 1


class Listener:
    """What student and teacher get of the same sounds."""

    def __init__(self, front_end: FrontEnd, teacher: Musicnn) -> None:
        self.student = Fbank(front_end)
        self.teacher = teacher
        frames = ceil(front_end.window_samples / teacher.front_end.hop_length)
        whole = FrontEnd(kind="maest", mel_bins=96, frames=frames, mean=0.0, std=0.5)
        self.fbank = Fbank(whole)

    @torch.inference_mode()
    def __call__(
        self, waveforms: torch.Tensor, gains: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms `(n, samples)` and gains of their spectra `(n, bins)`.

        Returns stored features `(n, frames, mel_bins)` and targets `(n, 450)`: mean and deviation
        of the teacher's embeddings over the patches, and the mean of its probabilities.
        """
        features = self.student(waveforms, gains)
        embeddings, tags = self.teacher(self.fbank(waveforms, gains))
        deviation = embeddings.std(dim=1, unbiased=False)
        targets = torch.cat([embeddings.mean(dim=1), deviation, tags.mean(dim=1)], dim=1)
        return quantised(features, self.student.front_end), targets.half()
