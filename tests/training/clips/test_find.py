"""Clips are found in folders and tables of every form in which people have them."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.clips import found, touch, write_clips
from helpers.command import DATA
from hypothesis import given
from hypothesis import strategies as st

from training.clips import tree
from training.clips.clip import Clip
from training.clips.find import find_clips, find_unlabelled
from training.errors import TrainingError

GTZAN = DATA / "gtzan"


@pytest.mark.parametrize("wrapper", ["", "genres", "Data/genres_original", "a/b/c"])
def test_wrapper_folders_do_not_matter(tmp_path: Path, wrapper: str) -> None:
    touch(tmp_path / wrapper, "blues/blues.00000.wav", "rock/rock.00001.AU", "rock/notes.txt")
    assert found(tmp_path) == [("blues", "blues.00000"), ("rock", "rock.00001")]


def test_pictures_and_tables_in_kaggles_copy_are_ignored(tmp_path: Path) -> None:
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
def test_another_wrapper_never_changes_the_labels(folders: list[list[str]]) -> None:
    files = [(*parts, "x.wav") for parts in folders]
    wrapped = [("wrapper", *parts) for parts in files]
    depth, deeper = tree.label_depth(files), tree.label_depth(wrapped)
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
    assert [(clip.label, clip.name) for clip in find_unlabelled(tmp_path)] == [("", "c"), ("", "b")]
    with pytest.raises(TrainingError, match="no audio file"):
        find_unlabelled(touch(tmp_path / "empty", "x.txt"))


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


def test_paths_may_be_absolute_and_name_clips_whose_file_names_are_equal(tmp_path: Path) -> None:
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
        ("path,name\n1.wav,Rock\n", "no column label or genre or .*; .* but names path, name"),
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
    # One path is relative to another folder, and one name is not unique.
    expected = "" if rows.startswith(("path", "name")) else "Queen"
    assert [clip.artist for clip in clips] == ["Ella F.", expected, ""]


def test_names_of_artists_are_matched_by_the_names_of_gtzans_files(tmp_path: Path) -> None:
    data = touch(tmp_path / "data", "blues/blues.00000.au", "jazz/jazz.00000.au")
    table = write_table(tmp_path / "a.csv", "file,artist\nx/blues.00000.wav,A\njazz.00000,B\n")
    assert [clip.artist for clip in find_clips(data, table)] == ["A", "B"]


def test_a_name_with_two_artists_is_ignored(tmp_path: Path) -> None:
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
    plain = [replace(clip, part="") for clip in clips]
    assert plain == find_clips(GTZAN / "genres", artists=table)
    assert len(clips) == 465 and clips[0].artist == "John Lee Hooker"


def test_labels_in_two_unicode_forms_are_one(tmp_path: Path) -> None:
    for number, form in enumerate(("NFC", "NFD")):
        touch(tmp_path, f"{unicodedata.normalize(form, 'Música')}/{number}.wav", "rock/1.wav")
    assert found(tmp_path) == [("Música", "0"), ("Música", "1"), ("rock", "1")]
