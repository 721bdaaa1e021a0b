"""Tags in chunks: ID3 and RIFF INFO in a WAV, the pointer of a DSF."""

from __future__ import annotations

import struct

import av
import mutagen
import pytest
from helpers.containers import make, packets
from helpers.tagged import (
    GENRES,
    frame,
    id3_tag,
    riff_info,
)

from tagger.errors import TagError
from tagger.tags.genre_tag import (
    other_tags,
    read_fields,
    read_genres,
    restore_fields,
    write_genres,
)


def test_riff_info_gets_the_genre_too_since_ffmpeg_reads_nothing_else(tmp_path):
    path = make("wav", tmp_path)
    item = b"ISFT\x07\0\0\0Lavf60\0\0"
    data = path.read_bytes() + b"LIST" + struct.pack("<I", 4 + len(item)) + b"INFO" + item
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    before, fields = path.read_bytes(), read_fields(path)
    write_genres(path, ["Jazz", "Bebop"])
    assert b"ISFT\x07\0\0\0Lavf60\0\0IGNR\x0c\0\0\0Jazz; Bebop\0" in path.read_bytes()
    with av.open(str(path)) as media:
        assert media.metadata["genre"].startswith("Jazz")
        assert media.metadata["encoder"] == "Lavf60"
    assert mutagen.File(path).tags["TCON"].text == ["Jazz", "Bebop"]
    restore_fields(path, fields)
    assert path.read_bytes() == before


def test_a_damaged_riff_info_is_refused(tmp_path):
    path = make("wav", tmp_path)
    data = path.read_bytes() + b"LIST" + struct.pack("<I", 16) + b"INFOIART\xff\0\0\0abcd"
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    with pytest.raises(TagError, match="INFO list is damaged"):
        write_genres(path, ["Jazz"])


@pytest.mark.parametrize("value", [b"Blues\0", "Música".encode(), "Música".encode("cp1252")])
def test_riff_info_counts_until_there_is_an_id3_genre(tmp_path, value):
    path = make("wav", tmp_path)
    data = path.read_bytes() + riff_info(value)
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    path.write_bytes(data)
    before, fields = other_tags(path), read_fields(path)
    assert read_genres(path) in (("Blues",), ("Música",))
    write_genres(path, ["Jazz"])
    assert read_genres(path) == ("Jazz",)
    assert b"IGNR\x05\0\0\0Jazz\0\0" in path.read_bytes()
    assert other_tags(path) == before
    restore_fields(path, fields)
    assert path.read_bytes() == data


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_from_a_pipe_is_refused(tmp_path, size):
    path = make("wav", tmp_path)
    data = path.read_bytes()
    at = data.index(b"data") + 4
    path.write_bytes(data[:at] + struct.pack("<I", size) + data[at + 4 :])
    with pytest.raises(TagError, match="where the audio ends"):
        write_genres(path, ["Jazz"])


def test_an_odd_last_chunk_without_its_padding_byte(tmp_path):
    path = make("wav", tmp_path)
    data = path.read_bytes() + b"junk" + struct.pack("<I", 3) + b"odd"
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    before, audio = other_tags(path), packets(path)
    write_genres(path, GENRES)
    assert (other_tags(path), packets(path)) == (before, audio)
    assert mutagen.File(path).tags["TCON"].text == list(GENRES)


AFTER_THE_END = {
    "ID3": b"id3 " + struct.pack("<I", 27) + id3_tag(4, frame(b"TIT2", b"\0Title\0")) + b"\0",
    "INFO": riff_info(b"Rock"),
}


@pytest.mark.parametrize("chunk", AFTER_THE_END.values(), ids=AFTER_THE_END)
def test_a_wav_with_tags_after_its_stated_end_is_refused(tmp_path, chunk):
    path = make("wav", tmp_path)
    data = path.read_bytes() + chunk
    path.write_bytes(data)
    with pytest.raises(TagError, match="after the end"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == data


def test_a_wav_with_misaligned_chunks_is_refused(tmp_path):
    path = make("wav", tmp_path)
    data = path.read_bytes() + b"junk\3\0\0\0odd" + riff_info(b"Rock")  # no padding byte
    data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    path.write_bytes(data)
    with pytest.raises(TagError, match="misaligned"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == data


@pytest.mark.parametrize("place", [28, 100, 5000, 10**10])
def test_a_dsf_with_a_dangling_pointer_is_refused(tmp_path, place):
    path = make("dsf", tmp_path)
    data = path.read_bytes()
    data = data[:20] + struct.pack("<Q", place) + data[28:]
    path.write_bytes(data)
    with pytest.raises(TagError, match="points at neither an ID3"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == data


def test_a_new_id3_chunk_repeats_the_riff_info(tmp_path):
    path = make("wav", tmp_path)
    info = b"INFO" + b"INAM\x06\0\0\0Title\0" + b"IART\x05\0\0\0Anna\0\0"
    data = path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    before, fields = path.read_bytes(), read_fields(path)
    write_genres(path, ["Jazz"])
    tags = mutagen.File(path).tags
    assert [str(tags[name]) for name in ("TIT2", "TPE1", "TCON")] == ["Title", "Anna", "Jazz"]
    restore_fields(path, fields)
    assert path.read_bytes() == before
