"""Write what the policy chose into files, journalled and verified, and take it back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tagger.audio import digest_packets
from tagger.errors import ChangedSince, TagError, UnsupportedFormat
from tagger.genres import Policy, decide
from tagger.replace import check_replaceable, replacing
from tagger.state import Change, State
from tagger.tags import other_tags, read_fields, read_genres, restore_fields, write_genres
from tagger.types import Action, Outcome, Prediction, Track


def read_outcome(prediction: Prediction) -> Outcome:
    """What was predicted for a track beside the genres its tag has; nothing is written."""
    try:
        existing = read_genres(prediction.track.path)
    except TagError:
        existing = ()
    return Outcome(prediction.track.path, Action.PREDICTED, "", prediction, existing)


def write_outcome(
    prediction: Prediction, policy: Policy, state: State, run: int, *, dry_run: bool
) -> Outcome:
    """Decide by the policy and write; a file that cannot be written is a failed outcome."""
    path = prediction.track.path
    existing: tuple[str, ...] = ()

    def outcome(action: Action, reason: str = "", genres: Iterable[str] = ()) -> Outcome:
        return Outcome(path, action, reason, prediction, existing, tuple(genres))

    try:
        existing = read_genres(path)
        decision = decide(prediction, existing, policy)
        if decision.action is not Action.WOULD_WRITE:
            return outcome(decision.action, decision.reason)
        if dry_run:
            check_replaceable(path)
            return outcome(Action.WOULD_WRITE, decision.reason, decision.genres)
        with uninterrupted():
            _write(prediction.track, decision.genres, state, run)
        return outcome(Action.WRITTEN, decision.reason, decision.genres)
    except UnsupportedFormat as error:
        return outcome(Action.PREDICTED, f"not taggable: {error}")
    except TagError as error:
        return outcome(Action.FAILED, str(error))
    except OSError as error:
        return outcome(Action.FAILED, error.strerror or "cannot be written")


def undo_change(change: Change, state: State, run: int, *, dry_run: bool) -> Outcome:
    """Put back the genre fields that a file had before one change.

    A file that changed since is left alone and failed; one that never took the change is unchanged.
    """
    path = change.old.path
    try:
        now = _identify(path)
        # Where a file system keeps coarse times, old and new may look alike: then put it back.
        if now == change.old != change.new or state.is_restored(change, now):
            if not dry_run:
                state.mark_undone(change, run, now)
            return Outcome(path, Action.UNCHANGED, "it never took the change")
        if now != change.new:
            raise ChangedSince("it changed since that run; its tag is left alone", path)
        if change.after and read_genres(path) != change.after:
            raise ChangedSince("its genre changed since that run; it is left alone", path)
        if dry_run:
            check_replaceable(path)
            return Outcome(path, Action.WOULD_WRITE)
        with uninterrupted():
            fields = change.before
            after = _replace(now, lambda scratch: restore_fields(scratch, fields), (), state, run)
            state.mark_undone(change, run, after)
        return Outcome(path, Action.WRITTEN)
    except TagError as error:
        return Outcome(path, Action.FAILED, str(error))
    except OSError as error:
        return Outcome(path, Action.FAILED, (error.strerror or "cannot be written").lower())


def _write(track: Track, genres: tuple[str, ...], state: State, run: int) -> None:
    if _identify(track.path) != track:
        raise ChangedSince("it changed since it was predicted; run again", track.path)
    _replace(track, lambda scratch: write_genres(scratch, genres), genres, state, run)


def _replace(
    old: Track, edit: Callable[[Path], None], after: Iterable[str], state: State, run: int
) -> Track:
    """Edit a copy, see that only the genre differs, journal it, and let it replace the file."""
    path = old.path
    before, others, packets = read_fields(path), other_tags(path), digest_packets(path)
    entry, new = 0, old
    try:
        with replacing(path) as scratch:
            if _identify(path) != old:
                raise ChangedSince("another program changed the file meanwhile; run again", path)
            edit(scratch)
            _compare("tag", others, other_tags(scratch), path)
            _compare("audio", packets, digest_packets(scratch), path)
            status = scratch.stat()
            new = Track(path, status.st_size, status.st_mtime_ns)
            entry = state.record(run, before, after, old, new)
    except BaseException:
        if entry and not _may_be(path, new):
            state.forget(entry, old, new)
        raise
    return new


def _may_be(path: Path, track: Track) -> bool:
    """Whether a file became that; a network file system may report an error for what it did."""
    try:
        return _identify(path) == track
    except OSError:
        return True


def _compare(what: str, before: object, after: object, path: Path) -> None:
    if before == after:
        return
    detail = ""
    if isinstance(before, dict) and isinstance(after, dict):
        changed = sorted(k for k in {*before, *after} if before.get(k) != after.get(k))
        detail = f" ({', '.join(changed[:3])})"
    raise TagError(f"writing would change its {what}{detail}, so it was not written", path)


def _identify(path: Path) -> Track:
    status = path.stat()
    return Track(path, status.st_size, status.st_mtime_ns)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let a Ctrl-C that arrives meanwhile take effect only at the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    handlers = {number: signal.signal(number, wait) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if waiting:
            raise KeyboardInterrupt
