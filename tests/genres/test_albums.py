from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.genres.albums import BY, Albums, group_key
from tagger.genres.labels import AUDIOSET_NAMES
from tagger.genres.policy import why_no_music
from tagger.types import Prediction, TagInfo, Track

LABELS = ("blues", "jazz", "rock")
BLUES, JAZZ, ROCK = (0.8, 0.1, 0.1), (0.1, 0.7, 0.2), (0.3, 0.2, 0.5)
ABBEY = TagInfo(album="Abbey Road", album_artist="The Beatles", artist="The Beatles")


def predicted(path: str, shares=ROCK, **changes) -> Prediction:
    values = {"agreement": 0.875, "windows": 8, "seconds": 60.0, **changes}
    return Prediction(Track(Path(path), 1, 1), LABELS, shares, **values)


def album(path: str = "/m/x.mp3", by: str = "album", **tag) -> tuple[str, ...] | None:
    return group_key(Path(path), TagInfo(**tag), by)


def averaged(*tracks: tuple[Prediction, TagInfo], by: str = "album") -> list[tuple]:
    albums = Albums(by)
    for prediction, tag in tracks:
        albums.add(prediction, tag)
    return [albums.mean_for(prediction, tag) for prediction, tag in tracks]


# --- which tracks belong together -----------------------------------------------------------------


def test_by_track_every_track_stays_by_itself():
    assert group_key(Path("/m/x.mp3"), ABBEY, "track") is None


def test_an_unknown_grouping_is_refused():
    with pytest.raises(ValueError, match="artist"):
        group_key(Path("/m/x.mp3"), ABBEY, "artist")


@pytest.mark.parametrize(
    "folder",
    [
        "CD1", "CD 01", "cd2", "Disc 2", "disk3", "Disc 1 - Title", "Disc_1", "CD1 (b)",
        "CD 1 of 2", "Digital Media 01", "Vinyl 2", "Cassette 1", "Hybrid SACD 01", "Enhanced CD",
        "Disc One", "Disc 001", "Side A", "Side 1", "Side Two", "Disque 2", "Disc II", "Disc A",
        "CD-R 2", "Hybrid SACD (CD layer) 1", "DVD-Audio 1", "DVD 2", "Blu-ray 1", "SHM-CD 1",
        "SHM-CD", "Blu-spec CD 2", "Blu-spec CD2 1", "HDCD 1", "HQCD 1", "UHQCD 1", "8cm CD 1",
        "SACD 1", "Super Audio CD 1", "Copy Control CD 1", "DualDisc 1", "MiniDisc 3", "CD+G 1",
        "LP 1", '12" Vinyl 1', '7" Vinyl', "12_ Vinyl 1", "12'' Vinyl 02", "12in Vinyl 1",
        "12\u2033 Vinyl 1", '10" Shellac 1', "Reel-to-reel 1", "DAT 1", "USB Flash Drive 1",
        "Vinyl 1 Side B", "Digital Media 1 - Title", "Bonus Disc", "Bonus CD",
        "CD 2 The Later Years", "Disc 1/Side A", "Диск 2", "Other 1", "Data CD 2",
        "Cassette 1 (Side A)", "Digital_Media_01", "Hybrid_SACD_(CD_layer)_01", "12__Vinyl_01",
        "Digital  Media 1", "[Disc 1]", "(CD 2)", "Pathe\u0301 disc 1", "テ\u3099ィスク 1",
        "\uff23\uff24\uff11", "Digital Media 01\uff1aTitle",
    ],
)  # fmt: skip
@pytest.mark.parametrize("tag", [TagInfo(), TagInfo(album="Live")])
def test_a_folder_of_a_disc_counts_as_the_folder_that_holds_it(folder, tag):
    for by in ("folder", "album"):
        inner = group_key(Path(f"/m/Live/{folder}/x.mp3"), tag, by)
        assert inner == group_key(Path("/m/Live/y.mp3"), tag, by)


# The formats of MusicBrainz; Picard's script for folders puts the number of the medium behind one.
FORMATS = [
    "CD",
    "Copy Control CD",
    "Data CD",
    "DTS CD",
    "Enhanced CD",
    "HDCD",
    "Mixed Mode CD",
    "CD-R",
    "8cm CD",
    "8cm CD+G",
    "CD+G",
    "Blu-spec CD",
    "Blu-spec CD2",
    "Minimax CD",
    "SHM-CD",
    "HQCD",
    "UHQCD",
    "SACD",
    "SACD (2 channels)",
    "SACD (multichannel)",
    "Hybrid SACD",
    "Hybrid SACD (CD layer)",
    "Hybrid SACD (SACD layer)",
    "SHM-SACD",
    "DualDisc",
    "DualDisc (CD side)",
    "DualDisc (DVD-Audio side)",
    "DVD",
    "DVD-Audio",
    "DVD-Video",
    "Minimax DVD",
    "DVDplus",
    "DVDplus (CD side)",
    "Blu-ray",
    "Blu-ray-R",
    "HD-DVD",
    "VCD",
    "SVCD",
    "CDV",
    "LaserDisc",
    '12" LaserDisc',
    "VHD",
    "CED",
    "UMD",
    "Vinyl",
    '3" Vinyl',
    '7" Vinyl',
    '10" Vinyl',
    '12" Vinyl',
    "Flexi-disc",
    '7" Flexi-disc',
    "Shellac",
    '10" Shellac',
    '12" Shellac',
    "Acetate",
    '7" Acetate',
    "VinylDisc",
    "VinylDisc (Vinyl side)",
    "Edison Diamond Disc",
    "Pathé disc",
    "Phonograph record",
    "Elcaset",
    "Cassette",
    "Microcassette",
    "DCC",
    "DAT",
    "MiniDisc",
    "Cartridge",
    "8-Track Cartridge",
    "HiPac",
    "PlayTape",
    "Reel-to-reel",
    "Wire recording",
    "Wax Cylinder",
    "Piano Roll",
    "Betamax",
    "Betacam SP",
    "VHS",
    "Videotape",
    "Digital Media",
    "Download Card",
    "USB Flash Drive",
    "slotMusic",
    "SD Card",
    "Floppy Disk",
    '3.5" Floppy Disk',
    "Zip Disk",
    "Playbutton",
    "KiT Album",
    "Tefifon",
    "Other",
]


@pytest.mark.parametrize("form", FORMATS)
def test_a_folder_named_as_musicbrainz_names_a_medium_is_one_of_its_album(form):
    for name in (f"{form} 1", f"{form} 02", f"{form.upper()} 3 - Title", f"{form}-1"):
        assert album(f"/m/Live/{name}/x.mp3", by="folder") == ("folder", "/m/Live"), name


@pytest.mark.parametrize(
    "folder",
    [
        "CD", "Disco 1", "ACDC 1", "CD 1999", "CD 80s", "Discovery", "1", "Vinyl", "Shellac", "LP",
        "Volume 1", "Vol. 2", "Side Effects", "Side", "Sides of Blue", "Disc Jockey", "Face Value",
        "Cassette", "Mixtape 1", "Vinyl 1999", "Other Songs", "Live at Disc 1", "Part 1", "Book 2",
        "Digital Mediation 1", "Tape", "Inside A", "LP1000", "Bonus Tracks", "Cara Mia", "DVDA",
        "Dat",
    ],
)  # fmt: skip
def test_a_folder_that_only_looks_like_a_disc_counts_itself(folder):
    assert album(f"/m/Live/{folder}/x.mp3", by="folder") == ("folder", f"/m/Live/{folder}")


@pytest.mark.parametrize(
    "name",
    [
        "Live (Disc 1)", "Live [CD2]", "Live - Disc 2", "Live, CD 1", "Live (disc 1: The Night)",
        "Live (Disc One)", "Live [Vinyl 2]", "Live (Digital Media 01)", "Live (Side B)",
        "Live CD 2", "Live Disc 1", "Live: Disc 2", "Live (Bonus Disc)", "Live (Disc 001)",
        "Live - Disque 2", "LIVE", " Live ", "Live (Disc 2 of 3)", "Live \u2013 Disc 1",
        "Live - CD 2: The Day",
    ],
)  # fmt: skip
def test_discs_of_one_album_belong_together_by_their_tags(name):
    assert album("/a/x.mp3", album=name, album_artist="Yes") == album(
        "/b/y.mp3", album="Live", album_artist="yes"
    )


def test_what_follows_the_number_of_a_disc_in_brackets_still_counts():
    first = album(album="Live (Disc 1) [Remastered]", album_artist="Yes")
    assert first == album(album="Live [Remastered]", album_artist="Yes")


@pytest.mark.parametrize(
    "name",
    [
        "Live (Vol. 1)", "Live, Discovery", "Live CD-R", "Live II", "Live (Vinyl)", "Live (DVD)",
        "Live Side A", "Live (Other)", "Live (Sides)", "Live - Volume 2",
    ],
)  # fmt: skip
def test_other_words_in_an_albums_name_stay(name):
    assert album(album=name, album_artist="Yes") != album(album="Live", album_artist="Yes")


def test_a_release_of_musicbrainz_decides_whatever_names_and_folders_say():
    first = album("/a/CD1/x.mp3", album="Live", album_artist="Yes", release="0A-1")
    assert first == album("/b/x.mp3", album="Live (2)", artist="No", release="0a-1")
    assert first != album("/a/CD1/y.mp3", album="Live", album_artist="Yes", release="0a-2")
    assert album(album="Now", album_artist="Various", release="0a-1") is None
    assert album("/a/x.mp3", by="folder", release="0a-1") == ("folder", "/a")


def test_names_in_two_unicode_forms_are_one_album():
    assert album(album="Blu\u0308te", album_artist="X") == album(
        album="Bl\u00fcte", album_artist="X"
    )


@pytest.mark.parametrize("part", [" ", "(CD 1", "CD 1 - ", "(", "[disc one "])
def test_a_name_of_a_megabyte_is_compared_at_once(part):
    name = part * (1_000_000 // len(part))
    assert album(album=f"{name}x", album_artist="Yes") == album(
        album=f"{name}X", album_artist="Yes"
    )


@pytest.mark.parametrize("part", [" ", "(CD 1", "CD 1 - ", "(", "disc 1_", '12" ', "1 of "])
def test_no_folder_takes_time_to_compare(part):
    name = (part * 255)[:255]
    assert album(f"/m/{name}/x.mp3", album=name) is not None


def test_an_album_named_only_by_a_disc_keeps_its_name():
    assert album(album="(Disc 1)", album_artist="Yes") == ("album", "yes", "(disc 1)")


def test_albums_of_one_title_by_two_artists_stay_apart():
    first = album(album="Greatest Hits", album_artist="Queen")
    assert first != album(album="Greatest Hits", album_artist="ABBA")


def test_albums_of_one_title_without_an_album_artist_belong_together_within_a_folder_only():
    first = album("/m/a/1.mp3", album="Greatest Hits")
    assert first == album("/m/a/2.mp3", album="greatest hits")
    assert first != album("/m/b/1.mp3", album="Greatest Hits")


@pytest.mark.parametrize("name", ["", "  ", "Unknown Album", "[unknown]"])
def test_without_an_album_the_folder_is_the_album(name):
    assert album("/m/a/1.mp3", album=name, album_artist="Queen") == ("folder", "/m/a")


def test_an_artist_who_is_not_known_joins_no_albums_of_different_folders():
    tag = {"album": "Greatest Hits", "album_artist": "Unknown Artist"}
    assert album("/m/a/1.mp3", **tag) != album("/m/b/1.mp3", **tag)


@pytest.mark.parametrize(
    "artist", ["Various Artists", "various", "VA", "V.A.", "Διάφοροι", "Vários artistas"]
)  # fmt: skip
def test_the_tracks_of_a_compilation_stay_by_themselves(artist):
    assert album(album="Now 12", album_artist=artist) is None


def test_a_tag_that_says_compilation_is_believed():
    assert album(album="Now 12", album_artist="EMI", compilation=True) is None


def test_by_folder_a_compilation_is_a_folder_like_any_other():
    assert album("/m/Now/1.mp3", by="folder", compilation=True) == ("folder", "/m/Now")


# --- means ----------------------------------------------------------------------------------------


def test_the_tracks_of_an_album_get_their_mean():
    (first, text), (second, _) = averaged(
        (predicted("/m/1.mp3", BLUES), ABBEY), (predicted("/m/2.mp3", ROCK), ABBEY)
    )
    assert first.probabilities == second.probabilities == pytest.approx((0.55, 0.15, 0.3))
    assert text == "mean of 2 tracks of its album"


@pytest.mark.parametrize("by", ["album", "folder"])
def test_a_silent_track_of_an_album_stays_silent_and_does_not_count(by):
    tag = TagInfo(album="A", album_artist="B")
    rock, jazz = predicted("/m/a.mp3"), predicted("/m/b.mp3", JAZZ)
    silence = predicted("/m/c.mp3", (0.0, 0.0, 0.0))
    means = averaged((rock, tag), (silence, tag), (jazz, tag), by=by)
    assert means[1] == (silence, "") and means[0][1].startswith("mean of 2 tracks")


def test_agreement_is_the_share_of_tracks_that_have_the_best_label_of_the_mean():
    tracks = [predicted(f"/m/{index}.mp3", s) for index, s in enumerate([BLUES, BLUES, JAZZ, ROCK])]
    results = averaged(*((track, ABBEY) for track in tracks))
    assert {prediction.agreement for prediction, _ in results} == {0.5}


def test_what_belongs_to_the_track_stays():
    first = predicted("/m/1.mp3", BLUES, windows=3, seconds=12.5, multi_label=True)
    (result, _), _ = averaged((first, ABBEY), (predicted("/m/2.mp3"), ABBEY))
    assert (result.track, result.windows, result.seconds) == (first.track, 3, 12.5)
    assert result.labels == LABELS
    assert result.multi_label


@pytest.mark.parametrize("by", BY)
def test_a_group_of_one_keeps_its_prediction(by):
    prediction = predicted("/m/1.mp3")
    assert averaged((prediction, ABBEY), by=by) == [(prediction, "")]


def test_the_text_names_the_folder_where_that_is_the_group():
    tracks = [(predicted("/m/1.mp3"), ABBEY), (predicted("/m/2.mp3"), TagInfo(album="Other"))]
    assert [text for _, text in averaged(*tracks, by="folder")] == [
        "mean of 2 tracks of its folder"
    ] * 2


def test_an_album_of_different_artists_without_an_album_artist_is_a_compilation():
    tracks = [
        (predicted("/m/1.mp3", BLUES), TagInfo(album="Now", artist="Queen")),
        (predicted("/m/2.mp3", JAZZ), TagInfo(album="Now", artist="ABBA")),
    ]
    assert averaged(*tracks) == [(prediction, "") for prediction, _ in tracks]


def test_loose_tracks_of_different_artists_in_one_folder_stay_by_themselves():
    tracks = [
        (predicted("/m/1.mp3", BLUES), TagInfo(artist="Queen")),
        (predicted("/m/2.mp3", JAZZ), TagInfo(artist="ABBA")),
    ]
    assert averaged(*tracks) == [(prediction, "") for prediction, _ in tracks]


def test_by_folder_different_artists_are_averaged():
    tracks = [
        (predicted("/m/1.mp3", BLUES), TagInfo(artist="Queen")),
        (predicted("/m/2.mp3", JAZZ), TagInfo(artist="ABBA")),
    ]
    assert all(text for _, text in averaged(*tracks, by="folder"))


@pytest.mark.parametrize(
    "artist", ["Queen feat. Bowie", "QUEEN ft. Bowie", "Queen (feat. X)", "queen featuring B", ""]
)  # fmt: skip
def test_guests_and_missing_artists_do_not_make_a_compilation(artist):
    tracks = [
        (predicted("/m/1.mp3"), TagInfo(album="Now", artist="Queen")),
        (predicted("/m/2.mp3"), TagInfo(album="Now", artist=artist)),
    ]
    assert all(text for _, text in averaged(*tracks))


def test_an_album_artist_keeps_different_artists_together():
    tracks = [
        (predicted(f"/m/{name}.mp3"), TagInfo(album="Duets", album_artist="Elton", artist=name))
        for name in ("Kiki", "George")
    ]
    assert all(text for _, text in averaged(*tracks))


SHARES = st.lists(st.integers(1, 100), min_size=3, max_size=3).map(
    lambda parts: tuple(part / sum(parts) for part in parts)
)


@given(st.lists(SHARES, min_size=2, max_size=30))
def test_means_sum_to_one(shares):
    tracks = [(predicted(f"/m/{index}.mp3", s), ABBEY) for index, s in enumerate(shares)]
    for prediction, _ in averaged(*tracks):
        assert sum(prediction.probabilities) == pytest.approx(1)


TAGS = st.builds(
    TagInfo,
    album=st.sampled_from(["", "Now"]),
    album_artist=st.sampled_from(["", "Queen"]),
    artist=st.sampled_from(["", "Queen", "ABBA"]),
)
LIBRARY = st.lists(st.tuples(SHARES, TAGS), min_size=1, max_size=12)


@given(LIBRARY.flatmap(lambda items: st.tuples(st.just(items), st.permutations(range(len(items))))))
def test_the_order_of_the_tracks_does_not_matter(case):
    items, order = case
    tracks = [(predicted(f"/m/{index}.mp3", s), tag) for index, (s, tag) in enumerate(items)]
    straight = averaged(*tracks)
    shuffled = averaged(*(tracks[index] for index in order))
    for index, (prediction, text) in zip(order, shuffled, strict=True):
        assert prediction.track == straight[index][0].track
        assert prediction.probabilities == pytest.approx(straight[index][0].probabilities)
        assert text == straight[index][1]


# --- models that know more than genres ------------------------------------------------------------

AUDIOSET = ("Music", *AUDIOSET_NAMES)


def of_audioset(path: str, **shares: float) -> Prediction:
    given = tuple(shares.get(label, 0.0) for label in AUDIOSET)
    return Prediction(Track(Path(path), 1, 1), AUDIOSET, given, 1.0, 8, 60.0, multi_label=True)


def test_only_genres_count_for_how_far_the_tracks_agree():
    tracks = [
        of_audioset("/m/1", Music=0.9, Jazz=0.5),
        of_audioset("/m/2", Music=0.9, Jazz=0.4),
        of_audioset("/m/3", Music=0.9, Blues=0.6),
        of_audioset("/m/4", Music=0.9, Disco=0.3),
    ]
    for mean, _ in averaged(*((track, ABBEY) for track in tracks)):
        assert mean.agreement == 0.5


@pytest.mark.parametrize(("shares", "reason"), [((0.1, 0.9), ""), ((0.1, 0.2), "Music at 0.15")])
def test_the_mean_decides_whether_an_album_is_music(shares, reason):
    tracks = [of_audioset(f"/m/{share}", Music=share, Jazz=0.1) for share in shares]
    for mean, _ in averaged(*((track, ABBEY) for track in tracks)):
        assert why_no_music(mean).startswith(reason) and bool(why_no_music(mean)) == bool(reason)
