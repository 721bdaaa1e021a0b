"""Music videos: those with sound are predicted, and those without are no failure."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest
from helpers.command import Run

SOUND = "-f lavfi -i sine=440:duration=4"
PICTURE = "-f lavfi -i testsrc=size=64x48:rate=5:duration=4"
CODECS = {
    ".mp4": "-c:v mpeg4 -c:a aac", ".mov": "-c:v mpeg4 -c:a aac", ".m4v": "-c:v mpeg4 -c:a aac",
    ".webm": "-c:v vp8 -c:a libvorbis -ac 2", ".mkv": "-c:v mpeg4 -c:a libvorbis -ac 2",
}  # fmt: skip


def make(path: Path, *, sound: bool, picture: bool = True) -> Path:
    inputs = f"{PICTURE if picture else ''} {SOUND if sound else ''}"
    command = f"ffmpeg -v error -y {inputs} {CODECS[path.suffix]}"
    subprocess.run([*command.split(), path], check=True)
    return path


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


def actions(folder: Path) -> dict[str, str]:
    with (folder / "genres.csv").open(encoding="utf-8-sig", newline="") as file:
        return {Path(row["path"]).name: row["action"] for row in csv.DictReader(file)}


def test_videos_with_sound_are_predicted_and_silent_ones_do_not_fail(
    run: Run, videos: Path, tmp_path: Path
) -> None:
    for suffix in (".mp4", ".mov", ".webm"):
        make(videos / f"song{suffix}", sound=True)
        make(videos / f"silent{suffix}", sound=False)
    for _ in range(2):  # the second time from the state
        done = run(videos, "--csv", tmp_path / "genres.csv")
        assert done.returncode == 0, done.stderr
        found = actions(tmp_path)
        assert {name: found[name] for name in found if name.startswith("silent")} == {
            "silent.mov": "no-music", "silent.mp4": "no-music", "silent.webm": "no-music",
        }  # fmt: skip
        assert "failed" not in found.values() and "failed" not in done.stderr
        assert len(found) == 6
    assert "a video without sound" in (tmp_path / "genres.csv").read_text()
    quiet = run(videos, "--csv", tmp_path / "genres.csv", "--quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_a_written_video_keeps_everything_else_or_is_left_alone_with_a_reason(
    run: Run, videos: Path, tmp_path: Path
) -> None:
    for suffix in (".mp4", ".mov", ".webm", ".mkv"):
        make(videos / f"song{suffix}", sound=True)
    before = {path.name: packets(path) for path in videos.iterdir()}
    options = ("--write-tags", "--min-confidence", "0", "--suffix", ".mkv")
    done = run(videos, "--csv", tmp_path / "genres.csv", *options)
    assert done.returncode == 0, done.stderr
    assert {path.name: packets(path) for path in videos.iterdir()} == before
    found = actions(tmp_path)
    assert found["song.mp4"] == "written" and found["song.webm"] == found["song.mkv"] == "predicted"
    assert found["song.mov"] in ("written", "predicted")
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format_tags=genre", videos / "song.mp4"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "TAG:genre=" in shown.stdout


def packets(path: Path) -> str:
    command = ["ffmpeg", "-v", "error", "-i", path, "-map", "0", "-c", "copy", "-f", "md5", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_other_suffixes_are_counted_in_the_summary_and_predicted_on_request(
    run: Run, videos: Path, tmp_path: Path
) -> None:
    make(videos / "song.mp4", sound=True)
    make(videos / "film.mkv", sound=True)
    make(videos / "clip.m4v", sound=True)
    (videos / "cover.jpg").touch()
    done = run(videos, "--csv", tmp_path / "genres.csv")
    assert "left out by suffix: 1 .m4v, 1 .mkv (--suffix .m4v predicts these too)" in done.stderr
    done = run(videos, "--csv", tmp_path / "genres.csv", "--suffix", "mkv", "--suffix", ".M4V")
    assert "by suffix" not in done.stderr and len(actions(tmp_path)) == 3
    config = tmp_path / "config.toml"
    config.write_text('suffix = [".mkv"]\n')
    done = run(videos, "--csv", tmp_path / "genres.csv", "--config", config)
    assert "left out by suffix: 1 .m4v" in done.stderr and len(actions(tmp_path)) == 2
    for wrong in ("a/b", "mkv,avi", ".mkv;.avi", "*"):
        assert run(videos, "--suffix", wrong).returncode == 2


def test_a_folder_with_nothing_but_other_media_says_so(run: Run, videos: Path) -> None:
    make(videos / "film.mkv", sound=True)
    done = run(videos)
    assert done.returncode == 1
    assert "no audio file in it (left out by suffix: 1 .mkv (--suffix .mkv" in done.stderr
