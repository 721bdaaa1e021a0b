"""A write changes the genre and nothing else, as TagLib and ffprobe see the file.

Every file here is sound: a refusal is a failure, so no property holds for want of a write.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import av
import pytest
from helpers.containers import BORROWED, CORPUS, sound
from helpers.properties import examples
from helpers.tag_blocks import (
    GENRES,
    INFO_KEYS,
    KINDS,
    Ends,
    Made,
    ape_tag,
    chunks,
    files,
    flac_blocks,
    frame,
    id3_size,
    read_ape,
    synchsafe,
)
from hypothesis import given
from hypothesis import strategies as st
from mutagen import id3

from tagger.errors import TagError
from tagger.tags.genre_tag import read_fields, read_genres, restore_fields, write_genres
from tagger.tags.verify import digest_packets

taglib = pytest.importorskip("taglib", reason="pytaglib is not installed")

FEW, EACH, MANY = map(examples, (3, 30, 60))  # with ffprobe; of each kind; of one kind
needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe")


@pytest.fixture(params=KINDS)
def kind(request):
    if request.param in BORROWED and not CORPUS.exists():
        pytest.skip(f"no {request.param} file: no corpus of real files at {CORPUS}")
    return request.param


def placed(folder: Path, made: Made) -> Path:
    path = folder / f"sound{made.suffix}"
    path.write_bytes(made.data)
    return path


# --- what others see ------------------------------------------------------------------------------


def by_taglib(path: Path) -> dict[str, object]:
    """All that TagLib shows.

    Blanks around a value are stripped, since ID3v1 pads its fields with them; a genre counts once.
    """
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


@EACH
@given(data=st.data(), genres=GENRES)
def test_taglib_sees_the_new_genres(tmp_path, kind, data, genres):
    made = data.draw(files(kind, "TagLib"))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    assert by_taglib(path)["tag:GENRE"] == as_shown(made, genres)


@EACH
@given(data=st.data(), genres=GENRES)
def test_taglib_sees_all_else_as_before(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind, "TagLib")))
    before = other_than_genre(by_taglib(path))
    write_genres(path, genres)
    assert not changes(before, other_than_genre(by_taglib(path)))


@needs_ffprobe
@FEW
@given(data=st.data(), genres=GENRES)
def test_ffprobe_sees_all_else_as_before(tmp_path, kind, data, genres):
    made = data.draw(files(kind, "FFmpeg"))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    assert not seen_by_ffprobe(made, path)


@EACH
@given(data=st.data(), genres=GENRES)
def test_ffmpeg_sees_all_else_as_before(tmp_path, kind, data, genres):
    made = data.draw(files(kind, "FFmpeg"))
    path = placed(tmp_path, made)
    before = by_ffmpeg(path)
    write_genres(path, genres)
    assert not unexplained(made, changes(before, by_ffmpeg(path)))


def seen_by_ffprobe(made: Made, path: Path) -> Changes:
    """What differs, unexplained, between a file as it was made and as it is now."""
    old = path.with_name(f"old{path.suffix}")
    old.write_bytes(made.data)
    return unexplained(made, changes(*by_ffprobe(old, path)))


# --- what the bytes say ---------------------------------------------------------------------------


@EACH
@given(data=st.data(), genres=GENRES)
def test_the_packets_of_the_audio_stay(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind)))
    before = digest_packets(path)
    write_genres(path, genres)
    assert digest_packets(path) == before is not None


@EACH
@given(data=st.data(), genres=GENRES)
@pytest.mark.parametrize("kind", ["mp3", "wavpack", "musepack"], indirect=True)
def test_the_bytes_of_the_audio_stay(tmp_path, kind, data, genres):
    made = data.draw(files(kind))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    after = path.read_bytes()
    assert after[id3_size(after) :].startswith(made.audio)


@MANY
@given(made=files("flac"), genres=GENRES)
def test_the_frames_of_a_flac_keep_their_bytes(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    assert path.read_bytes().endswith(made.audio)


@MANY
@given(made=files("mp3"), genres=GENRES)
def test_an_mp3_keeps_the_version_of_its_id3(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    if made.front:
        assert path.read_bytes()[:4] == made.front[:4]


@EACH
@given(data=st.data(), genres=GENRES)
@pytest.mark.parametrize("kind", ["mp3", "wavpack"])
def test_of_an_id3v1_the_genre_byte_changes_alone(tmp_path, kind, data, genres):
    made = data.draw(files(kind))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    known = [ID3V1_NUMBERS[name.casefold()] for name in genres if name.casefold() in ID3V1_NUMBERS]
    block = Ends.of(made.end).block
    expected = block[:-1] + bytes(known[:1] or [255]) if block else b""
    assert Ends.of(path.read_bytes()).block == expected


# Winamp's list. Any of its names may be drawn: hypothesis also takes constants from the code.
ID3V1_NUMBERS = {name.casefold(): number for number, name in enumerate(id3.TCON.GENRES)}


def test_the_numbers_of_id3v1_are_those_of_the_list():
    some = {"blues": 0, "hip-hop": 7, "jazz": 8, "rock": 17, "drum & bass": 127, "psybient": 191}
    assert {name: ID3V1_NUMBERS[name] for name in some} == some


@MANY
@given(made=files("mp3"), genres=GENRES)
def test_an_mp3_keeps_its_ape_tag_but_for_a_genre_in_it(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    tag = Ends.of(path.read_bytes()[id3_size(path.read_bytes()) + len(made.audio) :]).ape
    items = read_ape(Ends.of(made.end).ape)
    stale = [name for name in items if name.casefold() == "genre"]
    if stale or (items and not made.front):
        for name in stale:
            del items[name]
        items["Genre"] = (0, "\0".join(genres).encode())
    assert read_ape(tag) == items


@MANY
@given(made=files("mp3"), genres=GENRES)
def test_an_mp3_keeps_its_lyrics3(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    assert Ends.of(path.read_bytes()).words == Ends.of(made.end).words


@MANY
@given(made=files("flac"), genres=GENRES)
def test_every_other_block_of_a_flac_stays(tmp_path, made, genres):
    path = placed(tmp_path, made)
    write_genres(path, genres)
    comments, padding = 4, 1
    before, after = (
        [block for block in flac_blocks(content) if block[0] not in (comments, padding)]
        for content in (made.data, path.read_bytes())
    )
    assert after == before


@EACH
@given(data=st.data(), genres=GENRES)
@pytest.mark.parametrize(("kind", "layout"), [("wav", "<I"), ("aiff", ">I")])
def test_every_other_chunk_stays(tmp_path, kind, layout, data, genres):
    made = data.draw(files(kind))
    path = placed(tmp_path, made)
    write_genres(path, genres)
    before, after = (
        [part for part in chunks(content, layout) if part[0] not in (b"id3 ", b"ID3 ", b"LIST")]
        for content in (made.data, path.read_bytes())
    )
    assert after == before


# --- again, and back ------------------------------------------------------------------------------


@EACH
@given(data=st.data(), genres=GENRES)
def test_a_second_write_changes_nothing(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind, "TagLib")))
    write_genres(path, genres)
    once, fields = by_taglib(path), read_fields(path)
    write_genres(path, genres)
    assert (by_taglib(path), read_fields(path)) == (once, fields)


@EACH
@given(data=st.data(), genres=GENRES)
def test_undo_gives_back_the_fields(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind)))
    fields = read_fields(path)
    write_genres(path, genres)
    restore_fields(path, fields)
    assert read_fields(path) == fields


@EACH
@given(data=st.data(), genres=GENRES)
def test_undo_shows_taglib_what_was_there(tmp_path, kind, data, genres):
    path = placed(tmp_path, data.draw(files(kind, "TagLib")))
    before, fields = by_taglib(path), read_fields(path)
    write_genres(path, genres)
    restore_fields(path, fields)
    assert not changes(before, by_taglib(path))


@needs_ffprobe
@FEW
@given(data=st.data(), genres=GENRES)
def test_undo_shows_ffprobe_what_was_there(tmp_path, kind, data, genres):
    made = data.draw(files(kind, "FFmpeg"))
    path = placed(tmp_path, made)
    fields = read_fields(path)
    write_genres(path, genres)
    restore_fields(path, fields)
    if path.read_bytes() != made.data:
        assert not seen_by_ffprobe(made, path)


# --- real files -----------------------------------------------------------------------------------

# Each lacks what a safe write needs; `test_genre_tag` shows that they stay unchanged.
REFUSED = {
    "corrupt_metadata.ogg", "detect_wav.x", "id3_header_with_a_zero_byte.wav",
    "no_audio_data_compressed.wav", "no_audio_data_uncompressed.wav", "zero_value_properties.aiff",
}  # fmt: skip
# What others show of these files changes for reasons of their own.
OTHERS = {
    "106-short-picture-block-size.flac": "neither reads it until mutagen has fixed its blocks",
    "invalid_block_sizes.flac": "neither reads it until mutagen has fixed its blocks",
    "empty.dsf": "it states no number of samples, and FFmpeg takes the length from the size",
    "multi_stream.ogv": "FFmpeg counts the comments of the video among its extradata",
    "wav_invalid_track_number.wav": "TagLib knows no INFO item DISC, and sees it in a TXXX",
}


def real_files() -> list[object]:
    found = []
    for path in sorted(path for path in CORPUS.rglob("*") if path.is_file()):
        if path.name in REFUSED | OTHERS.keys():
            continue
        try:
            read_genres(path)
        except TagError:
            continue
        found.append(pytest.param(path, id=path.name))
    return found or [pytest.param(None, id="none")]


@pytest.mark.parametrize("original", real_files())
def test_others_see_all_else_of_a_real_file_as_before(tmp_path, original):
    if original is None:
        pytest.skip(f"no corpus of real files at {CORPUS}")
    path = tmp_path / original.name
    path.write_bytes(original.read_bytes())
    before = seen(path)
    write_genres(path, ("Jazz", "Bebop"))
    assert not changes(before, seen(path))


def seen(path: Path) -> dict[str, object]:
    found = {"audio": digest_packets(path), **by_ffmpeg(path)}
    try:
        return found | other_than_genre(by_taglib(path))
    except OSError:  # TagLib does not know the format, or finds the file broken
        return found


# --- one thing each, with the smallest file that shows it -----------------------------------------

V1 = b"TAG" + b"Title".ljust(30, b"\0") + b"Anna".ljust(94, b"\0") + b"\x11"
GENRE_ITEM = ape_tag({"Title": (0, b"Title"), "Genre": (0, b"Rock")}, has_header=False)
LYRICS = b"LYRICSBEGININD0000210LYR00005words000034LYRICS200"
EMPTY_ID3 = b"ID3\4\0\0" + synchsafe(100) + bytes(100)
FRONT = b"ID3\4\0\0" + synchsafe(17) + frame(4, "TIT2", b"\0Title\0")


@pytest.mark.parametrize("end", [GENRE_ITEM, LYRICS + V1], ids=["APEv2 without header", "Lyrics3"])
def test_the_digest_of_an_mp3_leaves_out_the_tags_at_its_end(tmp_path, end):
    path = placed(tmp_path, Made(".mp3", b"", "mpeg", end))
    before = digest_packets(path)
    write_genres(path, ["Jazz"])
    assert digest_packets(path) == before


MORE = struct.pack("<I", len(GENRE_ITEM) + 300)
LARGE = GENRE_ITEM[:-20] + MORE + GENRE_ITEM[-16:]


@pytest.mark.parametrize("end", [LARGE, LYRICS[:-11] + b"99LYRICS200" + V1], ids=["APE", "Lyrics3"])
def test_a_tag_that_claims_to_be_larger_hides_no_audio_from_the_digest(tmp_path, end):
    made = Made(".mp3", b"", "mpeg", end)
    path = placed(tmp_path, made)
    before = digest_packets(path)
    path.write_bytes(flipped(made.data, len(made.audio) - 20))
    assert digest_packets(path) != before


@EACH
@given(data=st.data())
@pytest.mark.parametrize("kind", ["mp3", "wavpack", "musepack"], indirect=True)
def test_the_digest_sees_any_change_of_the_audio(tmp_path, kind, data):
    made = data.draw(files(kind))
    path = placed(tmp_path, made)
    before = digest_packets(path)
    # FFmpeg takes LAME's info frame for a header, which it is.
    first = 800 if made.sound == "mpeg with Info" else 4
    at = len(made.front) + data.draw(st.integers(first, len(made.audio) - 1))
    path.write_bytes(flipped(made.data, at))
    assert digest_packets(path) != before


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def test_a_missing_ape_header_removes_no_audio(tmp_path):
    claimed = GENRE_ITEM[:-12] + b"\0\0\0\x80" + GENRE_ITEM[-8:]
    made = Made(".mp3", b"", "mpeg", claimed)
    path = placed(tmp_path, made)
    write_genres(path, ["Jazz"])
    assert path.read_bytes().startswith(made.audio + b"APETAGEX")


NO_TITLE = ape_tag({"Comment": (0, b"Only here")}, has_header=True)
HIDDEN = {
    "ID3v1 by an empty ID3v2": Made(".mp3", EMPTY_ID3, "mpeg", V1),
    "APEv2 by an empty ID3v2": Made(".mp3", EMPTY_ID3, "mpeg", GENRE_ITEM),
    "APEv2 without a title by a new ID3v2": Made(".mp3", b"", "mpeg", NO_TITLE),
    "ID3v1 by a new APEv2": Made(".wv", b"", "wavpack", V1),
    "ID3v1 by an empty APEv2": Made(".wv", b"", "wavpack", ape_tag({}, has_header=True) + V1),
}


@pytest.mark.parametrize("made", HIDDEN.values(), ids=HIDDEN)
def test_the_genre_hides_no_older_tag(tmp_path, made):
    path = placed(tmp_path, made)
    before = other_than_genre(by_taglib(path))
    write_genres(path, ["Jazz"])
    assert not changes(before, other_than_genre(by_taglib(path)))


@pytest.mark.parametrize("made", HIDDEN.values(), ids=HIDDEN)
def test_undo_removes_the_repeated_texts_of_an_older_tag(tmp_path, made):
    path = placed(tmp_path, made)
    fields = read_fields(path)
    write_genres(path, ["Jazz"])
    restore_fields(path, fields)
    assert path.read_bytes().count(b"Title") == made.data.count(b"Title")


def test_a_flac_whose_tag_is_an_id3v2_is_refused(tmp_path):
    made = Made(".flac", FRONT, "flac", b"")
    path = placed(tmp_path, made)
    with pytest.raises(TagError, match="ffmpeg"):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == made.data


def wav_with_info(folder: Path, key: str, text: bytes) -> Path:
    info = b"INFO" + key.encode() + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
    data = sound("wav") + b"LIST" + struct.pack("<I", len(info)) + info
    path = folder / "sound.wav"
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    return path


@pytest.mark.parametrize("key", INFO_KEYS)
def test_a_new_id3_chunk_hides_no_riff_info(tmp_path, key):
    path = wav_with_info(tmp_path, key, b"abc\0")
    before = other_than_genre(by_taglib(path))
    write_genres(path, ["Jazz"])
    assert not changes(before, other_than_genre(by_taglib(path)))


# TagLib does not show these in the INFO list, but other readers do.
@pytest.mark.parametrize(("key", "shown"), [("ITRK", "TRACKNUMBER"), ("IKEY", "IKEY")])
def test_riff_info_that_taglib_does_not_know_is_repeated_too(tmp_path, key, shown):
    path = wav_with_info(tmp_path, key, b"abc\0")
    write_genres(path, ["Jazz"])
    assert by_taglib(path)[f"tag:{shown}"] == ["abc"]


@needs_ffprobe
def test_a_small_wma_keeps_its_length(tmp_path):
    path, old = tmp_path / "sound.wma", tmp_path / "old.wma"
    for copy in (path, old):
        copy.write_bytes(sound("wma"))
    write_genres(path, ["Jazz"])
    assert not changes(*by_ffprobe(old, path))
