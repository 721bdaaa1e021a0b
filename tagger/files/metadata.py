"""What a new file takes over from the old one besides its content; a write that cannot is refused.

Owner, group, mode, times, extended attributes, access lists and, on Linux, the flags of `chattr`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tagger.errors import TagError
from tagger.files.mounts import mount_of
from tagger.types import WriteOptions

with suppress(ImportError):  # Windows has none
    import fcntl
    import grp

KEPT = ("user.", "system.", "security.")  # namespaces of extended attributes
# The system computes these from the content.
COMPUTED = ("security.ima", "security.evm")
# New files get these by the folder and the program, which is mostly the same again.
LABELS = ("security.selinux", "security.SMACK64", "security.apparmor", *COMPUTED)
ACCESS_LISTS, ACCESS_LIST = "system.posix_acl_", "system.posix_acl_access"
GROUP_OBJECT = 4  # tag of the entry for the file's own group
CAN_CHOWN, CAN_SET_SECURITY = 0, 21  # CAP_CHOWN, CAP_SYS_ADMIN
# Where this process may not give a file away, and the server does not decide who owns it.
LOCAL = frozenset(["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "zfs", "overlay"])
SIZE_OF_LONG = struct.calcsize("l")
GET_FLAGS, SET_FLAGS = 0x80006601 | SIZE_OF_LONG << 16, 0x40006602 | SIZE_OF_LONG << 16
APPEND_ONLY = 0x20
COPYFILE_ACL, COPYFILE_XATTR = 1, 4  # of macOS' copyfile(3); without COPYFILE_DATA
# Those of `chattr` that a person sets; others say how the file system stores the file.
FLAGS = {
    0x1: "s", 0x2: "u", 0x4: "c", 0x8: "S", 0x40: "d", 0x80: "A", 0x4000: "j", 0x100000: "V",
    0x800000: "C",
}  # fmt: skip
LOST = "cannot be preserved"


def check_metadata(path: Path, status: os.stat_result, options: WriteOptions) -> None:
    """Raise `TagError` for what a replacement is certain to lose, before one is made."""
    if sys.platform != "linux":
        return
    if _flags(path) & APPEND_ONLY:
        raise TagError("it can only be appended to; allow writing with: chattr -a", path)
    if mount_of(status.st_dev).kind in LOCAL and not _can(CAN_CHOWN):
        _check_owner(path, status)
    if not _can(CAN_SET_SECURITY):
        names = (name for name in _attributes(path) if name.startswith("security."))
        _refuse_loss(path, [name for name in names if not name.startswith(LABELS)], options)


def take_flags(path: Path, scratch: Path, options: WriteOptions) -> None:
    """Give an empty copy the flags of the file. Raises `TagError` if it cannot have them."""
    if sys.platform != "linux":
        return
    mask, flags = sum(FLAGS), _flags(scratch)
    wanted = _flags(path) & mask
    if flags & mask != wanted:
        with suppress(OSError):
            _set_flags(scratch, flags & ~mask | wanted)
    lost = (_flags(scratch) ^ wanted) & mask
    letters = "".join(letter for flag, letter in FLAGS.items() if flag & lost)
    _refuse_loss(path, [f"chattr {letters}"] if letters else [], options)


def take_owner(path: Path, scratch: Path, wanted: os.stat_result) -> None:
    """Give a copy the owner and group of the file. Raises `TagError` if that is not allowed."""
    status = scratch.stat()
    if sys.platform == "win32" or (status.st_uid, status.st_gid) == (wanted.st_uid, wanted.st_gid):
        return
    try:
        os.chown(scratch, wanted.st_uid, wanted.st_gid)
    except OSError as error:
        # EINVAL: an owner that a container does not know
        if error.errno not in (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP):
            raise
        raise _not_mine(path, wanted, is_mine=status.st_uid == wanted.st_uid) from None


def take_attributes(path: Path, scratch: Path, options: WriteOptions) -> None:
    """Give a copy the mode, times, extended attributes and access list of the file.

    Raises `TagError` if it cannot have the attributes.
    """
    wanted = _attributes(path)
    if sys.platform == "linux":
        # A folder's default access list gives new files a list that the old file may not have.
        for name in _attributes(scratch).keys() - wanted.keys():
            if name.startswith(("user.", ACCESS_LISTS)):
                os.removexattr(scratch, name)
    elif sys.platform == "darwin" and not _copy_of_macos(path, scratch):
        _refuse_loss(path, ["Finder tags and other attributes"], options)
    shutil.copystat(path, scratch)  # skips attributes that it may not set
    keep_attributes(path, scratch, options)


def _copy_of_macos(path: Path, scratch: Path) -> bool:
    """Copy extended attributes and the access list, for which Python has nothing on macOS."""
    library = ctypes.CDLL(None)
    names = os.fsencode(path), os.fsencode(scratch)
    return bool(library.copyfile(*names, None, COPYFILE_ACL | COPYFILE_XATTR) == 0)


def keep_attributes(path: Path, scratch: Path, options: WriteOptions) -> None:
    """Set again the attributes that an edit of the copy has removed; see `take_attributes`."""
    if sys.platform != "linux":
        return
    wanted, now = _attributes(path), _attributes(scratch)
    for name, value in wanted.items():
        if value is not None and now.get(name) != value:
            with suppress(OSError):
                os.setxattr(scratch, name, value)
    now = _attributes(scratch)
    lost = [name for name, value in wanted.items() if value is None or now.get(name) != value]
    _refuse_loss(path, lost, options)
    if ACCESS_LIST in lost:
        _narrow(scratch, wanted[ACCESS_LIST])


def take_times(scratch: Path, wanted: os.stat_result) -> bool:
    """Give a file the times of another, and return whether it has that modification time now.

    Some file systems show times that they cannot set, or round what is set.
    """
    with suppress(OSError, OverflowError):
        os.utime(scratch, ns=(wanted.st_atime_ns, wanted.st_mtime_ns))
    return scratch.stat().st_mtime_ns == wanted.st_mtime_ns


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise _not_mine(path, status, is_mine=False)
    folder = path.parent.stat()
    # These folders and file systems give new files the group of the folder.
    inherits = folder.st_mode & stat.S_ISGID or "grpid" in mount_of(status.st_dev).options
    groups = {*os.getgroups(), os.getegid(), *([folder.st_gid] if inherits else [])}
    if status.st_gid not in groups:
        raise _not_mine(path, status, is_mine=True)


def _not_mine(path: Path, status: os.stat_result, *, is_mine: bool) -> TagError:
    if not is_mine:
        return TagError(
            "it belongs to another user, and the new file would not; run as its owner", path
        )
    group = str(status.st_gid)
    with suppress(KeyError):
        group = grp.getgrgid(status.st_gid).gr_name
    return TagError(
        f"you are not in its group, {group}, so the new file would not keep it; join the group, or "
        "let the folder give it to new files (chmod g+s, with that group)",
        path,
    )


def _refuse_loss(path: Path, lost: list[str], options: WriteOptions) -> None:
    if lost and not options.drop_attributes:
        raise TagError(
            f"its extended attributes or access list {LOST} ({', '.join(sorted(lost)[:3])}); "
            "--drop-attributes writes it without them",
            path,
        )


def _attributes(path: Path) -> dict[str, bytes | None]:
    """The extended attributes that a replacement must keep; None for one that cannot be read."""
    if sys.platform != "linux":
        return {}
    try:
        names = os.listxattr(path)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return dict(_values(path, names))


def _values(path: Path, names: Iterable[str]) -> Iterable[tuple[str, bytes | None]]:
    for name in names:
        if name.startswith(KEPT) and name not in COMPUTED:
            try:
                yield name, os.getxattr(path, name)
            except PermissionError:
                yield name, None
            except OSError as error:
                # It has gone meanwhile, or it is only listed.
                if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                    raise


def _narrow(scratch: Path, access_list: bytes | None) -> None:
    """Take from the group of a file without its access list what the list did not give it.

    Beside an access list, the mode of the group is the most that anyone in the list has.
    """
    entries = struct.iter_unpack("<HHI", (access_list or b"")[4:])
    own = next((rights for tag, rights, _ in entries if tag == GROUP_OBJECT), 0)
    scratch.chmod(stat.S_IMODE(scratch.stat().st_mode) & (~0o070 | own << 3))


def _can(capability: int) -> bool:
    """Whether this process has a capability of Linux; root in a container may lack it."""
    with suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text(errors="replace")
        return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> capability & 1)
    return os.geteuid() == 0


def _flags(path: Path) -> int:
    """The flags of `chattr`; 0 on a file system without them."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            found = fcntl.ioctl(handle, GET_FLAGS, bytes(SIZE_OF_LONG))
            return int.from_bytes(found[:4], sys.byteorder)
        finally:
            os.close(handle)
    return 0


def _set_flags(path: Path, flags: int) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, SET_FLAGS, flags.to_bytes(SIZE_OF_LONG, sys.byteorder))
    finally:
        os.close(handle)
