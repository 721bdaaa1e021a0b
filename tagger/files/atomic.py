"""Replace a file in one step by a finished copy, or leave it as it is.

Used for music and for reports. A kill at any moment leaves the old file or the new one, and at
worst a hidden scratch file beside it, which `clear_scratch` removes later.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tagger.errors import ChangedSince, HardLinked, TagError
from tagger.files.metadata import (
    check_metadata,
    keep_attributes,
    take_attributes,
    take_flags,
    take_owner,
    take_times,
)
from tagger.files.mounts import mount_of
from tagger.types import WriteOptions

with suppress(ImportError):  # Windows has none
    import fcntl

SCRATCH_PREFIX = ".tag-genres-"
# Nothing shows whether a file with this prefix is still in use, so it is never removed.
UNLOCKED_PREFIX = f"{SCRATCH_PREFIX}unlocked-"
SCRATCH = re.compile(re.escape(SCRATCH_PREFIX) + r"[0-9a-f]{16}(\.[^.]+)?")
DEFAULTS = WriteOptions()
CHANGED = "another program changed the file meanwhile; run again"
# These also refuse a lease if they lack a delegation or oplock, which says nothing about writers.
UNSURE_OF_WRITERS = frozenset(["nfs", "nfs4", "cifs", "smb3"])


def check_replaceable(path: Path, options: WriteOptions = DEFAULTS) -> os.stat_result:
    """The file's status, if a copy may take its place; raises `TagError` with the reason if not."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise TagError("it is a link now; name the file that it points to", path)
    if not stat.S_ISREG(status.st_mode):
        raise TagError("no longer a regular file", path)
    others = status.st_nlink - 1
    if others and not options.break_hardlinks:
        raise HardLinked(
            f"hard-linked: {others} other name{'s' * (others > 1)} would keep the old file; "
            "--break-hardlinks accepts that",
            path,
        )
    # Even root leaves alone a file that nobody may write.
    if not status.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise TagError("the file is read-only", path)
    if not os.access(path.parent, os.W_OK):
        raise TagError("its folder is read-only", path)
    check_metadata(path, status, options)
    _check_unused(path)
    return status


@contextmanager
def replacing(path: Path, options: WriteOptions = DEFAULTS) -> Iterator[Path]:
    """Yield a copy of `path` beside it, which replaces `path` when the block ends without an error.

    The copy has the suffix, mode, owner, extended attributes and access list of the file, and is
    never readable by more people. Inside the block, `settle` returns the size and times that the
    new file will have. If the block raises, or the file changed meanwhile (`ChangedSince`), the
    copy is deleted and the file stays as it was. Raises `TagError` if these cannot be preserved.
    """
    before = check_replaceable(path, options)
    with _scratch_file(path, 0o600) as scratch:
        _copy(path, scratch, before, options)
        yield scratch
        settle(path, scratch, options)
        sync(scratch)
        if _version(path.stat()) != _version(before):
            raise ChangedSince(CHANGED, path)
        _check_unused(path)
        os.replace(scratch, path)
    _sync_folder(path.parent)


def settle(path: Path, scratch: Path, options: WriteOptions = DEFAULTS) -> os.stat_result:
    """Prepare an edited copy to replace `path`, and return the status that the new file will have.

    Only the ctime (time of the last status change) still changes, when the copy replaces `path`.
    Raises `TagError` if an attribute, or a modification time that was to be kept, cannot be kept.
    """
    wanted = path.stat()
    mode = stat.S_IMODE(wanted.st_mode)
    if stat.S_IMODE(scratch.stat().st_mode) != mode:
        scratch.chmod(mode)  # writing clears the setuid bits
    keep_attributes(path, scratch, options)
    if options.keep_mtime and not take_times(scratch, wanted):
        raise TagError("its modification time cannot be kept; run without --keep-mtime", path)
    return scratch.stat()


@contextmanager
def rewriting(target: Path) -> Iterator[Path]:
    """Yield a new empty file, which becomes `target` when the block ends without an error.

    If the block raises, the new file is deleted, and `target` stays as it was, or stays missing.
    """
    with _scratch_file(target, 0o666) as scratch:
        yield scratch
        sync(scratch)
        os.replace(scratch, target)
    _sync_folder(target.parent)


def clear_scratch(folder: Path) -> int:
    """Remove the scratch files that killed runs left in a folder, and return their number.

    Files of a running process, on this or another machine, are locked and stay, as does anything
    that cannot be removed. Where files cannot be locked, nothing is removed.
    """
    try:
        with os.scandir(folder) as entries:
            found = [
                entry.path
                for entry in entries
                if SCRATCH.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return 0
    return sum(map(_remove_unlocked, found))


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    if sys.platform == "win32" and path.is_dir():
        return  # Windows cannot open folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() or sys.platform != "win32" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    # Ignored: some network file systems cannot fsync a folder, and the change is already made.
    with suppress(OSError):
        sync(folder)


def scratch_beside(path: Path, prefix: str = SCRATCH_PREFIX) -> Path:
    """A fresh hidden name in the same folder, with the same suffix."""
    return path.with_name(f"{prefix}{secrets.token_hex(8)}{path.suffix}")


@contextmanager
def _scratch_file(target: Path, mode: int) -> Iterator[Path]:
    """A new file beside `target`, locked where possible, and deleted if the block raises."""
    scratch, lock = _create(target, mode)
    try:
        yield scratch
    except BaseException:
        # The original error says more than an error about the copy would.
        with suppress(OSError):
            scratch.unlink()
        raise
    finally:
        if lock is not None:
            # `sync` has already reported any error of the disk.
            with suppress(OSError):
                os.close(lock)


def _create(target: Path, mode: int) -> tuple[Path, int | None]:
    """A new file and the descriptor of its lock; None for a file that is never cleared."""
    new = os.O_CREAT | os.O_EXCL | os.O_RDWR
    scratch = scratch_beside(target)
    handle = os.open(scratch, new, mode)
    if _lock(handle, scratch):
        return scratch, handle
    os.close(handle)
    scratch.unlink(missing_ok=True)
    scratch = scratch_beside(target, UNLOCKED_PREFIX)
    os.close(os.open(scratch, new, mode))
    return scratch, None


def _lock(handle: int, scratch: Path) -> bool:
    """Lock a new scratch file until `handle` is closed; false if `clear_scratch` was faster.

    Also false if files cannot be locked, or if a lock would prevent writing.
    """
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Over SMB, Linux makes it a lock against every other descriptor, even that of the writer.
        # This detects that, and also whether the name still exists.
        with scratch.open("r+b", buffering=0) as other:
            other.write(b"\0")
        os.ftruncate(handle, 0)
    except OSError:
        return False
    return True


def _remove_unlocked(scratch: str) -> bool:
    if sys.platform == "win32":
        return False
    with suppress(OSError):
        # Shared and for reading: the file may be replacing its target right now, and must not seem
        # to be open for writing. The flags are for a name that is now a link or a pipe.
        handle = os.open(scratch, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            os.unlink(scratch)
            return True
        finally:
            os.close(handle)
    return False


def _copy(path: Path, scratch: Path, before: os.stat_result, options: WriteOptions) -> None:
    """Copy content first and permissions last, so that nobody reads more than the file allows."""
    disk = shutil.disk_usage(scratch.parent)
    # Some network file systems do not report their size.
    if disk.total and disk.free < before.st_size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    take_flags(path, scratch, options)  # some only while it is empty
    shutil.copyfile(path, scratch)
    take_owner(path, scratch, before)
    take_attributes(path, scratch, options)


def _version(status: os.stat_result) -> tuple[int, ...]:
    """Differs between two versions of a file, even if a program restored its times."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _check_unused(path: Path) -> None:
    """Raise `TagError` if another program has the file open for writing, if that can be seen.

    Linux grants a read lease only on a file that nobody has open for writing.
    """
    if sys.platform != "linux":
        return
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # it may have become a pipe
    except OSError:
        return
    try:
        # A program that opens the file at this instant breaks the lease. The default signal for
        # that, SIGIO, would end this process; SIGURG is ignored.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN and _file_system(handle) not in UNSURE_OF_WRITERS:
            raise TagError(
                "another program has it open for writing; run again when it has finished", path
            ) from None
    finally:
        os.close(handle)


def _file_system(handle: int) -> str:
    """The type of the file system that holds an open file; "" if it cannot be found out."""
    return mount_of(os.fstat(handle).st_dev).kind
