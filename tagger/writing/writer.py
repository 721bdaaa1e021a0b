"""Write genres into files, journalled and verified; the policy chooses them from a prediction."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from tagger.errors import ChangedSince, TagError, UnsupportedFormat
from tagger.files.atomic import CHANGED, check_replaceable, replacing, settle
from tagger.files.patch import make_patch
from tagger.genres.policy import Policy, decide, new_genres, rank_genres, why_no_music
from tagger.genres.provenance import make_note
from tagger.genres.ranking import why_nothing
from tagger.models.checkpoint import ModelInfo
from tagger.state.store import State
from tagger.tags.genre_tag import other_tags, read_genres, write_genres
from tagger.tags.isolated import check_write, digest_packets, read_fields, read_tag, with_audio
from tagger.tags.rehearse import compare
from tagger.types import (
    Action,
    GenreFields,
    Outcome,
    Prediction,
    TagInfo,
    TagOptions,
    Track,
    WriteOptions,
)
from tagger.writing.interrupts import uninterrupted


@dataclass(frozen=True, slots=True)
class Writer:
    """How one run changes files. `models` gave the genres, unless a person did.

    If a person chose them, `decides` is the kind of decision that is stored with each write, so
    that later runs leave the file alone; see `state.decisions`.
    """

    state: State
    run: int | None = None  # its number in the journal; None in a dry run
    options: WriteOptions = field(default_factory=WriteOptions)
    models: Sequence[ModelInfo] = ()
    decides: str = ""

    @property
    def dry_run(self) -> bool:
        """Whether files stay as they are."""
        return self.run is None


def tag_of(track: Track, state: State) -> TagInfo:
    """The content of a track's tag; read only if the file has changed since it was last read.

    Raises `TagError`.
    """
    tag = state.find_tag(track)
    if tag is None:
        tag = read_tag(track.path, TagOptions(charset=state.charset))
        state.save_tag(track, tag)
    return tag


def report_prediction(
    prediction: Prediction, policy: Policy, state: State, tag: TagInfo | None = None
) -> Outcome:
    """The prediction for a track, with the genres in its tag; nothing is written.

    `tag` is the content of its tag, if that is known.
    """
    try:
        existing = (tag or tag_of(prediction.track, state)).genres
    except TagError:
        existing = ()
    path = prediction.track.path
    if reason := why_no_music(prediction, policy):
        reason = _joined(reason, prediction.note)
        return Outcome(path, Action.NO_MUSIC, reason, prediction, existing)
    if reason := why_nothing(prediction):
        reason = _joined(reason, prediction.note)
        return Outcome(path, Action.UNSURE, reason, prediction, existing)
    ranked, note = tuple(rank_genres(prediction, policy)), prediction.note
    return Outcome(path, Action.PREDICTED, note, prediction, existing, ranked=ranked)


def write_prediction(
    prediction: Prediction,
    policy: Policy,
    writer: Writer,
    tag: TagInfo | None = None,
    *,
    source: str = "",
) -> Outcome:
    """Decide by the policy and write; a file that cannot be written gives a failed outcome.

    `tag` is the content of the file's tag, if that is known. `source` says where the prediction
    comes from, if not only from the track.
    """
    track, note = prediction.track, prediction.note
    if why_no_music(prediction, policy):  # also for a file that cannot be tagged
        read = report_prediction(prediction, policy, writer.state, tag)
        return replace(read, reason=_joined(read.reason, source))
    ranked = tuple(rank_genres(prediction, policy))
    outcome = Outcome(track.path, Action.FAILED, "", prediction, ranked=ranked)
    try:
        tag = tag or tag_of(track, writer.state)
        decision = decide(prediction, tag, policy)
        if decision.action is Action.WOULD_WRITE:
            # Before a file is changed, its present content must be read again.
            now = identify(track.path)
            tag = read_tag(track.path, writer.options.tags)
            decision = decide(prediction, tag, policy)
        outcome = replace(
            outcome, existing=tag.genres, reason=_joined(decision.reason, source, note)
        )
        if decision.action is not Action.WOULD_WRITE:
            return replace(outcome, action=decision.action)
        if now != track:
            raise ChangedSince("it has changed since it was predicted; run again", track.path)
        own = _note(new_genres(decision.genres, tag, policy), tag, ranked, writer)
        decided = replace(outcome, genres=decision.genres)
        return write_outcome(decided, now, replace(tag, note=own), writer)
    except UnsupportedFormat as error:
        if reason := why_nothing(prediction):
            return replace(outcome, action=Action.UNSURE, reason=_joined(reason, source, note))
        reason = _joined(f"not taggable: {error}", note)
        return replace(outcome, action=Action.PREDICTED, reason=reason)
    except (TagError, OSError) as error:
        return replace(outcome, action=Action.FAILED, reason=reason_of(error), genres=())


def forget_unfinished(state: State) -> None:
    """Settle the last entry of the journal if its run was killed while it replaced the file.

    If that was not done, the entry is deleted, and predictions that it had moved to the file's
    future size and time move back. An undo that was done marks what it undid.
    """
    change = state.last_change()
    if change is None:
        return
    undone = state.reverted(change)
    if undone is not None and undone.undone_by is not None:
        return  # the undo was finished, and somebody has restored the file since
    with suppress(OSError, TagError):
        now = identify(change.old.path)
        by = None if undone is None else state.restored_by(undone, now)
        if undone is not None and by and read_fields(now.path).values == undone.before.values:
            state.mark_undone(undone, by, now)
            return
        is_old = now == change.old
        if is_old and change.old == change.new:  # the time was kept, and the size is the same
            is_old = read_fields(now.path).values == change.before.values
        if is_old:
            state.forget(change.id, change.old, change.new)


def reason_of(error: TagError | OSError) -> str:
    """Why a file could not be written, in a few words."""
    if isinstance(error, OSError):
        return (error.strerror or "cannot be written").lower()
    return str(error)


def identify(path: Path) -> Track:
    """The file as it is now."""
    return Track.of(path, path.stat())


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))


def _note(
    genres: Sequence[str], tag: TagInfo, ranked: Sequence[tuple[str, float]], writer: Writer
) -> str:
    """The content of our own field; "" if it is neither wanted nor already there."""
    if not writer.models or not (writer.options.provenance or tag.note):
        return ""
    return make_note(
        genres,
        model=" + ".join(info.short_name for info in writer.models),
        fingerprint="+".join(info.fingerprint for info in writer.models),
        confidence=ranked[0][1],
    )


def write_outcome(outcome: Outcome, old: Track, tag: TagInfo, writer: Writer) -> Outcome:
    """Write the genres of an outcome, and the note of `tag`, into the file that was `old`."""
    if writer.dry_run:
        check_replaceable(outcome.path, writer.options)
    # A conversion parses every frame: first in a child process.
    if writer.dry_run or writer.options.tags.id3 != "keep":
        check_write(outcome.path, outcome.genres, tag.note, writer.options.tags)
    if writer.dry_run:
        return replace(outcome, action=Action.WOULD_WRITE)
    original = examine(old, writer.options.tags)
    with uninterrupted():
        new = replace_tag(
            original,
            lambda scratch: write_genres(scratch, outcome.genres, tag.note, writer.options.tags),
            writer,
        )
        writer.state.save_tag(new, replace(tag, genres=outcome.genres, outdated=()))
    return replace(outcome, action=Action.WRITTEN)


@dataclass(frozen=True, slots=True)
class Original:
    """A file before it is written, with everything that must stay the same."""

    track: Track
    fields: GenreFields
    others: Mapping[str, str]  # see `genre_tag.other_tags`
    packets: str | None  # see `verify.digest_packets`


def examine(track: Track, options: TagOptions) -> Original:
    """Read a file before it is written, which may take a while. Raises `TagError`."""
    path = track.path
    return Original(
        with_audio(track), read_fields(path), other_tags(path, options), digest_packets(path)
    )


def _follow(track: Track, state: State) -> None:
    """Let the journal follow a file that was moved, before there is a new entry for its path."""
    for path in state.former_paths(track):
        if state.is_twin(os.fsencode(path), track.audio, os.fsencode(track.path)):
            continue
        with suppress(OSError):
            if with_audio(identify(path)).audio == track.audio:
                continue  # a copy
        state.relocate([(replace(track, path=path), track)])
        return


def replace_tag(
    original: Original, edit: Callable[[Path], None], writer: Writer, reverts: int | None = None
) -> Track:
    """Edit a copy, verify that only the genre differs, journal it, and let it replace the file.

    `reverts` is the journal entry that this change undoes. Returns the file as it is afterwards.
    """
    run, old, path = writer.run, original.track, original.track.path
    if run is None:
        raise ValueError(f"{path} was to be written in a dry run")
    entry, new = None, old
    try:
        with replacing(path, writer.options) as scratch:
            now = identify(path)
            if (now, now.ctime_ns) != (old, old.ctime_ns):
                raise ChangedSince(CHANGED, path)
            edit(scratch)
            compare("tag", original.others, other_tags(scratch, writer.options.tags), path)
            compare("audio", original.packets, digest_packets(scratch), path)
            fields = replace(
                original.fields, patch=make_patch(path, scratch), options=writer.options.tags
            )
            new = Track.of(path, settle(path, scratch, writer.options))
            _follow(old, writer.state)
            genres = read_genres(scratch)
            entry = writer.state.record(run, fields, genres, (old, new), reverts)
            if writer.decides:
                writer.state.decide(run, old, genres, writer.decides, entry)
    except BaseException:
        if entry is not None and not _was_replaced(path, new, old):
            writer.state.forget(entry, old, new)
        raise
    return identify(path)


def _was_replaced(path: Path, new: Track, old: Track) -> bool:
    """Whether the replacement happened; network file systems may report an error even so."""
    try:
        now = identify(path)
    except OSError:
        return True
    return now == new and now.ctime_ns != old.ctime_ns
