"""The audio files of an archive, unpacked once into the user's cache.

An archive from the net is untrusted: only regular audio files are unpacked, and nothing at all if
a file would land outside the folder, is a link, or would fill the disk.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from tagger.errors import one_line
from tagger.files.scan import SUFFIXES
from training.errors import TrainingError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVE_SUFFIXES = (".zip", *TAR_SUFFIXES)
BLOCK = 1 << 20  # bytes read at once to the end of a tar

# Errors of the standard library for an archive that is damaged, encrypted or compressed in an
# unknown way.
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive, as its header describes it."""

    name: str
    size: int  # bytes when unpacked
    is_regular: bool


def is_archive(path: Path) -> bool:
    """Whether a file has the suffix of an archive that this module unpacks."""
    return path.name.lower().endswith(ARCHIVE_SUFFIXES)


def unpack(archive: Path) -> Path:
    """The folder with the archive's audio files, unpacked now or by an earlier run.

    An archive is recognised by absolute path, size and modification time: a new one under an old
    name is unpacked again. The folder gets its name only when it is complete. Raises
    `TrainingError`, and leaves nothing behind, if the archive is damaged, holds no audio, names a
    link or a file outside itself, or unpacks to more than the disk has free.
    """
    cache = cache_folder()
    try:
        status = archive.stat()
        identity = f"{archive.absolute()}\n{status.st_size}\n{status.st_mtime_ns}"
        digest = hashlib.sha256(os.fsencode(identity)).hexdigest()[:16]
        folder = cache / digest
        if folder.is_dir():
            return folder
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{digest}-", dir=cache))
        try:
            _unpack_into(archive, partial)
            _take_name(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except (OSError, *DAMAGED) as error:
        reason = f"{archive} cannot be unpacked into {cache}: {_reason(error)}"
        raise TrainingError(reason, archive) from error
    return folder


def cache_folder() -> Path:
    """Where archives are unpacked; the folder of each may be deleted at any time."""
    import platformdirs

    return platformdirs.user_cache_path("tag-genres") / "archives"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:  # gzip's and bz2's have no number
        return os.strerror(error.errno).lower()
    return f"it is damaged or of an unknown kind ({one_line(error)})"


def _take_name(partial: Path, folder: Path) -> None:
    try:
        partial.rename(folder)
    except OSError:
        # Another run may have unpacked the same archive in the meantime.
        if not folder.is_dir():
            raise


def _unpack_into(archive: Path, folder: Path) -> None:
    if archive.suffix.lower() == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            infos = zipped.infolist()
            wanted = _choose(archive, folder, map(_zip_member, infos))
            for info in infos:
                if info.filename in wanted:
                    zipped.extract(info, folder)
        return
    with tarfile.open(archive) as tar:
        wanted = _choose(archive, folder, map(_tar_member, tar))
        _read_to_end(tar)
    # Opened again for a second pass, since gzip cannot seek back: nothing is written unchecked.
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name in wanted:
                tar.extract(member, folder, filter="data")


def _choose(archive: Path, folder: Path, members: Iterable[Member]) -> set[str]:
    """Names of the audio files to unpack. Raises `TrainingError` if one is not safe."""
    chosen: set[str] = set()
    size = 0
    free = shutil.disk_usage(folder).free
    for member in members:
        path = PurePath(member.name)
        hidden = any(part.startswith(".") and part != ".." for part in path.parts)
        if hidden or path.suffix.lower() not in SUFFIXES:
            continue
        if path.anchor or ".." in path.parts:
            raise TrainingError(f"{archive} is not safe: it names {member.name!r}", archive)
        if not member.is_regular:
            raise TrainingError(
                f"{archive} is not safe: {member.name!r} is a link or device",
                archive,
            )
        chosen.add(member.name)
        size += member.size
    if not chosen:
        raise TrainingError(f"{archive} holds no audio file", archive)
    if size > free:
        raise TrainingError(
            f"{archive} unpacks to {size / 1e9:.1f} GB and {folder.parent} has {free / 1e9:.1f} GB "
            "free; unpack it elsewhere and give that folder",
            archive,
        )
    return chosen


def _zip_member(info: zipfile.ZipInfo) -> Member:
    # The upper half holds the Unix mode, or 0 if the archive was made on another system.
    kind = stat.S_IFMT(info.external_attr >> 16)
    regular = kind in (0, stat.S_IFREG) and not info.is_dir()
    return Member(info.filename, info.file_size, regular)


def _tar_member(info: tarfile.TarInfo) -> Member:
    return Member(info.name, info.size, info.isreg())


def _read_to_end(tar: tarfile.TarFile) -> None:
    """Raise `TarError` unless only zeros follow the last member.

    tarfile treats an unreadable header as the end of the archive, and gzip's checksum is at the
    very end of the file.
    """
    if tar.fileobj is None:
        return
    while block := tar.fileobj.read(BLOCK):
        if block.count(0) != len(block):
            raise tarfile.ReadError("a header cannot be read")
