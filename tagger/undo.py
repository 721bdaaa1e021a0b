"""Take changes back: put the genre fields of files as the journal says they were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tagger.apply import Writer, identify, reason_of, replace_tag, uninterrupted
from tagger.errors import ChangedSince, TagError
from tagger.journal import Change
from tagger.replace import check_replaceable
from tagger.state import State
from tagger.tags import field_genres, read_fields, read_genres, restore_fields
from tagger.types import Action, Outcome, Track


def undo_changes(changes: Iterable[Change], writer: Writer) -> Iterator[Outcome]:
    """One outcome per change; of one file the last change comes first."""
    planned: dict[Path, Outcome] = {}
    for change in changes:
        path = change.old.path
        if path in planned:
            # A dry run leaves the file as it is: go on from what it would be by now.
            genres = field_genres(change.before)
            outcome = replace(planned[path], existing=planned[path].genres, genres=genres)
        else:
            outcome = undo_change(change, writer)
        if outcome.action is Action.WOULD_WRITE:
            planned[path] = outcome
        yield outcome


def undo_change(change: Change, writer: Writer) -> Outcome:
    """Put back the genre fields that a file had before one change.

    A file that changed since is left alone and failed; one that never took the change is unchanged.
    """
    path, state = change.old.path, writer.state
    outcome = Outcome(path, Action.FAILED)
    try:
        if not writer.dry_run:
            change = state.refreshed(change)
        now = identify(path)
        if _is_as_before(change, now, state):
            if not writer.dry_run:
                state.mark_undone(change, writer.run, now)
            return replace(outcome, action=Action.UNCHANGED, reason="it never took the change")
        _check_unchanged(change, now, state)
        outcome = replace(outcome, existing=read_genres(path), genres=field_genres(change.before))
        if writer.dry_run:
            check_replaceable(path, writer.options)
            return replace(outcome, action=Action.WOULD_WRITE)
        with uninterrupted():
            after = replace_tag(
                now, lambda scratch: restore_fields(scratch, change.before), writer, change.id
            )
            state.mark_undone(change, writer.run, after)
        return replace(outcome, action=Action.WRITTEN)
    except (TagError, OSError) as error:
        return replace(outcome, action=Action.FAILED, reason=reason_of(error), genres=())


def moved_tracks(state: State, old: Path, new: Path) -> dict[Path, Track]:
    """Files of the journal that lay under `old`, are gone there, and lie under `new` now."""
    found = {}
    for path in state.paths():
        if path.is_relative_to(old) and not path.exists():
            moved = new / path.relative_to(old)
            if moved.is_file():
                found[path] = identify(moved)
    return found


def _is_as_before(change: Change, now: Track, state: State) -> bool:
    """Whether a run was killed before it made the change, or an undo before it could say so."""
    if state.is_restored(change, now):
        return True
    if now != change.old:
        return False
    # Where times are kept, or too coarse, old and new look alike: then the content tells.
    return change.old != change.new or read_fields(change.old.path) == change.before


def _check_unchanged(change: Change, now: Track, state: State) -> None:
    """Raise `ChangedSince` unless the file is what the change left."""
    path = change.old.path
    if (later := state.later_run(change)) is not None:
        raise ChangedSince(f"run {later} changed it later; undo that first", path)
    if now != change.new:
        raise ChangedSince("it changed since that run; its tag is left alone", path)
    if change.after is not None and read_genres(path) != change.after:
        raise ChangedSince("its genre changed since that run; it is left alone", path)
