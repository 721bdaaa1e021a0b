"""Undo changes: restore the genre fields of files to what the journal recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tagger.errors import ChangedSince, TagError
from tagger.files.atomic import check_replaceable
from tagger.state.journal import Change
from tagger.state.store import State
from tagger.tags.genre_tag import field_genres, restore_fields
from tagger.tags.isolated import read_fields
from tagger.types import Action, GenreFields, Outcome, Track
from tagger.writing.encodings import split_genres
from tagger.writing.interrupts import uninterrupted
from tagger.writing.writer import Writer, examine, identify, reason_of, replace_tag


def undo_changes(changes: Iterable[Change], writer: Writer) -> Iterator[Outcome]:
    """One outcome per change; the changes of a file must be in reverse order.

    In a dry run the state rehearses from here on; see `Journal.rehearse`.
    """
    if writer.dry_run:
        writer.state.rehearse()
    rehearsed: dict[Path, GenreFields] = {}
    for change in changes:
        path = change.old.path
        outcome = undo_change(change, writer, rehearsed.get(path))
        if outcome.action is Action.WOULD_WRITE:
            rehearsed[path] = change.before
        yield outcome


def undo_change(change: Change, writer: Writer, rehearsed: GenreFields | None = None) -> Outcome:
    """Restore the genre fields that a file had before one change.

    A file that has changed since is left alone, as failed; one that was never changed is unchanged.
    In a dry run, `rehearsed` are the fields that the file would have by now.
    """
    path, state = change.old.path, writer.state
    outcome = Outcome(path, Action.FAILED)
    try:
        change = state.refreshed(change)
        now = identify(path)
        fields = rehearsed or read_fields(path)
        if (reverted := state.reverted(change)) and reverted.undone_by is None:
            # An undo that was killed before it was recorded.
            _note_if_restored(reverted, now, fields, writer)
        if _note_if_restored(change, now, fields, writer):
            return replace(outcome, action=Action.UNCHANGED, reason="the change was never made")
        genres = field_genres(fields)
        _check_unchanged(change, now, genres, state)
        outcome = replace(outcome, existing=genres, genres=field_genres(change.before))
        if writer.dry_run:
            check_replaceable(path, writer.options)
            state.mark_undone(change, writer.run, now)
            return replace(outcome, action=Action.WOULD_WRITE)
        # As the change was made, so that a new tag is compared with what it repeated.
        options = replace(writer.options, tags=change.before.options)
        writer = replace(writer, options=options)
        original = examine(now, options.tags)
        with uninterrupted():
            after = replace_tag(
                original, lambda scratch: restore_fields(scratch, change.before), writer, change.id
            )
            state.mark_undone(change, writer.run, after)
        return replace(outcome, action=Action.WRITTEN)
    except FileNotFoundError:
        reason = "it is gone; if the library was moved: tag-genres undo --from OLD --to NEW"
        return replace(outcome, reason=reason)
    except (TagError, OSError) as error:
        return replace(outcome, action=Action.FAILED, reason=reason_of(error), genres=())


def moved_tracks(state: State, old: Path, new: Path) -> dict[Path, Track]:
    """Files of the journal that were under `old`, are gone from there, and are under `new` now.

    A file there does not count if it has another size, or is as it was before the change (from a
    backup).
    """
    found = {}
    for change in state.last_of_each():
        path = change.old.path
        if path.is_relative_to(old) and not path.exists():
            moved = new / path.relative_to(old)
            if moved.is_file() and _is_left_by(change, now := identify(moved)):
                found[path] = now
    return found


def _is_left_by(change: Change, now: Track) -> bool:
    same_size = now.size == change.new.size
    as_before = (now.size, now.mtime_ns) == (change.old.size, change.old.mtime_ns)
    return same_size and (not as_before or change.old == change.new)


def _note_if_restored(change: Change, now: Track, fields: GenreFields, writer: Writer) -> bool:
    """Whether a file does not have a change; if so, record the change as undone.

    This happens if a run was killed before it made the change, or an undo was killed before it was
    recorded.
    """
    done_by = writer.state.restored_by(change, now)
    # If times are kept or too coarse, old and new look the same, and the content decides.
    if fields.values != change.before.values or not (done_by or now == change.old):
        return False
    writer.state.mark_undone(change, done_by or writer.run, now)
    return True


def _check_unchanged(change: Change, now: Track, genres: tuple[str, ...], state: State) -> None:
    """Raise `ChangedSince` unless the file is still as the change left it."""
    path = change.old.path
    if (later := state.later_run(change)) is not None:
        raise ChangedSince(f"run {later} changed it later; undo that first", path)
    if now != change.new:
        raise ChangedSince("it has changed since that run; its tag is left alone", path)
    left = change.after
    if left is None and (reverted := state.reverted(change)):
        left = field_genres(reverted.before)
    # Raw fields do not always distinguish one genre that contains ";" from two.
    if left is not None and split_genres(";".join(left)) != split_genres(";".join(genres)):
        raise ChangedSince("its genre has changed since that run; it is left alone", path)
