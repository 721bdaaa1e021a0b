"""Whatever the system refuses while a file is replaced, the file stays and no copy is left."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tagger.errors import TagError
from tagger.files import atomic, metadata
from tagger.files.atomic import clear_scratch, replacing, rewriting

CODES = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EROFS]
ROOT_ONLY = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root may do that"
)

Refusal = Callable[..., None]
Patch = pytest.MonkeyPatch


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "music" / "song.mp3"
    path.parent.mkdir()
    path.write_bytes(b"old")
    return path


@pytest.fixture(params=CODES, ids=errno.errorcode.get)
def code(request):
    return request.param


@pytest.fixture
def refuse(code):
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def rewrite(path: Path) -> None:
    with replacing(path) as scratch:
        scratch.write_bytes(b"new")


def content(path: Path) -> dict[str, bytes]:
    """All that is in the folder of a file."""
    return {entry.name: entry.read_bytes() for entry in path.parent.iterdir()}


def refuse_creation(patch: Patch, refuse: Refusal) -> None:
    plain = os.open

    def opened(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            refuse()
        return plain(path, flags, *mode)

    patch.setattr(os, "open", opened)


def refuse_copy(patch: Patch, refuse: Refusal) -> None:
    def half(source: Path, target: Path) -> None:
        target.write_bytes(b"o")
        refuse()

    patch.setattr(shutil, "copyfile", half)


def refuse_attributes(patch: Patch, refuse: Refusal) -> None:
    patch.setattr(shutil, "copystat", refuse)


def refuse_listing(patch: Patch, refuse: Refusal) -> None:
    patch.setattr(metadata, "_attributes", refuse)


def refuse_settling(patch: Patch, refuse: Refusal) -> None:
    patch.setattr(atomic, "settle", refuse)


def refuse_sync(patch: Patch, refuse: Refusal) -> None:
    patch.setattr(os, "fsync", refuse)


def refuse_version(patch: Patch, refuse: Refusal) -> None:
    patch.setattr(atomic, "_version", refuse)


def refuse_replacement(patch: Patch, refuse: Refusal) -> None:
    patch.setattr(os, "replace", refuse)


STEPS = [
    refuse_creation,
    refuse_copy,
    refuse_attributes,
    refuse_listing,
    refuse_settling,
    refuse_sync,
    refuse_version,
    refuse_replacement,
]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_is_refused_leaves_the_file_and_no_copy(file, step, code, refuse, monkeypatch):
    step(monkeypatch, refuse)
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        rewrite(file)
    assert caught.value.errno == code
    assert content(file) == {"song.mp3": b"old"}


def test_an_edit_that_is_refused_leaves_the_file_and_no_copy(file, code, refuse):
    with pytest.raises(OSError, match=os.strerror(code)), replacing(file) as scratch:
        scratch.write_bytes(b"half of the n")
        refuse()
    assert content(file) == {"song.mp3": b"old"}


@ROOT_ONLY
def test_an_owner_that_is_refused_leaves_the_file_and_no_copy(file, refuse, monkeypatch):
    os.chown(file, 1234, 4321)
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises((OSError, TagError)):
        rewrite(file)
    assert content(file) == {"song.mp3": b"old"}


def test_a_folder_that_cannot_be_synced_has_the_new_file_all_the_same(file, refuse, monkeypatch):
    sync = atomic.sync
    monkeypatch.setattr(atomic, "sync", lambda path: (refuse if path.is_dir() else sync)(path))
    rewrite(file)
    assert content(file) == {"song.mp3": b"new"}


def test_a_copy_that_cannot_be_deleted_does_not_hide_the_error_before(file, refuse, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(ValueError, match="first"), replacing(file):
            raise ValueError("first")
    assert file.read_bytes() == b"old"
    assert clear_scratch(file.parent) == (os.name != "nt")


@pytest.mark.parametrize("step", [refuse_creation, refuse_sync, refuse_replacement])
def test_a_new_file_that_is_refused_leaves_the_old_one(file, step, code, refuse, monkeypatch):
    step(monkeypatch, refuse)
    with pytest.raises(OSError, match=os.strerror(code)), rewriting(file) as scratch:
        scratch.write_bytes(b"new")
    assert content(file) == {"song.mp3": b"old"}


# --- the system itself ----------------------------------------------------------------------------


def run_or_skip(*command: object) -> None:
    if not shutil.which(str(command[0])):
        pytest.skip(f"no {command[0]} here")
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[0]} is refused here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for about 200 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    run_or_skip("mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", folder], check=True)


@ROOT_ONLY
def test_a_disk_that_fills_while_copying_leaves_the_file_and_no_copy(small_disk):
    song = small_disk / "song.mp3"
    song.write_bytes(b"x" * 150_000)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        rewrite(song)
    assert content(song) == {"song.mp3": b"x" * 150_000}


@ROOT_ONLY
def test_a_disk_that_fills_while_editing_leaves_the_file_and_no_copy(small_disk):
    song = small_disk / "song.mp3"
    song.write_bytes(b"x" * 80_000)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), replacing(song) as scratch:
        scratch.write_bytes(b"y" * 150_000)
    assert content(song) == {"song.mp3": b"x" * 80_000}


@ROOT_ONLY
def test_a_full_disk_leaves_no_empty_file(small_disk):
    song = small_disk / "song.mp3"
    song.write_bytes(b"x" * 204_800)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        rewrite(song)
    assert content(song) == {"song.mp3": b"x" * 204_800}


@ROOT_ONLY
def test_a_file_on_a_disk_that_is_mounted_read_only_is_refused(small_disk):
    song = small_disk / "song.mp3"
    song.write_bytes(b"old")
    run_or_skip("mount", "-o", "remount,ro", small_disk)
    with pytest.raises(TagError, match="read-only"):
        rewrite(song)
    assert content(song) == {"song.mp3": b"old"}


@pytest.fixture
def marked(file):
    """Set attributes of a file, as `chattr` does; they are removed at the end."""
    yield lambda attributes: run_or_skip("chattr", attributes, file)
    if shutil.which("chattr"):
        subprocess.run(["chattr", "-ia", file], capture_output=True)


@ROOT_ONLY
def test_an_immutable_file_is_refused(file, marked):
    marked("+i")
    with pytest.raises(TagError, match="read-only"):
        rewrite(file)
    assert content(file) == {"song.mp3": b"old"}


@ROOT_ONLY
def test_a_file_that_may_only_grow_is_refused(file, marked):
    marked("+a")
    with pytest.raises(TagError, match="chattr -a"):
        rewrite(file)
    assert content(file) == {"song.mp3": b"old"}
