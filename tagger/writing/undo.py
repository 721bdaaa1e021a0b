"""Undo changes: restore the genre fields of files to what the journal recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tagger.errors import ChangedSince, TagError
from tagger.files.atomic import check_replaceable
from tagger.state.journal import Change
from tagger.state.store import State
from tagger.tags.genre_tag import field_genres, genres_by_field, restore_fields
from tagger.tags.isolated import check_restore, read_fields
from tagger.types import Action, GenreFields, Outcome, Track
from tagger.writing.interrupts import uninterrupted
from tagger.writing.moved import has_other_audio, names_of
from tagger.writing.writer import Writer, examine, identify, reason_of, replace_tag


def undo_changes(
    changes: Iterable[Change], writer: Writer, *, force: bool = False
) -> Iterator[Outcome]:
    """One outcome per change; the changes of a file must be in reverse order.

    With `force`, genres that somebody has set since are replaced too. In a dry run the state
    rehearses from here on; see `Journal.rehearse`.
    """
    if writer.dry_run:
        writer.state.rehearse()
    rehearsed: dict[Path, GenreFields] = {}
    for change in changes:
        path = change.old.path
        outcome = undo_change(change, writer, rehearsed.get(path), force=force)
        if outcome.action is Action.WOULD_WRITE:
            rehearsed[path] = change.before
        yield outcome


def undo_change(
    change: Change, writer: Writer, rehearsed: GenreFields | None = None, *, force: bool = False
) -> Outcome:
    """Restore the genre fields that a file had before one change, and only these.

    A file whose genre has changed since is left alone, as failed; one that has the old genre is
    unchanged. In a dry run, `rehearsed` are the fields that the file would have by now.
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
        _check_last(change, state)
        if fields.values == change.before.values and not _is_left_by(change, fields, state):
            state.mark_undone(change, writer.run, now)
            return replace(outcome, action=Action.UNCHANGED, reason="it has its old genre again")
        if not force:
            _check_unchanged(change, now, fields, state)
        outcome = replace(outcome, existing=genres, genres=field_genres(change.before))
        if writer.dry_run:
            check_replaceable(path, writer.options)
        # A converted tag is parsed as a whole: first in a child process.
        if writer.dry_run or change.before.options.id3 != "keep":
            check_restore(path, change.before)
        if writer.dry_run:
            state.mark_undone(change, writer.run, now)
            return replace(outcome, action=Action.WOULD_WRITE)
        # As the change was made, so that a new tag is compared with what it repeated.
        options = replace(writer.options, tags=change.before.options)
        writer = replace(writer, options=options)
        original = examine(now, options.tags)
        with uninterrupted():
            after = replace_tag(
                original, lambda copy: restore_fields(copy, change.before, path), writer, change.id
            )
            state.mark_undone(change, writer.run, after)
        return replace(outcome, action=Action.WRITTEN)
    except FileNotFoundError:
        reason = "it is gone; if the library was moved: tag-genres undo --from OLD --to NEW"
        return replace(outcome, reason=reason)
    except (TagError, OSError) as error:
        return replace(outcome, action=Action.FAILED, reason=reason_of(error), genres=())


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


def _check_last(change: Change, state: State) -> None:
    """Raise `ChangedSince` if a later run wrote to the file."""
    if (later := state.later_run(change)) is not None:
        raise ChangedSince(f"run {later} changed it later; undo that first", change.old.path)


def _check_unchanged(change: Change, now: Track, fields: GenreFields, state: State) -> None:
    """Raise `ChangedSince` unless the file still has the audio, and the genres of the change.

    Its other tags, size and time do not count.
    """
    if has_other_audio(change, now):
        raise ChangedSince(
            "its audio has changed since that run, so it may be another track; it is left alone "
            "(--force puts back the old genre anyway)",
            change.old.path,
        )
    if not _is_left_by(change, fields, state):
        raise ChangedSince(
            "its genre has changed since that run; it is left alone (--force replaces it)",
            change.old.path,
        )


def _is_left_by(change: Change, fields: GenreFields, state: State) -> bool:
    """Whether a file still has the genres that a change left, as names, in each of its fields."""
    left = change.after
    if left is None and (reverted := state.reverted(change)):
        left = field_genres(reverted.before)
    if left is None:
        return True
    ours = names_of(left)
    # An older tag may hold only the first of our genres, or what it had before.
    kept = ours.union(*(names_of(names) for names in genres_by_field(change.before)))
    others = (names_of(names) for names in genres_by_field(fields))
    return names_of(field_genres(fields)) == ours and all(names <= kept for names in others)
