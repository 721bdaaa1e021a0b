from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tagger import replace
from tagger.errors import ChangedSince, HardLinked, TagError
from tagger.replace import SCRATCH_PREFIX, check_replaceable, replacing, scratch_beside

ROOT = Path(__file__).parents[1]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "music" / "song.mp3"
    path.parent.mkdir()
    path.write_bytes(b"old")
    return path


def scratches(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir() if entry != path]


def rewrite(path: Path, content: bytes = b"new") -> None:
    with replacing(path) as scratch:
        scratch.write_bytes(content)


def test_the_edited_copy_takes_the_place_of_the_file(file):
    rewrite(file)
    assert file.read_bytes() == b"new"
    assert scratches(file) == []


def test_the_copy_begins_as_the_file_and_looks_like_one_of_its_kind(file):
    with replacing(file) as scratch:
        assert scratch.read_bytes() == b"old"
        assert scratch.suffix == file.suffix
        assert scratch.parent == file.parent
        assert scratch.name.startswith(".")


def test_the_file_stays_as_it_was_until_the_block_ends(file):
    with replacing(file) as scratch:
        scratch.write_bytes(b"new")
        assert file.read_bytes() == b"old"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o4755])
def test_the_mode_stays(file, mode):
    file.chmod(mode)
    rewrite(file)
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_the_time_stays_where_nothing_was_edited_and_moves_where_it_was(file):
    os.utime(file, ns=(10**18, 10**18))
    with replacing(file):
        pass
    assert file.stat().st_mtime_ns == 10**18
    rewrite(file)
    assert file.stat().st_mtime_ns > 10**18


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="no extended attributes here")
def test_extended_attributes_stay(file):
    try:
        os.setxattr(file, "user.rating", b"\xff5")
    except OSError as error:
        pytest.skip(f"this file system holds none: {error}")
    rewrite(file)
    assert os.getxattr(file, "user.rating") == b"\xff5"


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away"
)
def test_the_owner_stays_and_the_mode_with_it(file):
    os.chown(file, 1234, 4321)
    file.chmod(0o2750)
    rewrite(file)
    status = file.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 4321, 0o2750)


def test_a_file_that_could_not_keep_its_owner_is_refused(file, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    status = os.stat_result([*file.stat()[:4], 1234, *file.stat()[5:]])
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(TagError, match="another user"):
        replace._take_owner(file, status)


def test_a_file_with_other_hard_links_is_refused(file):
    other = file.with_name("other.mp3")
    os.link(file, other)
    with pytest.raises(HardLinked, match="hard-linked") as caught:
        rewrite(file)
    assert caught.value.path == file
    assert file.samefile(other)
    assert scratches(file) == ["other.mp3"]


@pytest.mark.parametrize(
    ("closed", "reason"), [("file", "file is read-only"), ("folder", "its folder")]
)
def test_what_is_read_only_is_refused(file, closed, reason, monkeypatch):
    # root may write everywhere, so the answer of the system is made up.
    wanted = file if closed == "file" else file.parent
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != wanted)
    with pytest.raises(TagError, match=reason) as caught:
        rewrite(file)
    assert caught.value.path == file
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_file_that_is_gone_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_replaceable(tmp_path / "gone.mp3")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, TagError("x")])
def test_an_error_in_the_block_leaves_the_file_and_no_copy(file, error):
    with (
        pytest.raises(type(error) if isinstance(error, Exception) else error),
        replacing(file) as scratch,
    ):
        scratch.write_bytes(b"half of the n")
        raise error
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_file_that_another_program_changed_meanwhile_keeps_that_change(file):
    with pytest.raises(ChangedSince, match="run again"), replacing(file) as scratch:
        scratch.write_bytes(b"new")
        file.write_bytes(b"theirs")
    assert (file.read_bytes(), scratches(file)) == (b"theirs", [])


def test_a_change_that_kept_the_size_is_seen_by_its_time(file):
    with pytest.raises(ChangedSince), replacing(file):
        file.write_bytes(b"odd")
        os.utime(file, ns=(1, 1))
    assert file.read_bytes() == b"odd"


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_system_that_refuses_leaves_the_file_and_no_copy(file, function, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, function, refuse)
    with pytest.raises(OSError, match="no space"):
        rewrite(file)
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_copy_that_cannot_be_made_leaves_nothing(file, monkeypatch):
    def half(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"o")
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("shutil.copyfile", half)
    with pytest.raises(OSError, match="no space"):
        rewrite(file)
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_folder_that_knows_no_fsync_is_no_failure(file, monkeypatch):
    sync = replace.sync

    def picky(path: Path) -> None:
        if path.is_dir():
            raise OSError(errno.EINVAL, "not supported")
        sync(path)

    monkeypatch.setattr(replace, "sync", picky)
    rewrite(file)
    assert file.read_bytes() == b"new"


KILLED = """
import os, signal, sys
from pathlib import Path
from tagger.replace import replacing
with replacing(Path(sys.argv[1])) as scratch:
    scratch.write_bytes(b"half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_kill_in_the_middle_leaves_the_old_file(file):
    run = subprocess.run([sys.executable, "-c", KILLED, file], cwd=ROOT)
    assert run.returncode == -signal.SIGKILL
    assert file.read_bytes() == b"old"
    assert [name.startswith(SCRATCH_PREFIX) for name in scratches(file)] == [True]


def test_scratch_names_are_hidden_new_and_keep_the_suffix(file):
    one, other = scratch_beside(file), scratch_beside(file)
    assert one != other
    assert (one.parent, one.suffix, one.name[0]) == (file.parent, ".mp3", ".")
