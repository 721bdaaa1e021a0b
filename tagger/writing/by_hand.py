"""Write the genres that a person chose: in a report, or in answer to a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tagger.errors import ChangedSince, TagError
from tagger.genres.policy import Policy
from tagger.tags.isolated import read_tag, with_audio
from tagger.types import BY_HAND, Action, Outcome, Track
from tagger.writing.edits import Edit
from tagger.writing.encodings import split_genres
from tagger.writing.lost_names import may_be_shown_as
from tagger.writing.writer import Writer, identify, reason_of, write_outcome

POLICY = Policy()


def write_edit(edit: Edit, writer: Writer, policy: Policy = POLICY) -> Outcome:
    """Write the genres that a person put into a report, if the file does not have them.

    The policy says which names in a file count as no genre.
    """
    outcome = Outcome(edit.path, Action.FAILED)
    if edit.problem:
        return replace(outcome, reason=edit.problem)
    try:
        now = identify(edit.path)
        tag = read_tag(edit.path, writer.options.tags)
        outcome = replace(outcome, existing=tag.genres)
        if tag.genres == edit.genres and not (edit.edited and tag.outdated):
            return replace(outcome, action=Action.UNCHANGED, reason="it already has this genre")
        if policy.without_placeholders(tag.genres) and not edit.edited:
            return replace(outcome, action=Action.KEPT, reason="it already has a genre")
        # A report cannot distinguish one genre that contains ";" from two.
        as_reported = split_genres(";".join(tag.genres))
        if edit.before is not None and not may_be_shown_as(as_reported, edit.before):
            raise ChangedSince(
                f"its genre has changed since the report, to {'; '.join(tag.genres) or 'none'}; "
                "make a new report, or keep only the columns `path` and `genre` in this one",
                edit.path,
            )
        changed = writer.state.has_changed(now) and writer.state.has_changed(with_audio(now))
        reason = "the file has changed since it was predicted" if changed else ""
        wanted = replace(outcome, genres=edit.genres, reason=reason)
        return write_outcome(wanted, now, replace(tag, note=""), writer)
    except (TagError, OSError) as error:
        return replace(outcome, reason=reason_of(error))


def write_answer(
    track: Track, existing: Sequence[str], genres: Sequence[str] | None, writer: Writer
) -> Outcome:
    """Write the genres that a person chose for a track who was shown the `existing` ones.

    None keeps the existing ones: nothing is written. Either way the decision is stored, together
    with the write. A file that cannot be written, or that has changed since, gives a failed outcome
    and no decision.
    """
    outcome = Outcome(track.path, Action.FAILED, BY_HAND, genres=tuple(genres or ()))
    try:
        now = identify(track.path)
        tag = read_tag(track.path, writer.options.tags)
        outcome = replace(outcome, existing=tag.genres)
        if now != track or tag.genres != tuple(existing):
            raise ChangedSince("another program changed it meanwhile; run again", track.path)
        is_kept = genres is None or (tag.genres == tuple(genres) and not tag.outdated)
        if is_kept and writer.run is not None:
            writer.state.decide(writer.run, with_audio(now), tag.genres, writer.decides)
            return replace(outcome, action=Action.UNCHANGED, genres=())
        return write_outcome(outcome, now, replace(tag, note=""), writer)
    except (TagError, OSError) as error:
        return replace(outcome, reason=reason_of(error), genres=())
