"""`tag-genres apply`: write the genres that a person edited in a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tagger.app.json_lines import JsonLines
from tagger.app.progress import Progress, naming
from tagger.app.summary import Summary, clear_folders, shown, undoable
from tagger.genres.policy import Policy
from tagger.state.store import open_state
from tagger.types import Action, Outcome, WriteOptions
from tagger.writing.by_hand import write_edit
from tagger.writing.edits import Edit, read_edits
from tagger.writing.writer import Writer, forget_unfinished


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """A request to `tag-genres apply`; a row without a genre is always left alone."""

    file: Path
    encoding: str | None = None  # of a CSV; None: its rows show it
    every: bool = False  # also write rows that nobody edited, where the file has no genre
    policy: Policy = field(default_factory=Policy)  # which names count as no genre
    state: Path | None = None
    dry_run: bool = False
    lines: JsonLines | None = None
    writing: WriteOptions = field(default_factory=WriteOptions)


def apply_csv(request: ApplyRequest, progress: Progress) -> Summary:
    """Write the genres that a person changed in a report. Raises `ReportError`, `StateError`."""
    edits = read_edits(request.file, request.encoding)
    with open_state(request.state, progress.say) as state, state.locked(progress.say):
        forget_unfinished(state)
        summary = Summary(
            state=request.state, lines=request.lines, dry_run=request.dry_run, policy=request.policy
        )
        if not request.dry_run:
            summary.run = state.begin_run("apply", request.file.name)
            clear_folders(edit.path.parent for edit in edits)
        state.use_charset(request.writing.tags.charset)
        writer = Writer(state, summary.run, request.writing)
        named = naming(edits, lambda edit: edit.path, progress)
        outcomes = (_edited(edit, writer, request) for edit in named)
        with undoable(summary, state, progress):
            for _ in shown(outcomes, len(edits), "applying", summary, progress):
                pass
    return summary


def _edited(edit: Edit, writer: Writer, request: ApplyRequest) -> Outcome:
    if not edit.genres:
        return Outcome(edit.path, Action.UNCHANGED, "its row has no genre")
    if not (request.every or edit.edited):
        return Outcome(edit.path, Action.UNCHANGED, "nobody edited its row")
    return write_edit(edit, writer, request.policy)
