"""What `tag-genres PATH...` is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tagger.app.json_lines import JsonLines
from tagger.genres.policy import Policy
from tagger.types import DEFAULT_MODEL, PredictOptions, ScanOptions, WriteOptions


@dataclass(frozen=True, slots=True)
class TagRequest:
    """What `tag-genres PATH...` is asked to do."""

    paths: Sequence[Path]
    scan: ScanOptions = field(default_factory=ScanOptions)
    model: Sequence[str] = (DEFAULT_MODEL,)
    labels: Path | None = None  # a file with the names of its outputs, see `models.names`
    write_tags: bool = False
    dry_run: bool = False
    by: str = "track"  # one of albums.BY
    predict_again: bool = False  # also what earlier runs predicted
    only_missing: bool = False  # do not predict a track that has a genre
    skip: Sequence[str] = ()  # genres and suffixes; a track that has one is not predicted
    csv: Path | None = Path("genres.csv")
    xlsx: Path | None = None
    playlists: Path | None = None  # a folder
    all_probabilities: bool = False
    lines: JsonLines | None = None
    state: Path | None = None
    policy: Policy = field(default_factory=Policy)
    options: PredictOptions = field(default_factory=PredictOptions)
    writing: WriteOptions = field(default_factory=WriteOptions)

    @property
    def reports(self) -> list[Path]:
        """The files that list the results."""
        return [report for report in (self.csv, self.xlsx) if report is not None]
