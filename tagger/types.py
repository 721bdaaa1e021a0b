"""The values that packages pass to each other; pure data, without torch and without I/O."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, get_args


@dataclass(frozen=True, slots=True)
class Track:
    """One audio file, with the size and time by which a later run recognises it.

    The numbers fit into 64 bits with a sign, as SQLite stores them; see `of`.
    """

    path: Path  # absolute
    size: int  # bytes
    mtime_ns: int
    # A stored prediction does not depend on it, since a rename or a new mode changes it. A stored
    # tag does, since no program can set it back.
    ctime_ns: int = field(default=0, compare=False)
    # The fingerprint of its audio, by which a later run recognises it if anything else has changed;
    # None if it is not known, b"" if the file has none.
    audio: bytes | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Track:
        """The track at this path, from the status of the file.

        A file system may know dates before 1677 and after 2262, which do not fit into 64 bits of
        nanoseconds. They are stored modulo 2**64, so that a changed date still differs.
        """
        size, mtime_ns, ctime_ns = map(
            _to_64_bits, (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        )
        return cls(path, size, mtime_ns, ctime_ns)


def _to_64_bits(number: int) -> int:
    """The number with the same last 64 bits that is from -2**63 to 2**63 - 1."""
    return (number + 2**63) % 2**64 - 2**63


NO_SOUND = "a video without sound"  # the reason of a `Failure` that is nobody's fault
BY_HAND = "decided by hand"  # the reason of an `Outcome` whose genres a person chose


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing could be predicted for a path; a value, so that one bad file never ends a run."""

    path: Path
    reason: str
    lasting: bool = True  # false if the next run may succeed: permissions, a lost mount


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model predicts for one track: the mean over its windows (by album, over its tracks).

    `probabilities` has one value per label, in the order of `labels`. `agreement` is the share of
    windows whose best label is the best label of the mean.
    """

    track: Track
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    agreement: float
    windows: int
    seconds: float  # decoded length of the track
    multi_label: bool = False  # each label has a probability of its own; they do not sum to one
    # With several models: why one of them finds no music, and the confidence the best genre needs.
    no_music: str = ""
    floor: float | None = None
    note: str = ""  # what a person should know about how the track was decoded
    precision: str = ""  # that it was computed in; "" if an earlier version stored it
    stored: bool = field(default=False, compare=False)  # by an earlier run

    @property
    def is_silent(self) -> bool:
        """Whether the track is silent: then no label has any probability."""
        return not any(self.probabilities)

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """`(label, probability)`, best first; ties keep the order of the labels."""
        pairs = zip(self.labels, self.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


def common_precision(precisions: Iterable[str]) -> str:
    """The precision of a mean of predictions: each one once; "" if one is not known."""
    each = sorted({*precisions})
    return "" if "" in each else " + ".join(each)


@dataclass(frozen=True, slots=True)
class TagInfo:
    """What a run needs to know about one file's tag; a text that the tag lacks is ""."""

    genres: tuple[str, ...] = ()
    note: str = ""  # our own field, see `genres.provenance`
    album: str = ""
    album_artist: str = ""
    artist: str = ""
    compilation: bool = False
    release: str = ""  # its id at MusicBrainz
    # Fields where some programs look for the genre, and which do not have these genres. The one of
    # ID3v1 never counts: no program prefers it.
    outdated: tuple[str, ...] = ()


Id3Version = Literal["keep", "2.4", "2.3"]


@dataclass(frozen=True, slots=True)
class TagOptions:
    """How a genre is stored in a tag."""

    id3: Id3Version = "keep"  # of every tag that is written; keep: only a new one is 2.4
    id3v23_join: str = "; "  # between genres where ID3 before 2.4 allows one value
    wav_info: bool = True  # a WAV without a RIFF INFO list gets one
    charset: str | None = None  # of texts in ID3v1, RIFF INFO and ID3v2 that say Latin-1


@dataclass(frozen=True, slots=True)
class GenreFields:
    """The genre fields of one file as they are stored, enough to put them back.

    `values` maps a field ("TCON", "id3v1", "ape:Genre", "GENRE", "©gen" ...) to its raw values; a
    field that the file lacks is missing. Our own provenance field is among them, as "note".
    `has_tags` is false where there is no tag block. `frames` are those of an ID3v2 tag that hold
    genre and note: where each is among all frames, and its bytes; `version` is that tag's, 2 to 4.
    `patch` gives back the whole file, as long as it is as the change left it, see `files.patch`.
    `options` are those of the change.
    """

    values: Mapping[str, tuple[str, ...]]
    has_tags: bool
    version: int = 0
    frames: tuple[tuple[int, bytes], ...] = ()
    patch: str = field(default="", compare=False)
    options: TagOptions = field(default=TagOptions(), compare=False)


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """How a waveform becomes the features of a model; the defaults are AST's.

    Lengths are in samples at `rate` Hz. `frames` is the number that the model was built for.
    """

    rate: int = 16_000
    frames: int = 1024
    mel_bins: int = 128
    mean: float = -4.2677393
    std: float = 4.5689974
    kind: Literal["ast", "maest"] = "ast"

    def __post_init__(self) -> None:
        sizes = (self.rate, self.frames, self.mel_bins, self.hop_length, self.window_samples)
        if self.kind not in ("ast", "maest") or min(sizes) < 1 or not self.std > 0:
            raise ValueError(f"unusable front end: {self}")

    @property
    def frame_length(self) -> int:
        """25 ms; for MAEST 512 samples at any rate."""
        return 512 if self.kind == "maest" else self.rate * 25 // 1000

    @property
    def hop_length(self) -> int:
        """10 ms; for MAEST 256 samples at any rate."""
        return 256 if self.kind == "maest" else self.rate * 10 // 1000

    @property
    def fft_size(self) -> int:
        """The smallest power of two that holds a frame."""
        return 1 << (self.frame_length - 1).bit_length()

    @property
    def window_samples(self) -> int:
        """The samples that fill `frames` frames exactly: 164,080 for AST.

        MAEST's first and last frame lie half outside: 480,000 samples for its 1876 frames.
        """
        inside = 0 if self.kind == "maest" else self.frame_length
        return inside + self.hop_length * (self.frames - 1)


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """Which tracks a run is about, besides the paths that the user names."""

    follow_links: bool = False  # even to places outside the paths
    exclude: tuple[str, ...] = ()  # lines of a gitignore file, see `files.ignore.check_pattern`
    from_file: Path | None = None  # a list of more paths; "-" is standard input
    null: bool = False  # they end with NUL characters, not with lines
    suffixes: tuple[str, ...] = ()  # of more files, such as ".mkv"


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """How to predict; apart from rounding, only `windows` changes the prediction."""

    windows: int | Literal["auto"] | None = "auto"  # per track; see `audio.windows.WindowPlan`
    batch_size: int | None = None  # windows; None chooses for the device
    workers: int | None = None  # decoding processes; None chooses from the cores
    device: str = "auto"  # one of DEVICES
    precision: str = "auto"  # one of PRECISIONS
    decode_timeout: float = 120  # s for one track, or for each 32 windows of a long one


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How files are written; the defaults are the safe choices."""

    keep_mtime: bool = False  # players then miss the change
    break_hardlinks: bool = False  # a replaced file leaves its other names with the old content
    drop_attributes: bool = False  # write without extended attributes that cannot be kept
    provenance: bool = False  # add our own field; an existing one is always kept up to date
    tags: TagOptions = TagOptions()


DEFAULT_MODEL = "gtzan-small"  # the bundled one; here, since --help names it without loading models
ID3_VERSIONS = get_args(Id3Version)
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


class Action(str, Enum):
    """What was done with one track; the column `action` of the report."""

    WRITTEN = "written"
    WOULD_WRITE = "would-write"
    KEPT = "kept"
    UNSURE = "unsure"
    NO_MUSIC = "no-music"
    UNCHANGED = "unchanged"
    PREDICTED = "predicted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the report: a path, its prediction, and what was done."""

    path: Path
    action: Action
    reason: str = ""
    prediction: Prediction | None = None
    existing: tuple[str, ...] = ()  # genres in the file before this run
    genres: tuple[str, ...] = ()  # written, or to be written; () if the tag stays as it is
    ranked: tuple[tuple[str, float], ...] = ()  # (genre, confidence), best first

    @property
    def after(self) -> tuple[str, ...]:
        """Genres in the file after this run; for a dry run, after what it would write."""
        return self.genres or self.existing
