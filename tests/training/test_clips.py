"""Clips are found in every form people have them, unpacked safely, and kept within a minute."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.clips import RATE, write_clips
from helpers.command import DATA
from hypothesis import given
from hypothesis import strategies as st

from tagger.audio.windows import WindowPlan
from training.clips import archives, find
from training.clips.decode import DecodedClip, decode_clip, decode_clips
from training.clips.find import Clip, find_clips, find_unlabelled
from training.errors import TrainingError

SECOND = WindowPlan(RATE, RATE)
GTZAN = DATA / "gtzan"
TAR_MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(archives, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(source: Path) -> list[tuple[str, str]]:
    return [(clip.label, clip.name) for clip in find_clips(source)]


# Folders


@pytest.mark.parametrize("wrapper", ["", "genres", "Data/genres_original", "a/b/c"])
def test_wrapper_folders_do_not_matter(tmp_path: Path, wrapper: str) -> None:
    touch(tmp_path / wrapper, "blues/blues.00000.wav", "rock/rock.00001.AU", "rock/notes.txt")
    assert found(tmp_path) == [("blues", "blues.00000"), ("rock", "rock.00001")]


def test_kaggles_copy_is_read_past_its_pictures_and_tables(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "Data/features_30_sec.csv",
        "Data/images_original/blues/blues00000.png",
        "Data/genres_original/blues/blues.00000.wav",
        "Data/genres_original/jazz/jazz.00054.wav",
    )
    assert found(tmp_path) == [("blues", "blues.00000"), ("jazz", "jazz.00054")]


def test_in_deep_trees_the_outermost_folder_is_the_label_and_the_next_the_artist(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "Music/Rock/Queen/Jazz/01 Mustapha.flac", "Music/Jazz/Ella/02.mp3")
    touch(tmp_path, "Music/Jazz/loose.mp3")
    assert [(clip.label, clip.name, clip.artist) for clip in find_clips(tmp_path)] == [
        ("Jazz", "Ella/02", "Ella"),
        ("Jazz", "loose", ""),
        ("Rock", "Queen/Jazz/01 Mustapha", "Queen"),
    ]


def test_clips_are_found_in_odd_trees(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "genres/blues/blues.00000.au",
        "genres/rock/rock.00001.OPUS",
        "genres/rock/.hidden.wav",
        ".cache/jazz/jazz.00000.wav",
        "@eaDir/rock/rock.00001.mp3",
        "unlabelled.wav",
        "a b/hip hop/ü.flac",
    )
    # A file beside the folders makes them labels, as do two that hold audio.
    assert found(tmp_path) == [
        ("a b", "hip hop/ü"),
        ("genres", "blues/blues.00000"),
        ("genres", "rock/rock.00001"),
    ]
    (tmp_path / "unlabelled.wav").unlink()
    (tmp_path / "a b/hip hop/ü.flac").unlink()
    assert found(tmp_path) == [("blues", "blues.00000"), ("rock", "rock.00001")]


def test_a_single_genre_is_a_label_if_it_holds_its_files_itself(tmp_path: Path) -> None:
    assert found(touch(tmp_path, "genres/blues/1.wav")) == [("blues", "1")]


PARTS_OF_A_PATH = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@given(st.lists(PARTS_OF_A_PATH, min_size=1, max_size=8))
def test_one_wrapper_more_never_changes_the_labels(folders: list[list[str]]) -> None:
    files = [(*parts, "x.wav") for parts in folders]
    wrapped = [("wrapper", *parts) for parts in files]
    depth, deeper = find._label_depth(files), find._label_depth(wrapped)
    assert deeper == depth + 1 and all(len(parts) > depth + 1 for parts in files)


def test_linked_files_are_followed(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=1)
    (tmp_path / "linked" / "hum").mkdir(parents=True)
    (tmp_path / "linked" / "hum" / "1.wav").symlink_to(data / "tone" / "tone.00000.wav")
    assert found(tmp_path / "linked") == [("hum", "1")]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "no labelled clip"),
        (["unlabelled.wav"], "no labelled clip"),
        (["blues/notes.txt"], "no labelled clip"),
        (["blues/1.wav", "blues/1.au"], "two clips have the same name"),
    ],
)
def test_folders_that_cannot_be_used_are_refused(
    tmp_path: Path, names: list[str], reason: str
) -> None:
    with pytest.raises(TrainingError, match=reason):
        find_clips(touch(tmp_path, *names))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere", "is neither a folder nor a file"),
        ("song.wav", r"is not a folder, archive .* CSV"),
    ],
)
def test_other_sources_are_refused(tmp_path: Path, name: str, reason: str) -> None:
    touch(tmp_path, "song.wav")
    with pytest.raises(TrainingError, match=reason):
        find_clips(tmp_path / name)


def test_unlabelled_music_needs_no_folders(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp3", "a/c.wav", ".hidden.mp3")
    assert [(clip.label, clip.name) for clip in find_unlabelled(tmp_path)] == [("", "b"), ("", "c")]
    with pytest.raises(TrainingError, match="no audio file"):
        find_unlabelled(touch(tmp_path / "empty", "x.txt"))


# Archives


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
def test_archives_are_unpacked_once_and_hold_the_same_sounds(
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


def test_folders_that_are_links_are_not_followed_out(tmp_path: Path, cache: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tar_member("rock", tarfile.SYMTYPE, str(outside))
    find_clips(tar_of(tmp_path / "a.tar", link, tar_member("rock/1.wav")))
    assert not list(outside.iterdir())


def shortened(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def flipped(data: bytes) -> bytes:
    """One byte is wrong in the middle: in a sample, where only a checksum tells."""
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
def test_a_damaged_archive_is_one_line_and_leaves_nothing(
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


def test_a_run_stopped_in_between_leaves_no_half_folder(
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


def test_unpacking_where_nothing_can_be_written_is_one_line(tmp_path: Path, cache: Path) -> None:
    archive = pack(tmp_path / "a.zip", touch(tmp_path / "folder", "x/1.wav"))
    cache.touch()
    with pytest.raises(TrainingError, match=r"cannot be unpacked into .*: (not a dir|file exists)"):
        find_clips(archive)


# Tables


def write_table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,label,artist\na/ü.wav,Rock,Queen\nb/2.wav,Hip Hop,\n", "utf-8"),
        ("path;label;artist\r\na/ü.wav;Rock;Queen\r\nb/2.wav;Hip Hop;\r\n;;\r\n", "utf-8-sig"),
        ('File\tGenre\tArtist\r\n"a/ü.wav"\tRock\tQueen\r\nb/2.wav\tHip Hop', "utf-8-sig"),
        ('title,file,genre,artist\n"x, y; z",a/ü.wav, Rock ,Queen\n\n,b/2.wav,Hip Hop\n', "utf-8"),
    ],
)
def test_tables_are_read_as_spreadsheets_save_them(
    tmp_path: Path, text: str, encoding: str
) -> None:
    touch(tmp_path, "a/ü.wav", "b/2.wav")
    clips = find_clips(write_table(tmp_path / "clips.csv", text, encoding))
    assert clips == [
        Clip(tmp_path / "b/2.wav", "Hip Hop", "2"),
        Clip(tmp_path / "a/ü.wav", "Rock", "ü", "Queen"),
    ]


def test_paths_in_a_table_may_be_absolute_and_name_clips_where_files_do_not(tmp_path: Path) -> None:
    touch(tmp_path, "a/01.wav", "b/01.wav", "c/01.wav")
    text = f"path,label\na/01.wav,Rock\nb/01.wav,Rock\n{tmp_path}/c/01.wav,Jazz\n"
    assert found(write_table(tmp_path / "clips.csv", text)) == [
        ("Jazz", "01"),
        ("Rock", "a/01"),
        ("Rock", "b/01"),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no column path or file .*but names none"),
        ("path,label\n", "has no rows"),
        ("path,name\n1.wav,Rock\n", "no column label or genre;.* but names path, name"),
        ("path,label\n1.wav,Rock\n2.wav,Rock\n3.wav,Rock\n", "2 of 3 files .* missing.*2.wav"),
        ("path,label\n1.wav,Rock\n1.wav, \n", "1 of 2 rows .* in row 3"),
        ("path,label\n1.wav,Rock\n./1.wav,Jazz\n", "names .*1.wav 2 times"),
        ("path,label\n\udc80.wav,Rock\n", "save it as CSV in UTF-8"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    touch(tmp_path, "1.wav")
    table = tmp_path / "clips.csv"
    table.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(TrainingError, match=reason):
        find_clips(table)


# Artists


@pytest.mark.parametrize(
    "rows",
    [
        "file,artist\ndata/Rock/1.wav,Queen\ndata/Jazz/Ella/1.wav,Ella F.\n",
        "path;artist\nRock/1.wav;Queen\nElla/1.wav;Ella F.\n",
        "name,artist\n1,Queen\nElla/1,Ella F.\nunknown,X\n",
    ],
)
def test_a_file_of_artists_is_matched_by_path_and_by_name(tmp_path: Path, rows: str) -> None:
    data = touch(tmp_path / "data", "Rock/1.wav", "Rock/2.wav", "Jazz/Ella/1.wav")
    clips = find_clips(data, write_table(tmp_path / "artists.csv", rows))
    # One row says where the file is by a path that only another folder knows.
    expected = "" if rows.startswith(("path", "name")) else "Queen"
    assert [clip.artist for clip in clips] == ["Ella F.", expected, ""]


def test_names_of_artists_are_matched_by_the_names_of_gtzans_files(tmp_path: Path) -> None:
    data = touch(tmp_path / "data", "blues/blues.00000.au", "jazz/jazz.00000.au")
    table = write_table(tmp_path / "a.csv", "file,artist\nx/blues.00000.wav,A\njazz.00000,B\n")
    assert [clip.artist for clip in find_clips(data, table)] == ["A", "B"]


def test_a_name_given_to_two_artists_is_not_believed(tmp_path: Path) -> None:
    data = touch(tmp_path / "data", "x/1.wav", "x/2.wav")
    table = write_table(tmp_path / "a.csv", "name,artist\n1,A\n1,B\n2,C\n")
    assert [clip.artist for clip in find_clips(data, table)] == ["", "C"]


def test_artists_of_other_clips_are_refused(tmp_path: Path) -> None:
    data = touch(tmp_path / "data", "x/1.wav")
    with pytest.raises(TrainingError, match="names none of the clips"):
        find_clips(data, write_table(tmp_path / "a.csv", "name,artist\nother,A\n"))


@pytest.mark.skipif(not GTZAN.is_dir(), reason="GTZAN is not here (shared/data/gtzan)")
def test_gtzans_table_serves_as_clips_and_as_artists() -> None:
    table = GTZAN / "tracks.csv"
    clips = find_clips(table)
    assert clips == find_clips(GTZAN / "genres", artists=table)
    assert len(clips) == 465 and clips[0].artist == "John Lee Hooker"


# Sounds


def write_noise(path: Path, seconds: float) -> np.ndarray:
    noise = np.random.default_rng(2).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)
    soundfile.write(path, noise, RATE, subtype="FLOAT")
    return noise


def test_unreadable_clips_are_reported_and_left_out(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=1)
    (data / "noise" / "noise.00054.wav").write_bytes(b"no audio")
    lines: list[str] = []
    decoded = decode_clips(find_clips(data), WindowPlan(8_000, RATE), lines.append)
    assert [of.clip.name for of in decoded] == ["noise.00000", "tone.00000"]
    assert len(lines) == 1 and "noise.00054.wav" in lines[0]


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.7, 40.3, 60.0])
def test_a_sound_is_the_whole_clip_and_a_short_one_is_repeated(
    tmp_path: Path, seconds: float
) -> None:
    noise = write_noise(tmp_path / "clip.wav", seconds)
    decoded = decode_clip(Clip(tmp_path / "clip.wav", "", "clip"), SECOND)
    assert decoded.seconds == decoded.kept_seconds == pytest.approx(seconds)
    assert decoded.starts == (0.0,) and len(decoded.segments) == 1
    np.testing.assert_array_equal(decoded.segments[0], np.resize(noise, max(RATE, len(noise))))


@pytest.mark.parametrize(
    ("window", "seconds", "segments"),
    [(1.0, 60.1, 20), (10.255, 61.0, 2), (10.255, 200.0, 2), (0.2, 90.0, 100), (25.0, 70.0, 1)],
)
def test_a_whole_track_is_kept_in_spread_segments_of_a_minute(
    tmp_path: Path, window: float, seconds: float, segments: int
) -> None:
    noise = write_noise(tmp_path / "clip.wav", seconds)
    plan = WindowPlan(round(window * RATE), RATE)
    decoded = decode_clip(Clip(tmp_path / "clip.wav", "", "clip"), plan)
    assert len(decoded.segments) == segments
    for start, segment in zip(decoded.starts, decoded.segments, strict=True):
        begin = round(start * RATE)
        assert len(segment) == min(3 * plan.samples, len(noise))
        np.testing.assert_array_equal(segment, noise[begin : begin + len(segment)])
    assert decoded.seconds == pytest.approx(seconds)
    assert decoded.kept_seconds <= min(seconds, 60 + 3 * window)


def test_other_rates_are_resampled_for_segments_too(tmp_path: Path) -> None:
    time = np.arange(70 * 22_050) / 22_050
    soundfile.write(tmp_path / "clip.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 22_050)
    decoded = decode_clip(Clip(tmp_path / "clip.wav", "", "clip"), SECOND)
    for start, segment in zip(decoded.starts, decoded.segments, strict=True):
        expected = 0.5 * np.sin(2 * np.pi * 440 * (start + np.arange(len(segment)) / RATE))
        np.testing.assert_allclose(segment, expected, atol=2e-3)


def test_a_sound_without_segments_cannot_be() -> None:
    with pytest.raises(ValueError):
        DecodedClip(Clip(Path(), "", ""), (), (), 1.0, RATE)


def test_a_broken_link_is_left_out_as_unreadable(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=1)
    os.symlink("nowhere.wav", data / "tone" / "tone.00009.wav")
    lines: list[str] = []
    assert len(decode_clips(find_clips(data), SECOND, lines.append)) == 2 and len(lines) == 1
