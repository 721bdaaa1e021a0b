"""A replacement keeps owner, group, attributes and flags of the file, or the file is left alone."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagger.errors import TagError
from tagger.files import metadata
from tagger.files.atomic import check_replaceable, replacing
from tagger.types import WriteOptions

ROOT = Path(__file__).parents[2]
DROP = WriteOptions(drop_attributes=True)
ME, MY_GROUP, OTHER_GROUP, FOREIGN = 12345, 12345, 23456, 34567
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
ROOT_ONLY = pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="root acts as others")

# As an ordinary user: what a dry run says, then what a write does.
AS_ME = f"""
import os, sys
from pathlib import Path
from tagger.errors import TagError
from tagger.files.atomic import check_replaceable, replacing
from tagger.types import WriteOptions
os.setgroups([{OTHER_GROUP}]); os.setgid({MY_GROUP}); os.setuid({ME})
path, options = Path(sys.argv[1]), WriteOptions(drop_attributes=sys.argv[2] == "drop")
for write in (False, True):
    try:
        if write:
            with replacing(path, options) as scratch:
                scratch.write_bytes(b"new")
        else:
            check_replaceable(path, options)
        print("done")
    except TagError as error:
        print(error)
"""


@pytest.fixture
def file() -> Iterator[Path]:
    """A file of an ordinary user; not in pytest's folder, which no one else may look into."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "music", "song.mp3")
        path.parent.mkdir()
        path.write_bytes(b"old")
        if os.getuid() == 0:
            for place, mode in ((Path(folder), 0o755), (path.parent, 0o775), (path, 0o664)):
                place.chmod(mode)
                os.chown(place, ME, MY_GROUP)
        yield path


def as_me(path: Path, *, drop: bool = False) -> list[str]:
    """The reasons that a dry run and a write by the ordinary user give."""
    command = [sys.executable, "-c", AS_ME, str(path), "drop" if drop else "keep"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    return done.stdout.splitlines()


def owner(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


def set_attribute(path: Path, name: str, value: bytes = b"x") -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        pytest.skip(f"no such attribute here: {error}")


def chattr(path: Path, *change: str) -> str:
    """The flags of a file as the system's own tool shows them, after a change."""
    if not shutil.which("chattr"):
        pytest.skip("no chattr here")
    if change:
        done = subprocess.run(["chattr", *change, path], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no flags here: {done.stderr}")
    shown = subprocess.run(["lsattr", path], capture_output=True, text=True, check=True)
    return shown.stdout.split()[0].replace("-", "").replace("e", "")


@ROOT_ONLY
def test_a_file_of_mine_in_a_foreign_group_is_refused_by_that_name(file):
    os.chown(file, ME, FOREIGN)
    said = as_me(file)
    assert said[0] == said[1] != "done"
    assert said[0].startswith(f"you are not in its group, {FOREIGN}")
    assert (file.read_bytes(), owner(file)) == (b"old", (ME, FOREIGN))


@ROOT_ONLY
def test_a_known_group_is_named(file):
    os.chown(file, ME, 1)
    import grp

    assert f"you are not in its group, {grp.getgrgid(1).gr_name}" in as_me(file)[0]


@ROOT_ONLY
def test_a_folder_that_gives_new_files_the_group_keeps_it(file):
    os.chown(file, ME, FOREIGN)
    os.chown(file.parent, ME, FOREIGN)
    file.parent.chmod(0o2775)
    assert as_me(file) == ["done", "done"]
    assert (file.read_bytes(), owner(file)) == (b"new", (ME, FOREIGN))


@ROOT_ONLY
@pytest.mark.parametrize("group", [MY_GROUP, OTHER_GROUP])
@pytest.mark.parametrize("mode", [0o775, 0o2775])
def test_a_group_that_i_am_in_is_kept_whatever_the_folder_gives(file, group, mode):
    os.chown(file, ME, group)
    os.chown(file.parent, ME, OTHER_GROUP)
    file.parent.chmod(mode)
    assert as_me(file) == ["done", "done"]
    assert (file.read_bytes(), owner(file)) == (b"new", (ME, group))


@ROOT_ONLY
@pytest.mark.parametrize("group", [OTHER_GROUP, FOREIGN])
def test_a_file_of_another_user_is_refused(file, group):
    os.chown(file, 54321, group)
    file.chmod(0o666)
    said = as_me(file)
    assert said == ["it belongs to another user, and the new file would not; run as its owner"] * 2
    assert (file.read_bytes(), owner(file)) == (b"old", (54321, group))


@ROOT_ONLY
def test_a_file_system_that_decides_itself_is_asked_only_by_the_write(file, monkeypatch):
    os.chown(file, 54321, FOREIGN)
    monkeypatch.setattr(metadata, "_can", lambda capability: False)
    monkeypatch.setattr(os, "geteuid", lambda: ME)
    with pytest.raises(TagError, match="another user"):
        check_replaceable(file)
    monkeypatch.setattr(metadata, "LOCAL", frozenset())
    check_replaceable(file)
    with replacing(file) as scratch:  # by root, really
        scratch.write_bytes(b"new")
    assert owner(file) == (54321, FOREIGN)


@ROOT_ONLY
@pytest.mark.parametrize("name", ["security.mine", "security.capability"])
def test_an_attribute_of_the_system_is_kept_or_a_refusal_unless_it_may_be_dropped(file, name):
    value = bytes.fromhex("0000000200200000000000000000000000000000")
    set_attribute(file, name, value)
    said = as_me(file)
    assert said[0] == said[1]
    assert f"cannot be preserved ({name}); --drop-attributes writes" in said[0]
    assert file.read_bytes() == b"old"
    with replacing(file) as scratch:
        scratch.write_bytes(b"new of root")
    assert (file.read_bytes(), os.getxattr(file, name)) == (b"new of root", value)
    assert as_me(file, drop=True) == ["done", "done"]
    assert (file.read_bytes(), os.listxattr(file)) == (b"new", [])


def test_an_attribute_that_only_the_write_finds_out_is_a_refusal(file, monkeypatch):
    set_attribute(file, "user.rating")
    set_plainly = os.setxattr

    def refuse(path: object, name: str, *more: object, **options: object) -> None:
        if name == "user.rating":
            raise OSError(95, "not supported")
        set_plainly(path, name, *more, **options)

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(TagError, match=r"\(user\.rating\)"), replacing(file) as scratch:
        scratch.write_bytes(b"new")
    assert file.read_bytes() == b"old"
    with replacing(file, DROP) as scratch:
        scratch.write_bytes(b"new")
    assert (file.read_bytes(), os.listxattr(file)) == (b"new", [])


def test_an_attribute_that_the_edit_removes_is_set_again(file):
    set_attribute(file, "user.rating", b"5")
    with replacing(file) as scratch:
        scratch.write_bytes(b"new")
        os.removexattr(scratch, "user.rating")
    assert os.getxattr(file, "user.rating") == b"5"


def test_attributes_that_the_system_computes_are_no_obstacle(file, monkeypatch):
    plain = os.listxattr
    listed = ["security.ima", "security.evm", "trusted.overlay.origin", "btrfs.compression"]
    monkeypatch.setattr(os, "listxattr", lambda path, **more: [*plain(path), *listed])
    with replacing(file) as scratch:
        scratch.write_bytes(b"new")
    assert file.read_bytes() == b"new"


@ROOT_ONLY
@pytest.mark.parametrize("flags", ["d", "A", "S", "dA"])
def test_flags_are_kept(file, flags):
    before = chattr(file, f"+{flags}")
    with replacing(file) as scratch:
        scratch.write_bytes(b"new")
    assert (file.read_bytes(), chattr(file)) == (b"new", before)


@ROOT_ONLY
def test_flags_that_the_folder_gives_new_files_are_not_taken_over(file):
    chattr(file.parent, "+dA")
    with replacing(file) as scratch:
        scratch.write_bytes(b"new")
    assert (file.read_bytes(), chattr(file)) == (b"new", "")


def test_a_flag_that_cannot_be_set_is_a_refusal_unless_it_may_be_dropped(file, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise OSError(1, "not permitted")

    chattr(file, "+d")
    monkeypatch.setattr(metadata, "_set_flags", refuse)
    with pytest.raises(TagError, match=r"cannot be preserved \(chattr d\)"), replacing(file):
        pass
    with replacing(file, DROP) as scratch:
        scratch.write_bytes(b"new")
    assert (file.read_bytes(), chattr(file)) == (b"new", "")


@ROOT_ONLY
@pytest.mark.parametrize(("flag", "reason"), [("a", "chattr -a"), ("i", "read-only")])
def test_a_file_that_the_system_protects_is_refused_before_a_write(file, flag, reason):
    chattr(file, f"+{flag}")
    try:
        with pytest.raises(TagError, match=reason):
            check_replaceable(file, DROP)
        assert all(reason in line for line in as_me(file, drop=True))
    finally:
        chattr(file, f"-{flag}")


def test_without_its_access_list_nobody_may_read_more(file, monkeypatch):
    if not shutil.which("setfacl"):
        pytest.skip("no setfacl here")
    file.chmod(0o600)
    change = ["setfacl", "-m", "g::-,u:54321:r,m::r", str(file)]
    done = subprocess.run(change, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no access lists here: {done.stderr}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640  # of the list, not of the group
    set_plainly = os.setxattr

    def refuse(path: object, name: str, *more: object, **options: object) -> None:
        if name.startswith("system."):
            raise OSError(95, "not supported")
        set_plainly(path, name, *more, **options)

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(TagError, match="posix_acl_access"), replacing(file):
        pass
    with replacing(file, DROP) as scratch:
        scratch.write_bytes(b"new")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"new", 0o600)
