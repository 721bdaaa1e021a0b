"""Clips that a metadata file or another table names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.clips import touch

from training.clips.find import find_clips
from training.errors import TrainingError


def parts(source: Path) -> set[tuple[str, str, str]]:
    return {(clip.label, clip.path.name, clip.part) for clip in find_clips(source)}


@pytest.mark.parametrize("label", ["label", "genre", "Category", "class"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_folder_with_hugging_faces_metadata(tmp_path: Path, label: str, form: str) -> None:
    rows = [("train/1.wav", "Rock"), ("train/2.wav", "Jazz"), ("test/3.wav", "Rock")]
    touch(tmp_path, *(name for name, _ in rows), "train/4.wav")
    if form == "csv":
        text = f"file_name,{label},artist\n" + "".join(f"{a},{b},Queen\n" for a, b in rows)
    else:
        objects = ({"file_name": a, label: b, "artist": "Queen", "bpm": None} for a, b in rows)
        text = "".join(json.dumps(of) + "\n" for of in objects)
    (tmp_path / f"metadata.{form}").write_text(text)
    said: list[str] = []
    clips = find_clips(tmp_path, say=said.append)
    assert [(clip.label, clip.path.name, clip.part, clip.artist) for clip in clips] == [
        ("Jazz", "2.wav", "train", "Queen"),
        ("Rock", "1.wav", "train", "Queen"),
        ("Rock", "3.wav", "test", "Queen"),
    ]
    assert len(said) == 2 and "labels from" in said[0] and "1 audio file" in said[1]
    assert parts(tmp_path / f"metadata.{form}") == parts(tmp_path)


@pytest.mark.parametrize("top", ["", "data"])
def test_metadata_in_each_folder_of_a_part(tmp_path: Path, top: str) -> None:
    for part, names in (("train", "12"), ("validation", "34")):
        folder = touch(tmp_path / top / part, *(f"{name}.wav" for name in names))
        rows = "".join(f"{name}.wav,{'rock' if name in '13' else 'jazz'}\n" for name in names)
        (folder / "metadata.csv").write_text("file_name,genre\n" + rows)
    assert parts(tmp_path) == {
        ("rock", "1.wav", "train"),
        ("jazz", "2.wav", "train"),
        ("rock", "3.wav", "valid"),
        ("jazz", "4.wav", "valid"),
    }


def test_metadata_without_labels_leaves_the_labels_to_the_folders(tmp_path: Path) -> None:
    touch(tmp_path, "rock/1.wav", "jazz/2.wav")
    (tmp_path / "metadata.csv").write_text("file_name,transcription\nrock/1.wav,la la\n")
    assert parts(tmp_path) == {("rock", "1.wav", ""), ("jazz", "2.wav", "")}


@pytest.mark.parametrize(
    ("header", "rows", "expected"),
    [
        ("filename,genre,split", ["train", "Testing", "val"], ["train", "test", "valid"]),
        ("filepath,class,fold", ["1", "2", "10"], ["fold1", "fold2", "fold10"]),
        ("track,category,subset", ["small", "small", "full"], ["", "", ""]),
        ("path,label,part", ["train", "test", ""], ["", "", ""]),
    ],
)
def test_columns_with_usual_names(
    tmp_path: Path, header: str, rows: list[str], expected: list[str]
) -> None:
    touch(tmp_path, "a/1.wav", "a/2.wav", "b/3.wav")
    names = ["a/1.wav", "a\\2.wav", "b/3.wav"]
    table = tmp_path / "t.csv"
    lines = [f"{name},rock,{part}" for name, part in zip(names, rows, strict=True)]
    table.write_text("\n".join([header, *lines]) + "\n")
    assert [clip.part for clip in find_clips(table)] == expected


def test_a_mere_file_name_is_found_below_the_table(tmp_path: Path) -> None:
    touch(tmp_path, "genres_original/blues/blues.00000.wav", "genres_original/jazz/jazz.00000.wav")
    table = tmp_path / "features_30_sec.csv"
    table.write_text("filename,length,label\nblues.00000.wav,661794,blues\n")
    assert parts(table) == {("blues", "blues.00000.wav", "")}
    touch(tmp_path, "copy/blues.00000.wav")
    with pytest.raises(TrainingError, match=r"1 of 1 files .* missing"):
        find_clips(table)


@pytest.mark.parametrize(
    "text", ["[1, 2]\n", "{\n", '{"file_name": "1.wav"}\n', '"rock"\n', "\x00\n"]
)
def test_json_that_cannot_be_used_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    touch(tmp_path, "1.wav")
    (tmp_path / "clips.jsonl").write_text(text)
    with pytest.raises(TrainingError) as refused:
        find_clips(tmp_path / "clips.jsonl")
    assert "\n" not in str(refused.value)


def test_a_list_of_one_genre_is_that_genre(tmp_path: Path) -> None:
    touch(tmp_path, "1.wav", "2.wav")
    lines = (
        {"file_name": f"{i}.wav", "genres": genres} for i, genres in ((1, ["Rock"]), (2, "Pop"))
    )
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert parts(tmp_path) == {("Rock", "1.wav", ""), ("Pop", "2.wav", "")}
