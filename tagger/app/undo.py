"""`tag-genres undo`: restore what runs replaced, or list the runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tagger.app.json_lines import JsonLines
from tagger.app.progress import Progress, naming
from tagger.app.summary import Summary, clear_folders, shown, undoable
from tagger.errors import StateError
from tagger.files.scan import identity, lies_in
from tagger.state.decisions import Decided
from tagger.state.journal import Change, Run
from tagger.state.store import State, default_state
from tagger.types import Action, WriteOptions
from tagger.writing.moved import Moves, Search, folders_of, is_missing
from tagger.writing.undo import undo_changes
from tagger.writing.writer import Writer


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """What `tag-genres undo` is asked to undo.

    With `runs`, their changes; otherwise, with `paths`, the last change to each file there;
    otherwise the changes of the last run. `moved` is the old and the new place of a library.
    With `force`, genres that somebody has set since are replaced too.
    """

    runs: Sequence[int] = ()
    paths: Sequence[Path] = ()
    moved: tuple[Path, Path] | None = None
    state: Path | None = None
    dry_run: bool = False
    force: bool = False
    lines: JsonLines | None = None
    writing: WriteOptions = field(default_factory=WriteOptions)


def undo_tags(request: UndoRequest, progress: Progress) -> tuple[str, Summary]:
    """Undo changes, latest first; returns what was undone, in words, and the counts.

    Raises `StateError` if there is nothing to undo.
    """
    with _existing_state(request.state) as state, state.locked(progress.say):
        if request.dry_run:
            state.rehearse()
        runs = request.runs or ([] if request.paths else [_last_run(state)])
        what, changes = _changes(request, runs, state, progress)
        summary = Summary(state=request.state, lines=request.lines, dry_run=request.dry_run)
        if not request.dry_run:
            summary.run = state.begin_run("undo")
            clear_folders(change.old.path.parent for change in changes)
        writer = Writer(state, summary.run, request.writing)
        named = naming(changes, lambda change: change.old.path, progress)
        outcomes = undo_changes(named, writer, force=request.force)
        with undoable(summary, state, progress):
            rows = shown(outcomes, len(changes), "undoing", summary, progress)
            put_back, had_back = set[Path](), set[Path]()  # several changes may be of one file
            for row in rows:
                if row.action is Action.UNCHANGED:
                    had_back.add(row.path)
                elif row.action is not Action.FAILED:
                    put_back.add(row.path)
            summary.put_back, summary.had_back = len(put_back), len(had_back - put_back)
            if summary.run is not None:
                _take_back(_unwritten(request, runs, state), state, summary.run, progress)
                state.bring_back(*runs)
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


def _unwritten(request: UndoRequest, runs: Sequence[int], state: State) -> list[Decided]:
    """The decisions to be undone that changed no file; others go with their changes."""
    found = state.unwritten_decisions(*runs)
    return [decided for decided in found if _is_under(decided.path, request.paths)]


def _take_back(decided: Sequence[Decided], state: State, run: int, progress: Progress) -> None:
    state.take_back(decided, run)
    if count := len(decided):
        tracks = f"{count:,} track{'s' * (count != 1)}"
        progress.say(f"no longer decided by hand: {tracks} whose genre stayed")


def _changes(
    request: UndoRequest, runs: Sequence[int], state: State, progress: Progress
) -> tuple[str, list[Change]]:
    """What is undone, in words, and its changes, latest first, at the present places of files."""
    for run in request.runs:
        if not state.has_run(run):
            raise StateError(f"there is no run {run} in {state.path}; see: tag-genres undo --list")
    if request.moved:
        _follow_library(request, request.moved, state, progress)

    def find() -> list[Change]:
        return state.changes(*runs) if runs else state.last_changes()

    what = f"run {', '.join(map(str, runs))}" if runs else ", ".join(map(str, request.paths))
    found = find()
    chosen = {change.id for change in found if _is_under(change.old.path, request.paths)}
    # Of files that were elsewhere, only those that are gone can be among the chosen ones now.
    missing = [
        change
        for change in found
        if (is_missing(change) if change.id in chosen else not change.old.path.exists())
    ]
    if missing:
        near = [change for change in missing if change.id in chosen]
        folders = [*filter(Path.is_dir, request.paths), *(folders_of(near, state) if near else ())]
        state.relocate(_searched(Search(missing, state, force=request.force), folders, progress))
        found = find()
        chosen |= {change.id for change in found if _is_under(change.old.path, request.paths)}
    found = [change for change in found if change.id in chosen]
    if not found and not _unwritten(request, runs, state):
        raise StateError(f"nothing to undo: {what} has no changes left to undo")
    return what, found


def _follow_library(
    request: UndoRequest, moved: tuple[Path, Path], state: State, progress: Progress
) -> None:
    """Find the files of a library at its new place."""
    old, new = moved
    last = state.last_of_each()
    missing = [each for each in last if _is_under(each.old.path, [old]) and is_missing(each)]
    moves = _searched(Search(missing, state, moved, request.force), [new], progress)
    moves = [move for move in moves if _is_under(move[1].path, [new])]
    if not moves and not any(_is_under(change.old.path, [new]) for change in last):
        raise StateError(
            f"no file that was tagged under {old} is now under {new}; "
            "give the folder where the files were then, and the folder where they are now"
        )
    state.relocate(moves)


def _searched(search: Search, folders: Sequence[Path], progress: Progress) -> Moves:
    if count := len({change.old.path for change in search.missing}):
        progress.say(f"{count:,} file{'s' * (count != 1)} moved or gone; looking for their audio")
    with progress.busy("looking for moved files"):
        return search.run(folders)


def _last_run(state: State) -> int:
    last = state.last_run()
    if last is None:
        raise StateError(
            f"nothing to undo: no run in {state.path} has changes left to undo; "
            "to undo an undo, see: tag-genres undo --list"
        )
    return last


def _is_under(path: Path, folders: Sequence[Path]) -> bool:
    if not folders or any(path.is_relative_to(folder) for folder in folders):
        return True
    # A system that ignores case, or a link, spells a path in several ways.
    return lies_in(path, {identity(folder) for folder in folders} - {None})
