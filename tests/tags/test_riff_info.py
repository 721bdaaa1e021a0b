"""The INFO list of a WAV: GStreamer reads nothing else, nor do FFmpeg 5 and MPD if there is one."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import pytest
from helpers.containers import make, packets
from helpers.programs import genres_by
from helpers.readers import by_ffprobe, by_taglib, changes, needs_ffprobe
from helpers.tagged import frame, id3_tag, set_by_mutagen
from mutagen import File

from tagger.errors import UnsupportedFormat
from tagger.tags.genre_tag import other_tags, read_fields, read_genres, restore_fields, write_genres
from tagger.types import TagOptions

GENRES = ["Música", "Bebop"]
# What FFmpeg shows of an ID3 tag, and can show of an INFO list.
BASIC = {
    "TIT2": "Title", "TPE1": "Анна", "TALB": "Album", "TDRC": "2004-05-06", "TRCK": "3/12",
    "COMM": "Nice", "TCOP": "2004 Me", "TSSE": "Lavf60", "TENC": "Kid3", "TLAN": "eng",
}  # fmt: skip
SHOWN_BY_ID3_ALONE = [{"TPE2": "Various"}, {"TPOS": "1/2"}, {"TCOM": "Anna"}, {"TBPM": "99"}]


def extensible(data: bytes) -> bytes:
    """The same audio with a `fmt ` chunk of the kind WAVE_FORMAT_EXTENSIBLE."""
    old = data[20:36]
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    new = struct.pack("<H", 0xFFFE) + old[2:] + struct.pack("<HHI", 22, 16, 4) + guid
    return resized(data[:16] + struct.pack("<I", len(new)) + new + data[36:])


def resized(data: bytes) -> bytes:
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def odd_end(data: bytes) -> bytes:
    return resized(data + b"junk" + struct.pack("<I", 3) + b"odd\0")


KINDS = {"plain": lambda data: data, "extensible": extensible, "odd last chunk": odd_end}


@pytest.fixture(params=KINDS)
def wav(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = make("wav", tmp_path)
    path.write_bytes(KINDS[request.param](path.read_bytes()))
    return path


def infos(path: Path) -> list[bytes]:
    """The bytes of each INFO list, read without the code under test."""
    data, at, found = path.read_bytes(), 12, []
    assert len(data) == 8 + int.from_bytes(data[4:8], "little")
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        assert len(body) == size
        found += [body] if data[at : at + 4] == b"LIST" and body.startswith(b"INFO") else []
        at += 8 + size + size % 2
    return found


def test_a_wav_gets_an_info_list_and_undo_removes_it(wav):
    data, fields, others, audio = wav.read_bytes(), read_fields(wav), other_tags(wav), packets(wav)
    write_genres(wav, GENRES, "note")
    text = "Música; Bebop\0".encode()
    assert infos(wav) == [b"INFOIGNR" + struct.pack("<I", len(text)) + text + b"\0"]
    with av.open(str(wav)) as media:
        assert media.metadata["genre"] == "Música"  # of the ID3 tag, which is the last to count
    assert by_taglib(wav)["tag:GENRE"] == GENRES
    assert (other_tags(wav), packets(wav)) == (others, audio)
    assert read_genres(wav) == tuple(GENRES)
    restore_fields(wav, fields)
    assert wav.read_bytes() == data


SHOWN = {
    "GStreamer": ["Jazz; Bebop"],
    "minidlna": ["Jazz; Bebop"],
    "MediaInfo": ["Jazz"],
    "exiftool": ["Jazz; Bebop", "Jazz/Bebop"],
}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("title", ["even", "odd"])
def test_other_programs_show_it(wav, name, title):
    set_by_mutagen(wav, {"TIT2": title})
    write_genres(wav, ["Jazz", "Bebop"])
    if name == "minidlna" and b"junk" in wav.read_bytes():
        assert genres_by(name, wav) == []  # it finds nothing after a chunk of odd size
    else:
        assert genres_by(name, wav) == SHOWN[name]


@needs_ffprobe
@pytest.mark.parametrize("major", [3, 4])
def test_a_new_list_hides_nothing_from_ffmpeg(wav, major):
    set_by_mutagen(wav, BASIC)
    media = File(wav)
    media.tags.update_to_v23() if major == 3 else None
    media.save(v2_version=major)
    before, fields, others, shown = (
        wav.read_bytes(), read_fields(wav), other_tags(wav), by_ffprobe(wav)[0],
    )  # fmt: skip
    assert "Title" in shown.values()
    write_genres(wav, ["Jazz"])
    assert changes(shown, by_ffprobe(wav)[0]) == {}
    assert len(infos(wav)) == 1
    assert other_tags(wav) == others
    restore_fields(wav, fields)
    assert infos(wav) == []
    assert read_fields(wav) == fields
    assert len(wav.read_bytes()) - len(before) < 2000  # the ID3 tag may keep its padding


@needs_ffprobe
@pytest.mark.parametrize("more", [*SHOWN_BY_ID3_ALONE, {"TPE1": ["Anna", "Bert"]}])
def test_no_list_is_added_where_it_would_hide_a_text_from_ffmpeg(wav, more):
    set_by_mutagen(wav, {**BASIC, **more})
    shown = by_ffprobe(wav)[0]
    write_genres(wav, ["Jazz"])
    assert infos(wav) == []
    assert changes(shown, by_ffprobe(wav)[0]) == {}
    assert str(File(wav).tags["TCON"]) == "Jazz"


def test_a_picture_does_not_prevent_a_list(tmp_path):
    path = make("wav", tmp_path)
    tag = id3_tag(4, frame(b"TIT2", b"\3Title") + frame(b"APIC", b"\0image/png\0\3\0PNG"))
    chunk = b"id3 " + struct.pack("<I", len(tag)) + tag + b"\0" * (len(tag) % 2)
    path.write_bytes(resized(path.read_bytes() + chunk))
    write_genres(path, ["Jazz"])
    assert b"INAM\6\0\0\0Title\0IGNR" in infos(path)[0]


def test_without_the_option_a_wav_gets_no_list_but_one_that_exists_is_kept_in_step(wav):
    write_genres(wav, ["Jazz"], "", TagOptions(wav_info=False))
    assert infos(wav) == []
    write_genres(wav, ["Bebop"])
    write_genres(wav, ["Jazz"], "", TagOptions(wav_info=False))
    assert b"IGNR\5\0\0\0Jazz\0\0" in infos(wav)[0]


@pytest.mark.parametrize("body", [b"", b"INAM\6\0\0\0Title\0"], ids=["empty", "a title"])
def test_undo_keeps_a_list_that_was_there(tmp_path, body):
    path = make("wav", tmp_path)
    chunk = b"LIST" + struct.pack("<I", 4 + len(body)) + b"INFO" + body
    path.write_bytes(resized(path.read_bytes() + chunk))
    set_by_mutagen(path, {"TIT2": "Title"} if body else {"TPOS": "1"})
    fields, others = read_fields(path), other_tags(path)
    write_genres(path, ["Jazz"])
    assert b"IGNR\5\0\0\0Jazz\0\0" in infos(path)[0]
    assert other_tags(path) == others
    restore_fields(path, fields)
    assert infos(path) == [b"INFO" + body]


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
def test_a_wav_beyond_4_gb_is_not_written_and_says_what_to_do(tmp_path, name):
    path = make("wav", tmp_path)
    data = path.read_bytes()
    sizes = struct.pack("<3QI", len(data) + 28, len(data) - 44, (len(data) - 44) // 2, 0)
    head = name + b"\xff" * 4 + b"WAVEds64" + struct.pack("<I", len(sizes)) + sizes
    path.write_bytes(head + data[12:40] + b"\xff" * 4 + data[44:])
    before = path.read_bytes()
    with pytest.raises(UnsupportedFormat, match=r"RF64 and BW64.*NEW\.wav"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == before
    assert read_genres(path) == ()
