"""What a replacement takes over from the old file beside its content, or is refused for.

Owner, mode, times, extended attributes and access list.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from tagger.errors import TagError

# Other attributes belong to the system: a security label, for example, depends on the folder.
KEPT_ATTRIBUTES = ("user.", "system.posix_acl_")


def take_owner(path: Path, scratch: Path, wanted: os.stat_result) -> None:
    """Give a copy the owner and group of the file. Raises `TagError` if that is not allowed."""
    status = scratch.stat()
    if os.name == "nt" or (status.st_uid, status.st_gid) == (wanted.st_uid, wanted.st_gid):
        return
    try:
        os.chown(scratch, wanted.st_uid, wanted.st_gid)
    except PermissionError:
        raise TagError("it belongs to another user, and its replacement would not", path) from None


def take_attributes(path: Path, scratch: Path) -> None:
    """Give a copy the mode, times, extended attributes and access list of the file.

    Raises `TagError` if it cannot have the attributes.
    """
    wanted = _attributes(path)
    if sys.platform == "linux":
        # A folder's default access list gives new files a list that the old file may not have.
        for name in _attributes(scratch).keys() - wanted.keys():
            os.removexattr(scratch, name)
    shutil.copystat(path, scratch)  # skips attributes that it may not set
    if _attributes(scratch) != wanted:
        raise TagError("its extended attributes or access list cannot be preserved", path)


def take_times(scratch: Path, wanted: os.stat_result) -> bool:
    """Give a file the times of another, and return whether it has that modification time now.

    Some file systems show times that they cannot set, or round what is set.
    """
    with suppress(OSError, OverflowError):
        os.utime(scratch, ns=(wanted.st_atime_ns, wanted.st_mtime_ns))
    return scratch.stat().st_mtime_ns == wanted.st_mtime_ns


def _attributes(path: Path) -> dict[str, bytes]:
    """The extended attributes that a replacement must keep, including access lists."""
    if sys.platform != "linux":
        return {}
    try:
        names = os.listxattr(path)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {name: os.getxattr(path, name) for name in names if name.startswith(KEPT_ATTRIBUTES)}
