"""The clips of a run: find and split them, check that a model can learn from them, decode them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tagger.models.checkpoint import first_unusable
from tagger.models.names import UnusableNames, check_names
from training.clips.artists import read_tags
from training.clips.clip import Clip
from training.clips.decoded_file import stored_clips
from training.clips.doubts import doubts
from training.clips.find import find_clips, find_unlabelled, name_artists
from training.clips.groups import copies
from training.clips.split import PARTS, Split
from training.clips.splits import make_split
from training.console import progress, say
from training.errors import TrainingError
from training.initial import InitialModel, TrainingData
from training.loop.bank import Bank
from training.loop.crops import Teachers
from training.loop.teachers import read_embeddings, read_soft_labels
from training.loop.validation import VALIDATION_WINDOWS, read_validation_clips
from training.memory import naming_out_of_memory
from training.options import DECODED, RUN, ClipOptions, FinetuneOptions

CLIPS_IN_MEMORY = (
    f"the clips do not fit, of which up to {VALIDATION_WINDOWS} windows each are kept: use fewer. "
    "A smaller --batch-size and --accumulate N save memory only later, in training"
)

FLATTERED = (
    "warning: clips of one artist or album may be both learned from and tested on, and the "
    "accuracy is then too high; name artists in the tags of the files, or by --artists FILE"
)


def labelled_clips(options: ClipOptions) -> list[Clip]:
    """The clips of the options, with what the tags of the files say. Raises `TrainingError`."""
    clips = read_tags(find_clips(options.data, say=say))
    return name_artists(clips, options.artists) if options.artists is not None else clips


def choose_clips(options: FinetuneOptions) -> Split:
    """The split of the clips, reported in a few lines.

    Raises `TrainingError` if labels are probably no genres, unless the options accept them.
    """
    clips = labelled_clips(options)
    counts = Counter(clip.label for clip in clips)
    shown = ", ".join(f"{label} {count}" for label, count in sorted(counts.items()))
    say(f"{len(counts)} labels: {shown}")
    if not options.labels_ok and (why := doubts(clips)):
        raise TrainingError(
            f"{why}: is each label in {options.data} a genre? Rename or move what is none, give "
            "the folder that holds the genres, or add --labels-ok to train on these labels"
        )
    report_conflicts(clips)
    split = make_split(clips, options.split, options.draw)
    report_split(split)
    return split


def report_conflicts(clips: Sequence[Clip]) -> None:
    """Name a recording that is under two labels: nothing can be learned from it."""
    first: dict[str, Clip] = {}
    pairs = [
        (first.setdefault(key, clip), clip) for key, clip in zip(copies(clips), clips, strict=True)
    ]
    if both := [(one, other) for one, other in pairs if one.label != other.label]:
        one, other = both[0]
        say(f"warning: a recording is under two labels: {one.path} and {other.path}")
        if len(both) > 1:
            say(f"warning: so are {len(both) - 1} others")


def report_split(split: Split) -> None:
    """Which split it is and why, and the sizes of its parts."""
    if split.reason:
        say(f"split: {split.name}, {split.reason}")
        if split.name == "random":
            say(FLATTERED)
    sizes = [f"{part} {len(split.part(part))}" for part in PARTS]
    note = f" ({split.note})" if split.note else ""
    say(f"clips: {', '.join(sizes)}, left out {len(split.left_out)}{note}")
    if not split.valid:
        say("warning: too few clips: none is left to choose the best epoch on")


def check_labels(split: Split) -> tuple[str, ...]:
    """The labels of the train part, in alphabetical order.

    Raises `TrainingError` if there is only one label, if a label has a single clip, if another part
    has a label that the train part lacks, or if the tagger would refuse a model with these labels.
    """
    counts = Counter(clip.label for clip in split.train)
    if len(counts) < 2:
        found = f"only {next(iter(counts))!r}" if counts else "none"
        raise TrainingError(f"at least two labels are needed, but the train part has {found}")
    if unusable := first_unusable(counts):
        raise TrainingError(
            f"{unusable!r} cannot be a label: it is not UTF-8 or holds control characters"
        )
    labels = counts.keys() | {clip.label for clip in (*split.valid, *split.test)}
    try:
        check_names(sorted(labels))  # of all parts: "Rock" to learn from, and "rock" to test on
    except UnusableNames as error:
        raise TrainingError(
            f"the tagger could not use these labels: {error}; rename or join their folders"
        ) from error
    single = sorted(label for label, count in counts.items() if count < 2)
    if single:
        raise TrainingError(
            f"at least two clips of each label are needed, but {single[0]!r} has only one"
        )
    if others := labels - counts.keys():
        raise TrainingError(
            f"the train part has no clip of {min(others)!r}, but another part has; "
            "try another --split or --fold"
        )
    return tuple(sorted(counts))


def load_data(
    options: FinetuneOptions, split: Split, initial: InitialModel, *, known: bool
) -> TrainingData:
    """Decode the clips of the train and valid part. Raises `TrainingError` for a lost label.

    Those to learn from (for a refit, those of both parts) are stored in the folder of the run.

    `known` says whether the initial model had learned from clips of the valid part.
    """
    bank = read_bank(options, initial, split) if options.bank is not None else None
    clips = list(split.train)
    if options.unlabelled is not None:
        if not (options.soft_labels or options.embeddings):
            raise TrainingError(
                "--unlabelled needs --teacher or --teacher-embedding to learn from; a bank holds "
                "its own unlabelled music"
            )
        clips += unlabelled_clips(options.unlabelled, split)
    taught = [*clips, *split.valid] if options.refits else clips
    teachers = read_teachers(options, taught)
    reported: set[str] = set()

    def report(line: str) -> None:
        if line not in reported:  # a valid clip may be decoded twice
            say(line)
        reported.add(line)

    with (
        naming_out_of_memory(CLIPS_IN_MEMORY),
        progress(len(taught) + len(split.valid), "decoding", "clips") as shown,
    ):
        file = options.out / RUN / DECODED
        decoded = stored_clips(file, taught, initial.plan, report, shown.advance)
        valid = read_validation_clips(split.valid, initial.tagged_plan, report, shown.advance)
    held_out = set(split.valid)
    train = [of for of in decoded if of.clip not in held_out]
    more = [of for of in decoded if of.clip in held_out]
    lost = sorted(set(initial.labels) - {decoded.clip.label for decoded in train})
    if lost:
        raise TrainingError(f"no clip of {lost[0]!r} can be decoded")
    if split.valid and not valid.clips:
        raise TrainingError("no clip of the validation part can be decoded")
    return TrainingData(initial.labels, train, valid, teachers, bank, known, more)


def read_bank(options: FinetuneOptions, initial: InitialModel, split: Split) -> Bank:
    """The bank of the options. Raises `TrainingError` if the network cannot learn from it."""
    assert options.bank is not None
    if options.method not in ("scratch", "full"):
        raise TrainingError(f"--method {options.method} cannot learn from a --bank, scratch can")
    if options.soft_labels or options.embeddings:
        raise TrainingError(
            "--bank holds the teachers' outputs: leave out --teacher and --teacher-embedding"
        )
    bank = Bank(options.bank)
    bank.check_finished()
    held_out = {str(clip.path.resolve()) for clip in (*split.valid, *split.test)}
    if both := held_out & {name for label, name in bank.index.clips if not label}:
        raise TrainingError(
            f"{options.bank} has a clip of the valid or test part as unlabelled music: {min(both)}"
        )
    front_end, index = initial.front_end, bank.index
    if (front_end.frames, front_end.mel_bins) != (index.frames, index.mel_bins):
        raise TrainingError(
            f"{options.bank} holds windows of {index.frames} frames of {index.mel_bins} bins, but "
            f"the network takes {front_end.frames} of {front_end.mel_bins}: choose another --shape"
        )
    return bank


def unlabelled_clips(folder: Path, split: Split) -> list[Clip]:
    """More music. Raises `TrainingError` if it holds a clip of the valid or test part."""
    held_out = {clip.path.resolve() for clip in (*split.valid, *split.test)}
    clips = find_unlabelled(folder)
    both = [clip.path for clip in clips if clip.path.resolve() in held_out]
    if both:
        raise TrainingError(f"--unlabelled holds a clip of the valid or test part: {both[0]}")
    return clips


def read_teachers(options: FinetuneOptions, clips: Sequence[Clip]) -> Teachers:
    """The teachers of the options. Raises `TrainingError` for a frozen network, which uses none."""
    soft, embeddings = options.soft_labels, options.embeddings
    if (soft or embeddings) and options.trained_by.frozen:
        raise TrainingError(f"--method {options.method} trains only a head, without teachers")
    return Teachers(
        read_soft_labels(soft, clips) if soft else None,
        read_embeddings(embeddings, clips).half_whitened() if embeddings else None,
    )
