"""An Ogg is one stream from start to end, or a fault; FFmpeg's decoding is the reference."""

from __future__ import annotations

import pytest
import soundfile
from helpers import edited, sounds
from helpers.edited import NOISE, change_page, pages, with_serial

from tagger.audio import ogg
from tagger.audio.ogg import ogg_structure
from tagger.audio.structure import Structure

KINDS = ("vorbis", "opus", "ogg-flac", "speex")
EACH = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(params=["small", "large"], autouse=True)
def size(request, monkeypatch) -> str:
    """Of a small file all pages are looked at, of a large one some."""
    monkeypatch.setattr(ogg, "MOST_READ", 1 << 24 if request.param == "small" else 1000)
    speex = (".spx", "-c:a libspeex -ar 32000 -ac 1 -f ogg")
    monkeypatch.setitem(sounds.FFMPEG, "speex", speex)
    return str(request.param)


def moved(data: bytes, samples: int) -> bytes:
    """All positions later."""
    later = (change_page(page, position=lambda at: at + samples * (at > 0)) for page in pages(data))
    return b"".join(later)


def ending_at(data: bytes, position: int) -> bytes:
    """Another position on the last page."""
    *others, last = pages(data)
    return b"".join([*others, change_page(last, position=lambda _: position)])


def without(data: bytes, first: int, last: int) -> bytes:
    return b"".join(pages(data)[:first] + pages(data)[last:])


GOOD = {
    "as encoded": lambda data: data,
    "cut": lambda data: data[: len(data) * 6 // 10],
    "junk behind": lambda data: data + NOISE,
    "zeros behind": lambda data: data + bytes(9_000),
}


@EACH
@pytest.mark.parametrize("change", GOOD)
def test_one_stream_is_ordinary(kind, change, tmp_path):
    path = sounds.make(kind, tmp_path)
    path.write_bytes(GOOD[change](path.read_bytes()))
    assert ogg_structure(path) == Structure()
    if kind == "vorbis":
        with soundfile.SoundFile(path) as file:
            seconds = file.frames / file.samplerate
        assert seconds == pytest.approx(edited.decoded_seconds(path), abs=0.05)


def test_a_late_start_is_ordinary_for_libsndfile(tmp_path):
    path = sounds.make("vorbis", tmp_path)
    path.write_bytes(moved(path.read_bytes(), 1_000_000))
    assert ogg_structure(path) == Structure()
    with soundfile.SoundFile(path) as file:
        assert file.frames / file.samplerate == pytest.approx(sounds.SECONDS, abs=0.01)


BAD = {
    "joined to itself": lambda data: data + data,
    "two streams": lambda data: with_serial(data, 1) + with_serial(data, 2),
    "a shorter one behind": lambda data: data + b"".join(pages(with_serial(data, 2))[:6]),
    "a longer one behind": lambda data: b"".join(pages(data)[:6]) + data,
    "the first again": lambda data: with_serial(data, 1) + with_serial(data, 2) + data,
    "no last position": lambda data: ending_at(data, -1),
    "last position 0": lambda data: ending_at(data, 0),
    "half the last position": lambda data: ending_at(data, 100_000),
    "two streams, zeros behind": lambda data: data + with_serial(data, 2) + bytes(300_000),
    "58 million hours": lambda data: ending_at(data, 1 << 55),
    "junk in front": lambda data: NOISE + data,
}


@EACH
@pytest.mark.parametrize("change", BAD)
def test_any_other_is_a_fault(kind, change, tmp_path):
    path = sounds.make(kind, tmp_path)
    path.write_bytes(BAD[change](path.read_bytes()))
    structure = ogg_structure(path)
    assert structure.fault and not structure.is_truncated


@pytest.mark.parametrize("kind", ["opus", "ogg-flac", "speex"])
@pytest.mark.parametrize("samples", [30_000, 10_000_000, 1 << 45])
def test_a_late_start_is_a_fault(kind, samples, tmp_path):
    path = sounds.make(kind, tmp_path)
    path.write_bytes(moved(path.read_bytes(), samples))
    assert ogg_structure(path).fault == "an Ogg whose time stamps do not start at 0"


@pytest.mark.parametrize("seconds", [0.1, 1, 1.5, 2.1])
@EACH
def test_short_files_are_ordinary(kind, seconds, tmp_path):
    """They end on the page on which they begin, or on the next, before its packets do."""
    assert ogg_structure(sounds.make(kind, tmp_path, seconds)) == Structure()


@EACH
def test_missing_pages_are_a_fault_where_all_are_read(kind, size, tmp_path, monkeypatch):
    monkeypatch.setattr(ogg, "MOST_READ", 1 << 24)
    path = sounds.make(kind, tmp_path)
    path.write_bytes(without(path.read_bytes(), 6, 8))
    assert ogg_structure(path).fault


@EACH
def test_junk_between_pages_is_a_fault_where_all_are_read(kind, size, tmp_path, monkeypatch):
    monkeypatch.setattr(ogg, "MOST_READ", 1 << 24)
    path = sounds.make(kind, tmp_path)
    before, *after = path.read_bytes().partition(pages(path.read_bytes())[6])
    path.write_bytes(before + NOISE + b"".join(after))
    assert ogg_structure(path).fault == "an Ogg with other data between its pages"


@pytest.mark.parametrize("other", ["vorbis", "opus", "ogg-flac", "speex"])
def test_streams_side_by_side_are_a_fault(other, tmp_path):
    one, two = (
        pages(with_serial(sounds.make(kind, tmp_path).read_bytes(), serial))
        for serial, kind in enumerate(("vorbis", other))
    )
    path = tmp_path / "x.ogg"
    path.write_bytes(b"".join(page for both in zip(one, two, strict=False) for page in both))
    assert ogg_structure(path).fault == "an Ogg of several streams"


@pytest.mark.parametrize("data", [b"", b"OggS", NOISE])
def test_what_has_no_pages_is_a_fault(data, tmp_path):
    path = tmp_path / "x.ogg"
    path.write_bytes(data)
    assert ogg_structure(path).fault
