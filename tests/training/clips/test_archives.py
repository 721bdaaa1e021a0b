"""Archives are unpacked once, safely, and completely or not at all."""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.clips import found, touch, write_clips

from training.clips import archives
from training.clips.find import find_clips
from training.errors import TrainingError

TAR_MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(archives, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def pack(path: Path, folder: Path) -> Path:
    """The archive of a folder, of the kind that its suffix says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for file in sorted(folder.rglob("*")):
                zipped.write(file, file.relative_to(folder))
    else:
        suffix = next(suffix for suffix in TAR_MODES if path.name.endswith(suffix))
        with tarfile.open(path, TAR_MODES[suffix]) as tar:  # type: ignore[call-overload]
            tar.add(folder, arcname=".")
    return path


def tar_of(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"\0" * member.size))
    return path


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    member.size = 10 if kind == tarfile.REGTYPE else 0
    return member


@pytest.mark.parametrize("name", ["genres.zip", *(f"genres{suffix}" for suffix in TAR_MODES)])
def test_archives_are_unpacked_once_and_hold_the_same_files(
    tmp_path: Path, cache: Path, name: str
) -> None:
    folder = write_clips(tmp_path / "folder" / "genres", per_label=2).parent
    touch(folder, "genres/tone/._tone.00000.wav", "genres/notes.txt")
    archive = pack(tmp_path / name, folder)
    assert found(archive) == found(folder)
    for clip, original in zip(find_clips(archive), find_clips(folder), strict=True):
        assert clip.path.read_bytes() == original.path.read_bytes()
    unpacked = [path for path in cache.rglob("*") if path.is_file()]
    assert {path.suffix for path in unpacked} == {".wav"} and len(unpacked) == 4
    (unpacked[0]).unlink()  # would be back if it were unpacked again
    assert len(find_clips(archive)) == 3


def test_a_new_archive_under_an_old_name_is_unpacked_again(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", touch(tmp_path / "one", "x/1.wav"))
    assert found(archive) == [("x", "1")]
    pack(archive, touch(tmp_path / "two", "y/1.wav", "y/2.wav"))
    assert found(archive) == [("y", "1"), ("y", "2")]


UNSAFE = {
    "outside": tar_member("genres/../../evil.wav"),
    "absolute": tar_member("/tmp/evil.wav"),
    "symlink": tar_member("genres/rock/evil.wav", tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": tar_member("genres/rock/evil.wav", tarfile.LNKTYPE, "genres/rock/1.wav"),
    "device": tar_member("genres/rock/evil.wav", tarfile.CHRTYPE),
    "pipe": tar_member("genres/rock/evil.wav", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_unsafe_tars_leave_nothing(tmp_path: Path, cache: Path, kind: str) -> None:
    archive = tar_of(tmp_path / "a.tar", tar_member("genres/rock/1.wav"), UNSAFE[kind])
    with pytest.raises(TrainingError, match=r"is not safe: .*evil.wav"):
        find_clips(archive)
    assert not list(cache.iterdir()) and not list(tmp_path.rglob("evil.wav"))


@pytest.mark.parametrize("name", ["../evil.wav", "/evil.wav", "rock/evil.wav"])
def test_unsafe_zips_leave_nothing(tmp_path: Path, cache: Path, name: str) -> None:
    archive = tmp_path / "a.zip"
    member = zipfile.ZipInfo(name)
    member.external_attr = (0o120777 if name.startswith("rock") else 0o100644) << 16
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("rock/1.wav", b"")
        zipped.writestr(member, b"/etc/passwd")
    with pytest.raises(TrainingError, match=r"is not safe: .*evil.wav"):
        find_clips(archive)
    assert not list(cache.iterdir()) and not list(tmp_path.rglob("evil.wav"))


def test_links_to_folders_do_not_lead_outside(tmp_path: Path, cache: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tar_member("rock", tarfile.SYMTYPE, str(outside))
    find_clips(tar_of(tmp_path / "a.tar", link, tar_member("rock/1.wav")))
    assert not list(outside.iterdir())


def shortened(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def flipped(data: bytes) -> bytes:
    """Flip a bit in the middle: in a sample, where only a checksum detects it."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        *((suffix, shortened) for suffix in (".zip", *TAR_MODES)),
        *((suffix, flipped) for suffix in (".zip", ".tar.gz", ".tar.bz2", ".tar.xz")),
        (".zip", lambda data: b"<html>not found</html>"),
        (".tar.gz", lambda data: b"<html>not found</html>"),
        (".tar", lambda data: b""),
    ],
)
def test_a_damaged_archive_gives_a_one_line_error_and_leaves_nothing(
    tmp_path: Path, cache: Path, suffix: str, damage: Callable[[bytes], bytes]
) -> None:
    archive = pack(tmp_path / f"a{suffix}", write_clips(tmp_path / "folder"))
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(TrainingError, match=r"cannot be unpacked .*damaged") as caught:
        find_clips(archive)
    assert "\n" not in str(caught.value) and not list(cache.iterdir())


def test_a_tar_whose_middle_is_overwritten_is_damaged(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", *(tar_member(f"x/{index}.wav") for index in range(3)))
    data = bytearray(archive.read_bytes())
    data[1024:1100] = b"?" * 76  # the second header
    archive.write_bytes(data)
    with pytest.raises(TrainingError, match="damaged"):
        find_clips(archive)


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_an_archive_larger_than_the_disk_is_refused_before_anything_is_written(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    archive = pack(tmp_path / f"a{suffix}", write_clips(tmp_path / "folder", per_label=1))
    needed = sum(path.stat().st_size for path in (tmp_path / "folder").rglob("*.wav"))
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=needed - 1))
        patch.setattr(zipfile.ZipFile, "extract", pytest.fail)
        patch.setattr(tarfile.TarFile, "extract", pytest.fail)
        with pytest.raises(TrainingError, match=r"unpacks to 0\.0 GB and .* has 0\.0 GB free"):
            find_clips(archive)
    assert not list(cache.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=needed))
    assert len(find_clips(archive)) == 2


def test_an_archive_without_audio_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", touch(tmp_path / "folder", "x/notes.txt"))
    with pytest.raises(TrainingError, match="holds no audio file"):
        find_clips(archive)


def test_a_stopped_run_leaves_no_incomplete_folder(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(tmp_path / "a.tar", touch(tmp_path / "folder", "x/1.wav", "x/2.wav"))
    extract = tarfile.TarFile.extract

    def stop_at_the_second(self: tarfile.TarFile, member: tarfile.TarInfo, *rest: object) -> None:
        if member.name.endswith("2.wav"):
            raise KeyboardInterrupt
        extract(self, member, tmp_path / "cache" / "elsewhere")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extract", lambda *a, **_: stop_at_the_second(*a))
        with pytest.raises(KeyboardInterrupt):
            find_clips(archive)
    assert [path.name for path in cache.iterdir()] == ["elsewhere"]
    assert found(archive) == [("x", "1"), ("x", "2")]


def test_unpacking_where_nothing_can_be_written_gives_a_one_line_error(
    tmp_path: Path, cache: Path
) -> None:
    archive = pack(tmp_path / "a.zip", touch(tmp_path / "folder", "x/1.wav"))
    cache.touch()
    with pytest.raises(TrainingError, match=r"cannot be unpacked into .*: (not a dir|file exists)"):
        find_clips(archive)
