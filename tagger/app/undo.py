"""The commands that change tags without a model: apply an edited report, undo, list the runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tagger.app.progress import Screen
from tagger.app.tag import Summary, clear_folders, shown
from tagger.errors import StateError
from tagger.state.journal import Change, Run
from tagger.state.store import State, default_state, open_state
from tagger.types import Action, Outcome, Track, WriteOptions
from tagger.writing.edits import Edit, read_edits
from tagger.writing.undo import moved_tracks, undo_changes
from tagger.writing.writer import Writer, edit_outcome, forget_unmade


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """What `tag-genres apply` is asked to do; a row without a genre is left alone in any case."""

    file: Path
    every: bool = False  # write the rows that nobody edited, too, where there is no genre
    state: Path | None = None
    dry_run: bool = False
    writing: WriteOptions = field(default_factory=WriteOptions)


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """What `tag-genres undo` is asked to take back.

    With `runs`, what those wrote; else, with `paths`, the last change of each file there; else what
    the last run wrote. `moved` are the old and the new place of a library.
    """

    runs: Sequence[int] = ()
    paths: Sequence[Path] = ()
    moved: tuple[Path, Path] | None = None
    state: Path | None = None
    dry_run: bool = False
    writing: WriteOptions = field(default_factory=WriteOptions)


def apply_csv(request: ApplyRequest, screen: Screen) -> Summary:
    """Write the genres that a person changed in a report. Raises `ReportError`, `StateError`."""
    edits = read_edits(request.file)
    with open_state(request.state, screen.say) as state, state.alone(screen.say):
        forget_unmade(state)
        summary = Summary(state=request.state)
        if not request.dry_run:
            summary.run = state.begin_run("apply", request.file.name)
            clear_folders(edit.path.parent for edit in edits)
        writer = Writer(state, summary.run, request.writing)
        outcomes = (_edited(edit, writer, every=request.every) for edit in edits)
        try:
            for _ in shown(outcomes, len(edits), "applying", summary, screen):
                pass
        except BaseException:  # Ctrl-C: what was written so far can be undone too
            # The file that it came at is written, and was not counted.
            summary.actions[Action.WRITTEN] = len(state.changes(summary.run))
            if summary.how_to_undo:
                screen.say(summary.how_to_undo)
            raise
    return summary


def _edited(edit: Edit, writer: Writer, *, every: bool) -> Outcome:
    if not edit.genres:
        return Outcome(edit.path, Action.UNCHANGED, "its row has no genre")
    if not (every or edit.edited):
        return Outcome(edit.path, Action.UNCHANGED, "nobody edited its row")
    return edit_outcome(edit, writer)


def undo(request: UndoRequest, screen: Screen) -> tuple[str, Summary]:
    """Take changes back, last first; whose they were, and what became of them.

    Raises `StateError` if there is nothing to undo.
    """
    with _existing_state(request.state) as state, state.alone(screen.say):
        if request.dry_run:
            state.rehearse()
        moves = _moves(request, state)
        state.relocate(moves)
        what, changes = _changes(request, state)
        summary = Summary(state=request.state)
        if not request.dry_run:
            summary.run = state.begin_run("undo")
            clear_folders(change.old.path.parent for change in changes)
        writer = Writer(state, summary.run, request.writing)
        outcomes = undo_changes(changes, writer)
        for _ in shown(outcomes, len(changes), "undoing", summary, screen):
            pass
    return what, summary


def list_runs(state_path: Path | None) -> list[Run]:
    """The runs that changed tags, first to last."""
    with _existing_state(state_path) as state:
        return state.runs()


def _existing_state(path: Path | None) -> State:
    """A state that is not there has nothing to undo, and one that is damaged stays where it is."""
    chosen = path or default_state()
    if not chosen.exists():
        raise StateError(f"nothing to undo: no run has written tags ({chosen} does not exist)")
    return State(chosen, ours=path is None)


def _moves(request: UndoRequest, state: State) -> dict[Path, Track]:
    if request.moved is None:
        return {}
    old, new = request.moved
    moves = moved_tracks(state, old, new)
    if not moves and not any(_is_under(change.old.path, [new]) for change in state.last_of_each()):
        raise StateError(
            f"no file that was tagged under {old} is now under {new}; "
            "give the folder as it was then, and the folder that holds the same files now"
        )
    return moves


def _changes(request: UndoRequest, state: State) -> tuple[str, list[Change]]:
    """Whose changes are to be undone, and the changes, last first."""
    for run in request.runs:
        if not state.has_run(run):
            raise StateError(f"there is no run {run} in {state.path}; see: tag-genres undo --list")
    if request.paths and not request.runs:
        what, found = ", ".join(map(str, request.paths)), state.last_changes()
    else:
        last = state.last_run()
        if not request.runs and last is None:
            raise StateError(
                f"nothing to undo: no run in {state.path} has written tags that still stand; "
                "to take back an undo, see: tag-genres undo --list"
            )
        runs = request.runs or [last or 0]
        what, found = f"run {', '.join(map(str, runs))}", state.changes(*runs)
    if request.paths:
        found = [change for change in found if _is_under(change.old.path, request.paths)]
    if not found:
        raise StateError(f"nothing to undo: {what} wrote nothing that still stands")
    return what, found


def _is_under(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
