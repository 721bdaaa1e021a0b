"""Which tracks are unsure, doubtful, or disagree with their files; see `app.doubts`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.app.doubts import (
    LISTED,
    LOW,
    NOTHING,
    OFF_LIST,
    SILENT,
    Ranking,
    disagrees,
    predicted_genres,
    why_unsure,
)
from tagger.app.summary import Summary
from tagger.genres.policy import Policy, decide, rank_genres
from tagger.genres.vocabulary import Vocabulary
from tagger.types import Action, Outcome, Prediction, TagInfo, Track

TREE = Vocabulary(tree={"Punk": "Rock", "Hardcore": "Punk"}, aliases={"Drum & Bass": ("DnB",)})
ROCK_OR_JAZZ = {"Rock": 0.7, "Jazz": 0.3}
PUNK = {"Punk": 0.9, "Jazz": 0.1}
DISCOGS = {"Electronic---House": 0.6, "Rock---Punk": 0.1, "Hip Hop---RnB/Swing": 0.05}


def predicted(shares: Mapping[str, float], path: str = "/music/a.mp3") -> Prediction:
    track = Track(Path(path), 1, 1)
    return Prediction(track, tuple(shares), tuple(shares.values()), 1.0, 8, 60.0)


def outcome_of(
    shares: Mapping[str, float],
    *existing: str,
    policy: Policy | None = None,
    path: str = "/m/a.mp3",
) -> Outcome:
    """As a run without --write-tags gives it."""
    prediction = predicted(shares, path)
    ranked = () if prediction.is_silent else tuple(rank_genres(prediction, policy or Policy()))
    action = Action.UNSURE if prediction.is_silent else Action.PREDICTED
    return Outcome(Path(path), action, "", prediction, existing, ranked=ranked)


@pytest.mark.parametrize(
    ("shares", "existing", "vocabulary", "expected"),
    [
        (ROCK_OR_JAZZ, ["Jazz"], None, True),
        (ROCK_OR_JAZZ, [], None, False),
        (ROCK_OR_JAZZ, ["Other"], None, False),  # counts as no genre
        (ROCK_OR_JAZZ, ["Unknown", "Jazz"], None, True),
        (ROCK_OR_JAZZ, ["rock"], None, False),
        (ROCK_OR_JAZZ, ["Jazz", "Rock"], None, False),
        (ROCK_OR_JAZZ, ["Jazz; ROCK"], None, False),
        (ROCK_OR_JAZZ, ["Hard Rock"], None, False),  # a word of its name
        (ROCK_OR_JAZZ, ["Rocksteady"], None, True),  # no word of its name
        ({"Hard Rock": 0.9, "Jazz": 0.1}, ["Rock"], None, False),
        ({"hiphop": 0.9, "Jazz": 0.1}, ["Hip Hop"], None, False),
        (PUNK, ["Rock"], TREE, False),  # above it
        (ROCK_OR_JAZZ, ["Hardcore"], TREE, False),  # far below it
        (PUNK, ["Rock"], None, True),
        ({"Drum & Bass": 0.9, "Jazz": 0.1}, ["DnB"], TREE, False),
        ({"Rock": 0.49, "Jazz": 0.26, "Pop": 0.25}, ["Jazz"], None, False),  # not sure itself
        (DISCOGS, ["Electronic"], None, False),  # the parent in its label
        (DISCOGS, ["Punk"], None, True),
        ({"Rock": 0.0, "Jazz": 0.0}, ["Pop"], None, False),  # silent
        # What the whitelist lets through is not what the models think best.
        ({"Rock": 0.7, "Jazz": 0.3}, ["Rock"], Vocabulary(whitelist=("Jazz",)), False),
        ({"Rock": 0.7, "Jazz": 0.3}, ["Jazz"], Vocabulary(whitelist=("Jazz",)), True),
    ],
)
def test_a_track_disagrees_if_no_genre_of_its_file_is_related_to_the_predicted_one(
    shares: dict[str, float], existing: list[str], vocabulary: Vocabulary | None, expected: bool
) -> None:
    policy = Policy(vocabulary=vocabulary or Vocabulary())
    outcome = outcome_of(shares, *existing, policy=policy)
    assert disagrees(outcome, predicted_genres(outcome, policy), policy) is expected


def test_a_parent_of_discogs_disagrees_with_no_style_below_it() -> None:
    policy = Policy(style="parent")
    outcome = outcome_of(DISCOGS, "House", policy=policy)
    assert predicted_genres(outcome, policy)[0][0] == "Electronic"
    assert not disagrees(outcome, predicted_genres(outcome, policy), policy)


@pytest.mark.parametrize(
    ("shares", "policy", "why"),
    [
        (ROCK_OR_JAZZ, Policy(), ""),
        (ROCK_OR_JAZZ, Policy(min_confidence=0.7), ""),
        (ROCK_OR_JAZZ, Policy(min_confidence=0.71), LOW),
        ({"Rock": 0.0, "Jazz": 0.0}, Policy(), SILENT),
        ({"Rock": 0.5, "Jazz": 0.5}, Policy(), NOTHING),  # all are equally likely
        (ROCK_OR_JAZZ, Policy(vocabulary=Vocabulary(whitelist=("Pop",))), OFF_LIST),
        ({"Rock": 1.0, "Jazz": 0.0}, Policy(vocabulary=Vocabulary(whitelist=("Jazz",))), OFF_LIST),
        (ROCK_OR_JAZZ, Policy(vocabulary=Vocabulary(whitelist=("Jazz",))), LOW),
    ],
)
def test_a_track_is_unsure_by_the_same_rule_whether_genres_are_to_be_written_or_not(
    shares: dict[str, float], policy: Policy, why: str
) -> None:
    reported = outcome_of(shares, policy=policy)
    assert why_unsure(reported, policy) == why
    decision = decide(predicted(shares), TagInfo(), policy)
    decided = Outcome(
        reported.path, decision.action, decision.reason, reported.prediction,
        genres=decision.genres, ranked=reported.ranked,
    )  # fmt: skip
    assert (decision.action is Action.UNSURE) == bool(why)
    assert why_unsure(decided, policy) == why


def test_a_file_that_keeps_its_genre_is_not_unsure() -> None:
    kept = Outcome(Path("/m/a"), Action.KEPT, "", predicted({"Rock": 0.3, "Jazz": 0.2}), ("Pop",))
    assert why_unsure(kept, Policy()) == ""


@given(st.lists(st.sampled_from([n / 8 for n in range(9)]), max_size=40))
def test_a_ranking_holds_the_first_few_of_a_stable_sort(numbers: list[float]) -> None:
    ranking = Ranking()
    for place, number in enumerate(numbers):
        ranking.add(number, outcome_of(ROCK_OR_JAZZ, path=f"/m/{place}.mp3"), [("Rock", number)])
    expected = sorted(range(len(numbers)), key=numbers.__getitem__)[:LISTED]
    assert [doubt.path.stem for doubt in ranking] == [str(place) for place in expected]


def test_an_album_takes_one_place_however_many_tracks_and_folders_it_has() -> None:
    ranking = Ranking(grouped=True)
    for album in range(LISTED + 3):
        for disc in (1, 2):
            for number in range(6):
                path = f"/m/{album}/CD {disc}/{number}.mp3"
                shares = {"Rock": (album + 1) / 100, "Jazz": 0.2}
                ranking.add(shares["Rock"], outcome_of(shares, path=path), [("Rock", 0.1)])
    expected = [(Path(f"/m/{album}"), 12) for album in range(LISTED)]
    assert [(doubt.path, doubt.tracks) for doubt in ranking] == expected


def test_copies_of_a_track_take_their_own_places_without_albums() -> None:
    ranking = Ranking()
    for number in range(3):
        ranking.add(0.1, outcome_of(ROCK_OR_JAZZ, path=f"/m/{number}.mp3"), [("Rock", 0.1)])
    assert [(doubt.path.name, doubt.tracks) for doubt in ranking] == [
        ("0.mp3", 1), ("1.mp3", 1), ("2.mp3", 1),
    ]  # fmt: skip


SHARES = st.fixed_dictionaries(dict.fromkeys(("Rock", "Punk", "Jazz"), st.floats(0, 1)))
EXISTING = st.lists(st.sampled_from(["Rock", "Punk", "Jazz", "Other", "Polka; Rock", "///"]))


@given(
    st.lists(st.tuples(SHARES, EXISTING), max_size=30),
    st.sampled_from([(), ("Rock",), ("Jazz", "Polka")]),
    st.sampled_from(["track", "album"]),
)
def test_the_counts_of_a_summary_add_up(
    tracks: list[tuple[dict[str, float], list[str]]], whitelist: tuple[str, ...], by: str
) -> None:
    policy = Policy(vocabulary=Vocabulary(whitelist=whitelist, tree={"Punk": "Rock"}))
    summary = Summary(write_tags=False, policy=policy, by=by)
    for number, (shares, existing) in enumerate(tracks):
        summary.add(outcome_of(shares, *existing, policy=policy, path=f"/m/{number}.mp3"))
    assert summary.actions.total() == len(tracks)
    assert summary.genres.total() == summary.spread.total() == summary.agreed.total()
    assert summary.genres.total() <= len(tracks) and not summary.written
    assert summary.unsure[LOW] >= sum(doubt.tracks for doubt in summary.doubtful)
    assert summary.disagreed >= sum(doubt.tracks for doubt in summary.disagreeing)
    if summary.genres:
        best = [max(shares.values()) for shares, _ in tracks if len({*shares.values()}) > 1]
        assert summary.mean_confidence() == pytest.approx(sum(best) / len(best))
