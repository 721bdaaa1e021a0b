"""The size of an ID3v2 tag, which decides where audio starts, for every version and flag."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from helpers import sounds
from hypothesis import given
from hypothesis import strategies as st

from tagger.audio.id3 import id3_size, skip_id3
from tagger.audio.mp3 import mp3_structure
from tagger.audio.reader import read_windows
from tagger.audio.structure import Structure
from tagger.audio.windows import WindowPlan, place_windows

PLAN = WindowPlan(samples=8_000, rate=16_000, count=4)
BODY = b"TIT2\0\0\0\6\0\0\0Title" + bytes(20)


def header(major: int, flags: int, size: int = len(BODY)) -> bytes:
    digits = f"{size:028b}"
    return b"ID3" + bytes([major, 0, flags, *(int(digits[i : i + 7], 2) for i in (0, 7, 14, 21))])


def test_only_2_4_has_a_footer_whatever_the_flags():
    # The flags of 2.4 as its specification prints them: %abcd0000, where d stands for a footer.
    kinds = [(major, flags) for major in range(256) for flags in range(256)]
    footers = [10 if major == 4 and f"{flags:08b}"[3] == "1" else 0 for major, flags in kinds]
    assert [id3_size(header(*kind)) for kind in kinds] == [
        10 + len(BODY) + footer for footer in footers
    ]


@given(size=st.integers(0, 2**28 - 1))
def test_a_size_has_28_bits(size):
    assert id3_size(header(3, 0, size)) == size + 10


@pytest.mark.parametrize("start", [b"", b"ID3", header(4, 0)[:9], b"3DI" + header(4, 0)[3:]])
def test_what_is_no_header_has_no_size(start):
    assert id3_size(start) == 0


@pytest.mark.parametrize("major", [2, 3, 4])
@pytest.mark.parametrize("flags", [0, 0x10, 0x80, 0xF0])
def test_tags_are_skipped_to_the_byte(major, flags):
    one = header(major, flags) + BODY
    if major == 4 and flags & 0x10:
        one += b"3DI" + one[3:10]
    file = io.BytesIO(one * 3 + b"\xff\xfb\x90\x44")
    skip_id3(file)
    assert file.read() == b"\xff\xfb\x90\x44"


@pytest.mark.parametrize("major", [2, 3])
def test_the_flag_of_a_footer_in_an_older_tag_hides_no_frame(major, tmp_path):
    path = sounds.make("mp3, variable", tmp_path)
    second = header(4, 0, 9_000) + bytes(9_000)  # more than is searched for the first frame
    path.write_bytes(header(major, 0x10) + BODY + second + path.read_bytes())
    assert mp3_structure(path) == Structure()


KINDS = ("mp3, constant", "mp3, variable", "mp3, constant, no Xing", "mp3, variable, no Xing")


def audio_of(path: Path) -> bytes:
    """An MP3 without the tag that FFmpeg puts in front."""
    data = path.read_bytes()
    return data[10 + int("".join(f"{byte:07b}" for byte in data[6:10]), 2) :]


@pytest.mark.parametrize("major", [2, 3, 4])
@pytest.mark.parametrize("footer", [b"", b"3DI"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_music_after_a_tag_with_the_footer_flag_is_decoded(major, footer, kind, tmp_path):
    path = sounds.make(kind, tmp_path)
    tag = header(major, 0x10) + BODY
    path.write_bytes(tag + (footer and footer + tag[3:10]) + audio_of(path))
    read = read_windows(path, PLAN)
    assert read.seconds == pytest.approx(sounds.SECONDS, abs=0.1)
    starts = place_windows(round(read.seconds * PLAN.rate), PLAN)
    for window, start in zip(read.windows, starts, strict=True):
        late, likeness, _ = sounds.compare(window, start)
        assert abs(late) <= 0.06  # FFmpeg misses the frame that states the delay, after odd footers
        assert likeness > 0.98
