"""`tag-genres undo`: restore what runs replaced, or list the runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tagger.app.progress import Progress
from tagger.app.summary import Summary, clear_folders, shown, undoable
from tagger.errors import StateError
from tagger.state.journal import Change, Run
from tagger.state.store import State, default_state
from tagger.types import Track, WriteOptions
from tagger.writing.undo import moved_tracks, undo_changes
from tagger.writing.writer import Writer


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """What `tag-genres undo` is asked to undo.

    With `runs`, their changes; otherwise, with `paths`, the last change to each file there;
    otherwise the changes of the last run. `moved` is the old and the new place of a library.
    """

    runs: Sequence[int] = ()
    paths: Sequence[Path] = ()
    moved: tuple[Path, Path] | None = None
    state: Path | None = None
    dry_run: bool = False
    writing: WriteOptions = field(default_factory=WriteOptions)


def undo_tags(request: UndoRequest, progress: Progress) -> tuple[str, Summary]:
    """Undo changes, latest first; returns what was undone, in words, and the counts.

    Raises `StateError` if there is nothing to undo.
    """
    with _existing_state(request.state) as state, state.locked(progress.say):
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
        with undoable(summary, state, progress):
            for _ in shown(outcomes, len(changes), "undoing", summary, progress):
                pass
    return what, summary


def list_runs(state_path: Path | None) -> list[Run]:
    """The runs that changed tags, first to last."""
    with _existing_state(state_path) as state:
        return state.runs()


def _existing_state(path: Path | None) -> State:
    """Open the state; unlike `open_state`, never create one or set a damaged one aside."""
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
            "give the folder where the files were then, and the folder where they are now"
        )
    return moves


def _changes(request: UndoRequest, state: State) -> tuple[str, list[Change]]:
    """What is undone, in words, and its changes, latest first."""
    for run in request.runs:
        if not state.has_run(run):
            raise StateError(f"there is no run {run} in {state.path}; see: tag-genres undo --list")
    if request.paths and not request.runs:
        what, found = ", ".join(map(str, request.paths)), state.last_changes()
    else:
        runs = request.runs or [_last_run(state)]
        what, found = f"run {', '.join(map(str, runs))}", state.changes(*runs)
    if request.paths:
        found = [change for change in found if _is_under(change.old.path, request.paths)]
    if not found:
        raise StateError(f"nothing to undo: {what} has no changes left to undo")
    return what, found


def _last_run(state: State) -> int:
    last = state.last_run()
    if last is None:
        raise StateError(
            f"nothing to undo: no run in {state.path} has changes left to undo; "
            "to undo an undo, see: tag-genres undo --list"
        )
    return last


def _is_under(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)
