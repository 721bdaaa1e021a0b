"""Artists are read from the tags of the files, and compared as people would."""

from __future__ import annotations

import shutil
from pathlib import Path

import mutagen
import pytest
from helpers.clips import write_noise
from helpers.containers import KINDS, make
from helpers.tagged import album_keys, set_by_mutagen

from training.clips import groups
from training.clips.artists import artist_keys, read_tags
from training.clips.clip import Clip
from training.clips.find import find_clips


def by(artist: str, index: int = 0, folder: str = "rock") -> Clip:
    return Clip(Path(f"{folder}/{index}.wav"), "rock", f"{folder}/{index}", artist)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Queen", {"queen"}),
        ("Queen feat. David Bowie", {"queen"}),
        ("Queen (ft. Bowie)", {"queen"}),
        ("Queen Featuring Bowie", {"queen"}),
        ("Queen; David Bowie", {"queen", "david bowie"}),
        ("Queen / David Bowie", {"queen", "david bowie"}),
        ("AC/DC", {"ac/dc"}),
        ("Simon & Garfunkel", {"simon & garfunkel"}),
        ("Featherweight", {"featherweight"}),
        ("!!!", {"!!!"}),
        ("311", {"311"}),
        ("Various Artists", set()),
        ("VARIOUS", set()),
        ("V.A.", set()),
        ("Verschiedene Interpreten", set()),
        ("[unknown]", set()),
        ("Unknown Artist", set()),
        ("Various Artists; Queen", {"queen"}),
        ("CD 2", set()),
        ("", set()),
    ],
)
def test_artists_of_a_text(text: str, keys: set[str]) -> None:
    assert artist_keys(by(text)) == keys


@pytest.mark.parametrize("kind", KINDS)
def test_all_artists_are_read_from_the_tags_of_every_container(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "data" / "rock"
    folder.mkdir(parents=True)
    path = make(kind, folder)
    _, album_artist, artist, _ = album_keys(path)
    set_by_mutagen(path, {artist: ["Queen", "David Bowie"], album_artist: ["Various Artists"]})
    (clip,) = read_tags(find_clips(tmp_path / "data"))
    assert artist_keys(clip) == {"queen", "david bowie"} and clip.audio


def test_tags_count_more_than_folders_and_less_than_tables(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "data" / "rock" / "Greatest Hits" / "1.wav", seed=1)
    media = mutagen.File(path)
    media.add_tags()
    media.tags.add(mutagen.id3.TPE1(encoding=3, text=["Queen"]))
    media.save()
    untagged = write_noise(path.with_name("2.wav"), seed=2)
    write_noise(tmp_path / "data" / "jazz" / "3.wav", seed=3)
    table = tmp_path / "clips.csv"
    table.write_text(f"path,label,artist\n{path},rock,Blur\n{untagged},rock,\n")
    _, tagged, plain = read_tags(find_clips(tmp_path / "data"))
    assert (tagged.artist, plain.artist) == ("Queen", "Greatest Hits")
    assert [clip.artist for clip in read_tags(find_clips(table))] == ["Blur", ""]


def test_unreadable_files_have_no_artist(tmp_path: Path) -> None:
    (tmp_path / "rock").mkdir()
    (tmp_path / "rock" / "broken.mp3").write_bytes(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + b"x" * 99)
    (tmp_path / "rock" / "empty.flac").touch()
    assert [clip.artist for clip in read_tags(find_clips(tmp_path))] == ["", ""]


# Groups


def test_clips_that_share_an_artist_in_any_way_are_one_group() -> None:
    clips = [by("A; B", 1), by("b", 2), by("B feat. C", 3), by("C", 4), by("D", 5)]
    one, two, three, four, five = groups.artists(clips)
    assert one == two == three and len({one, four, five}) == 3


def test_clips_without_an_artist_belong_to_their_album_or_to_nobody() -> None:
    clips = [
        by("", 1, "album"), by("", 2, "album"), by("A", 3, "album"), by("A", 4), by("", 5, "other"),
        Clip(Path("rock/6.wav"), "rock", "6"), Clip(Path("rock/7.wav"), "rock", "7"),
    ]  # fmt: skip
    of_clips = groups.artists(clips)
    assert len(set(of_clips[:4])) == 1
    assert len(set(of_clips[3:])) == 4


def test_copies_are_one_group_whatever_their_tags() -> None:
    clips = [
        Clip(Path("rock/1.wav"), "rock", "1", "A", audio="00"),
        Clip(Path("pop/2.wav"), "pop", "2", "B", audio="00"),
        Clip(Path("pop/3.mp3"), "pop", "3.mp3", "C", audio="01"),
        Clip(Path("pop/3.ogg"), "pop", "3.ogg", "D", audio="02"),
        Clip(Path("pop/4.ogg"), "pop", "4", "B"),
    ]
    one, two, three, four, five = groups.copies(clips)
    assert one == two and three == four and len({one, three, five}) == 3
    one, two, *_, five = groups.artists(clips)
    assert one == two == five


def test_a_copy_with_other_tags_has_the_same_audio(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "data" / "rock" / "1.wav", seed=1)
    copy = path.with_name("2.wav")
    shutil.copy(path, copy)
    write_noise(path.with_name("3.wav"), seed=2)
    media = mutagen.File(copy)
    media.add_tags()
    media.tags.add(mutagen.id3.TPE1(encoding=3, text=["Queen"]))
    media.save()
    one, two, three = read_tags(find_clips(tmp_path / "data"))
    assert one.audio == two.audio != three.audio
