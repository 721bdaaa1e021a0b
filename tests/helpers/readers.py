"""What TagLib, ffprobe and FFmpeg's libraries show of a file, and how that differs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import av
import pytest

from helpers.generated_files import Made

needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe")


def placed(folder: Path, made: Made) -> Path:
    path = folder / f"sound{made.suffix}"
    path.write_bytes(made.data)
    return path


def by_taglib(path: Path) -> dict[str, object]:
    """All that TagLib shows.

    Blanks around a value are stripped, since ID3v1 pads its fields with them; a genre counts once.
    """
    taglib = pytest.importorskip("taglib", reason="pytaglib is not installed")
    with taglib.File(path) as media:
        rows = {key: [value.strip() for value in row] for key, row in media.tags.items()}
        if "GENRE" in rows:
            rows["GENRE"] = list(dict.fromkeys(rows["GENRE"]))
        return {
            **{f"tag:{key}": row for key, row in rows.items() if any(row)},
            **{key: media.complex_properties(key) for key in media.complex_property_keys},
            "unsupported": media.unsupported,
            "stream": (media.sampleRate, media.channels),
        }


def by_ffprobe(*paths: Path) -> list[dict[str, object]]:
    """All that ffprobe shows of each file, except the genre and what follows from the size."""
    command = ["ffprobe", "-v", "quiet", "-of", "json", "-show_format", "-show_streams"]
    command += ["-show_chapters"]
    runs = [subprocess.Popen([*command, path], stdout=subprocess.PIPE) for path in paths]
    outputs = [run.communicate()[0] for run in runs]
    # For a file that it cannot read at all it prints the start of an object.
    return [
        {} if run.returncode else dict(_leaves(json.loads(output)))
        for run, output in zip(runs, outputs, strict=True)
    ]


def by_ffmpeg(path: Path) -> dict[str, object]:
    """All that FFmpeg's libraries show of a file, without a process for each."""
    try:
        with av.open(str(path), metadata_errors="replace") as media:
            return {
                "format": media.format.name,
                "start_time": media.start_time,
                "duration": media.duration,
                "chapters": media.chapters(),
                **{f"tags/{key}": value for key, value in without_genre(media.metadata)},
                **{
                    f"{index}/{key}": value
                    for index, stream in enumerate(media.streams)
                    for key, value in [*without_genre(stream.metadata), *figures(stream)]
                },
            }
    except (av.FFmpegError, ValueError):  # it cannot read it at all
        return {}


def without_genre(metadata: dict[str, str]) -> list[tuple[str, str]]:
    return [item for item in metadata.items() if item[0].casefold() != "genre"]


def figures(stream: av.stream.Stream) -> list[tuple[str, object]]:
    names = ("type", "start_time", "duration", "time_base", "frames", "disposition")
    context = stream.codec_context
    coded = ("name", "extradata", "profile", "rate", "channels", "width", "height")
    return [(name, getattr(stream, name, None)) for name in names] + [
        (name, getattr(context, name, None)) for name in coded
    ]


Changes = dict[str, tuple[object, object]]
OF_THE_SIZE = {"filename", "size", "bit_rate", "probe_score"}
LENGTH = {"duration", "duration_ts"}


def _leaves(shown: object, name: str = "") -> list[tuple[str, object]]:
    if isinstance(shown, dict):
        kept = [key for key in shown if key.casefold() != "genre" and key not in OF_THE_SIZE]
        return [leaf for key in kept for leaf in _leaves(shown[key], f"{name}/{key}")]
    if isinstance(shown, list):
        return [leaf for i, part in enumerate(shown) for leaf in _leaves(part, f"{name}/{i}")]
    return [(name, shown)]


def unexplained(made: Made, found: Changes) -> Changes:
    """What changed for FFmpeg, except what it guesses or learns.

    It takes a length from the size of an MP3 without an Info frame, or with one that states a size
    more than a sixteenth off, tags at the end included; and of a WAV it knows more frames of ID3
    than items of RIFF INFO.
    """
    if made.suffix == ".mp3":
        return {name: pair for name, pair in found.items() if name.split("/")[-1] not in LENGTH}
    if made.suffix == ".wav":
        return {name: pair for name, pair in found.items() if pair[0] is not None}
    return found


def changes(before: dict[str, object], after: dict[str, object]) -> Changes:
    """Everything that differs, before and after."""
    names = sorted(before.keys() | after.keys())
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def other_than_genre(seen: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in seen.items() if name != "tag:GENRE"}


def as_shown(made: Made, genres: Sequence[str]) -> list[str]:
    """Genres in the form and order in which TagLib shows them."""
    if made.id3 in (2, 3):
        return ["; ".join(genres)]
    if made.suffix == ".wma":  # mutagen puts the first value elsewhere, and TagLib reads it last
        return [*genres[1:], genres[0]]
    return list(genres)


def seen_by_ffprobe(made: Made, path: Path) -> Changes:
    """What differs, unexplained, between a file as it was made and as it is now."""
    old = path.with_name(f"old{path.suffix}")
    old.write_bytes(made.data)
    return unexplained(made, changes(*by_ffprobe(old, path)))
