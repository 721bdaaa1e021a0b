"""Damaged and hostile files: each costs one answer of ours, a few seconds, and no tag."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.command import ROOT
from helpers.containers import CORPUS, make
from helpers.generated_id3 import frame, synchsafe

from tagger.errors import TagError
from tagger.files.process import Child
from tagger.genres.provenance import FIELD
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    read_tag,
    restore_fields,
    write_genres,
)
from tagger.tags.id3v2 import MOST_TEXT
from tagger.tags.parts import MOST_PARTS

FUZZ = ROOT / "examples" / "fuzz.py"
SECONDS = 10.0  # hours, without limits; or much more than the 2 GiB that a child may have
MANY = 300_000
MB = 1 << 20

# --- at random ------------------------------------------------------------------------------------


def fuzz(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (ROOT, FUZZ.parent)))
    command = list(map(str, (sys.executable, script, *arguments)))
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, capture_output=True, text=True, env=env)


@pytest.mark.parametrize("count", [30, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.skipif(sys.platform == "win32", reason="it asks for the memory of processes")
def test_damaged_files_of_every_container_do_no_harm(music: Path, count: int) -> None:
    done = fuzz(FUZZ, "--count", count, "--seed", 7, music)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rounds with faults: 0" in done.stdout
    assert written(done.stdout) > count / 3  # the others could not be read any more


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus of odd files is not beside the project")
def test_damaged_real_files_do_no_harm(count: int) -> None:
    done = fuzz(FUZZ, "--count", count, "--seed", 7, CORPUS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert written(done.stdout) > count / 4


def written(text: str) -> int:
    """How many writes of the table were done."""
    (row,) = (line for line in text.splitlines() if line.startswith("| write_genres |"))
    return int(row.split("|")[2])


BROKEN = """
import os
from tagger.tags import genre_tag as tags
from mutagen import File

def write_genres(path, genres, note):
    {what}
    tags.write_genres(path, genres, note)
"""
FAULTS = {
    "raises": ("raise KeyError(path)", "write_genres raised KeyError"),
    "crashes": ("os.abort()", "write_genres crashed, and would in the main process"),
    "loses a tag": (
        "media = File(path); media['title'] = os.urandom(4).hex(); media.save()",
        "writing changed other tags: {'tag:title':",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_sees_a_write_that(fault: str, tmp_path: Path) -> None:
    what, message = FAULTS[fault]
    (tmp_path / "broken.py").write_text(BROKEN.format(what=what), encoding="utf-8")
    script = tmp_path / "fuzz.py"
    text = FUZZ.read_text(encoding="utf-8").replace(", write_genres\n", "\n")
    text = text.replace("\nT = TypeVar", "\nfrom broken import write_genres\nT = TypeVar")
    script.write_text(text, encoding="utf-8")
    done = fuzz(script, "--count", 8, "--seed", 1, make("flac", tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    assert message in done.stdout


def test_a_round_can_be_repeated_and_its_file_kept(music: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        done = fuzz(FUZZ, "--seed", 3, "--only", 11, "--keep", tmp_path / folder, music)
        assert done.returncode == 0, done.stdout
    (one,), (two,) = ((tmp_path / folder).iterdir() for folder in ("one", "two"))
    assert one.name == two.name and one.read_bytes() == two.read_bytes()


# --- on purpose -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    child = Child()
    yield child
    child.close()


def id3(*frames: bytes, major: int = 4) -> bytes:
    body = b"".join(frames)
    return b"ID3" + bytes([major, 0, 0]) + synchsafe(len(body)) + body


def packed(name: str, text: bytes, major: int = 4) -> bytes:
    """A compressed frame."""
    size = synchsafe(len(text)) if major == 4 else len(text).to_bytes(4, "big")
    return frame(major, name, size + zlib.compress(text), 0x09 if major == 4 else 0x80)


def mp3(folder: Path, tag: bytes) -> Path:
    path = make("mp3", folder)
    data = path.read_bytes()
    path.write_bytes(tag + data[data.index(b"\xff\xfb") :])
    return path


def appended(kind: str, folder: Path, tail: bytes) -> Path:
    path = make(kind, folder)
    path.write_bytes(path.read_bytes() + tail)
    return path


def chunked(kind: str, folder: Path, tail: bytes) -> Path:
    """A RIFF or an AIFF with more chunks."""
    path = appended(kind, folder, tail)
    data = path.read_bytes()
    size = struct.pack("<I" if kind == "wav" else ">I", len(data) - 8)
    path.write_bytes(data[:4] + size + data[8:])
    return path


def comments(values: list[bytes]) -> bytes:
    parts = (struct.pack("<I", len(value)) + value for value in values)
    return struct.pack("<I", 1) + b"v" + struct.pack("<I", len(values)) + b"".join(parts)


def flac(folder: Path, block: bytes) -> Path:
    """A FLAC with these Vorbis comments, and no other tag."""
    path = make("flac", folder)
    data = path.read_bytes()
    sound = data[data.index(b"\xff\xf8", 42) :]
    head = data[:4] + b"\0" + data[5:42]
    path.write_bytes(head + b"\x84" + len(block).to_bytes(3, "big") + block + sound)
    return path


def ape_item(name: bytes, value: bytes) -> bytes:
    return struct.pack("<2I", len(value), 0) + name + b"\0" + value


def ape(items: bytes, count: int) -> bytes:
    return items + struct.pack("<8s4I8x", b"APETAGEX", 2000, len(items) + 32, count, 0)


def atom(name: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(data)) + name + data


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = atom(b"moov", data)
    return data


ZEROS = b"\3" + bytes(200 * MB)
HOSTILE = {
    "ID3, inflating genre": lambda at: mp3(at, id3(packed("TCON", ZEROS))),
    "ID3, inflating album of 2.3": lambda at: mp3(at, id3(packed("TALB", ZEROS, 3), major=3)),
    "ID3, inflating text": lambda at: mp3(at, id3(packed("TXXX", ZEROS))),
    "ID3, inflating picture": lambda at: mp3(at, id3(packed("APIC", ZEROS))),
    "ID3, many values": lambda at: mp3(at, id3(frame(4, "TALB", b"\3" + bytes(8 * MB)))),
    "ID3, many frames": lambda at: mp3(at, id3(frame(4, "TIT2", b"\3") * MANY)),
    "ID3, many notes": lambda at: mp3(at, id3(frame(4, "TXXX", b"\3TAG_GENRES\0x") * MANY)),
    "ID3, many albums": lambda at: mp3(
        at, id3(*(frame(4, "TALB", b"\3%d" % number) for number in range(MANY)))
    ),
    "ID3, frames without a byte": lambda at: mp3(at, id3(frame(4, "XXXX", b"") * MANY)),
    "ID3, much larger than the file": lambda at: mp3(at, b"ID3\4\0\0\x7f\x7f\x7f\x7f"),
    "APE, many items": lambda at: appended(
        "wavpack", at, ape(b"".join(ape_item(b"K%d" % i, b"a") for i in range(MANY)), MANY)
    ),
    "APE, many values": lambda at: appended(
        "wavpack", at, ape(ape_item(b"Genre", bytes(32 * MB)), 1)
    ),
    "APE, endless name": lambda at: appended("wavpack", at, ape(ape_item(b"K" * 4 * MB, b""), 1)),
    "WAV, chunks of size 0": lambda at: chunked("wav", at, (b"abcd" + bytes(4)) * MANY),
    "AIFF, chunks of size 0": lambda at: chunked("aiff", at, (b"abcd" + bytes(4)) * MANY),
    "WAV, much INFO": lambda at: chunked(
        "wav", at, b"LIST" + struct.pack("<I", 4 + 8 * MANY) + b"INFO" + (b"IGNR" + bytes(4)) * MANY
    ),
    "WAV, INFO of 4 GB": lambda at: chunked("wav", at, b"LIST\xf0\xff\xff\xffINFOIGNR\4\0\0\0Ska"),
    "FLAC, many comments": lambda at: flac(at, comments([b"A=x"] * MANY)),
    "FLAC, many odd names": lambda at: flac(
        at, comments([b"?%d=" % i for i in range(MOST_PARTS)] + [b"A=" + bytes(12 * MB)])
    ),
    "FLAC, comment of 2 GB": lambda at: flac(
        at, struct.pack("<I", 1) + b"v" + struct.pack("<2I", 1, 2**31 - 1) + b"A=b"
    ),
    "MP4, many atoms": lambda at: appended("m4a", at, atom(b"free") * MANY),
    "MP4, deep atoms": lambda at: appended("m4a", at, nested(20_000)),
    "MP4, atom of 2**63": lambda at: appended("m4a", at, b"\0\0\0\1free\x7f" + b"\xff" * 7),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_tag_is_read_or_refused_in_seconds(
    kind: str, tmp_path: Path, child: Child
) -> None:
    path = HOSTILE[kind](tmp_path)
    try:
        assert child.call(SECONDS, read_tag, path)
        # From here on, a run works on it in its main process.
        fields = child.call(SECONDS, read_fields, path)
        assert child.call(SECONDS, other_tags, path)
        child.call(SECONDS, write_genres, path, ("Ska",), "note")
        child.call(SECONDS, restore_fields, path, fields)
    except TagError:
        pass


@pytest.mark.parametrize("major", [3, 4])
def test_compressed_frames_are_read(tmp_path: Path, major: int) -> None:
    frames = (packed("TCON", b"\0Ska", major), packed("TALB", b"\0Album", major))
    found = read_tag(mp3(tmp_path, id3(*frames, major=major)))
    assert (found.genres, found.album) == (("Ska",), "Album")


@pytest.mark.parametrize("description", [b"Lyrics", FIELD.encode()])
def test_a_compressed_text_is_not_ours_and_stays(tmp_path: Path, description: bytes) -> None:
    other = packed("TXXX", b"\3" + description + b"\0" + b"la la " * MOST_TEXT)
    path = mp3(tmp_path, id3(other))
    before = other_tags(path)
    write_genres(path, ["Ska"], "new")
    assert read_tag(path).note == "new" and other_tags(path) == before
    assert other in path.read_bytes()


def test_a_frame_of_any_size_is_kept_if_it_is_not_read(tmp_path: Path) -> None:
    picture = frame(4, "APIC", b"\3image/png\0\3\0" + bytes(2 * MB))
    path = mp3(tmp_path, id3(picture, frame(4, "TXXX", b"\3Lyrics\0" + b"la " * MOST_TEXT)))
    write_genres(path, ["Ska"])
    assert read_genres(path) == ("Ska",) and picture in path.read_bytes()


def test_undo_keeps_what_a_truncated_note_has_absorbed(tmp_path: Path) -> None:
    absorbed = frame(4, "TIT2", b"\3Title") + bytes(1000)
    cut_off = b"TXXX" + synchsafe(5000) + b"\0\0" + f"\3{FIELD}\0old\0".encode() + absorbed
    path = mp3(tmp_path, id3(frame(4, "TCON", b"\3Rock"), cut_off))
    fields, before = read_fields(path), other_tags(path)
    write_genres(path, ["Ska"], "new")
    restore_fields(path, fields)
    assert (read_fields(path), other_tags(path)) == (fields, before)


def test_a_genre_that_is_cut_off_is_not_overwritten(tmp_path: Path) -> None:
    path = mp3(tmp_path, id3(b"TCON" + synchsafe(500) + b"\0\0\3Rock"))
    assert read_genres(path) == ("Rock",)
    with pytest.raises(TagError, match="would read back as"):
        write_genres(path, ["Ska"])


def test_undo_restores_a_tag_with_only_an_empty_genre(tmp_path: Path) -> None:
    path = mp3(tmp_path, id3(frame(4, "TCON", b""), bytes(100)))
    fields = read_fields(path)
    write_genres(path, ["Ska"])
    restore_fields(path, fields)
    assert read_fields(path) == fields


@pytest.mark.parametrize("suffix", [".ogg", ".aiff"])
def test_undo_leaves_an_mp3_of_a_wrong_suffix_one(tmp_path: Path, suffix: str) -> None:
    sound = mp3(tmp_path, id3() + bytes(200))  # as some encoders start a file
    path = sound.rename(sound.with_suffix(suffix))
    fields = read_fields(path)
    write_genres(path, ["Ska"])
    restore_fields(path, fields)
    assert read_fields(path) == fields


def test_an_ape_tag_that_counts_too_many_items_is_read(tmp_path: Path) -> None:
    path = appended("wavpack", tmp_path, ape(ape_item(b"Genre", b"Ska"), 99))
    assert read_genres(path) == ("Ska",)


@pytest.mark.parametrize("new", [b"mean\0\0\0\1", b"nean\0\0\0\0"])
def test_a_note_of_an_mp4_is_ours_if_mutagen_takes_it_for_one(tmp_path: Path, new: bytes) -> None:
    path = make("m4a", tmp_path)
    write_genres(path, ["Rock"], "old")
    path.write_bytes(path.read_bytes().replace(b"mean" + bytes(4), new))
    fields, before = read_fields(path), other_tags(path)
    write_genres(path, ["Ska"], "new")
    assert read_tag(path).note == "new" and other_tags(path) == before
    restore_fields(path, fields)
    assert read_fields(path) == fields
