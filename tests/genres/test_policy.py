from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tagger.genres.labels import (
    AUDIOSET_NAMES,
    DISCOGS_NAMES,
    GTZAN_NAMES,
    LABEL_NAMES,
    STYLES,
    are_independent,
    genre_columns,
    genres_of,
    is_audioset,
    is_discogs,
    name_key,
    unique_names,
)
from tagger.genres.policy import ON_EXISTING, Policy, decide, rank_genres, why_no_music
from tagger.genres.provenance import is_own, make_note
from tagger.genres.vocabulary import Vocabulary
from tagger.types import Action, Prediction, TagInfo, Track

# As `read_genres` gives them: none blank, no blanks around them, each once.
NAME = st.text(min_size=1, max_size=8).map(str.strip).filter(bool)
# Few, so that predictions, files and rules meet; two of them are one genre, "Hip-Hop".
KNOWN = ["Rock", "Punk", "Jazz", "Blues", "hiphop", "Hip-Hop", "Polka", "Swing"]
NAMES = st.lists(NAME | st.sampled_from(KNOWN), min_size=1, max_size=6, unique_by=name_key)
VOCABULARIES = st.builds(
    Vocabulary,
    st.dictionaries(st.sampled_from(KNOWN), st.lists(st.sampled_from(KNOWN)).map(tuple)),
    st.lists(st.sampled_from(KNOWN)).map(tuple),
    st.dictionaries(st.sampled_from(KNOWN), st.sampled_from(KNOWN)),
)
POLICIES = st.builds(
    Policy,
    on_existing=st.sampled_from(ON_EXISTING),
    min_confidence=st.none() | st.floats(0, 1),
    top=st.integers(1, 5),
    ratio=st.floats(0, 1),
    protect=st.lists(st.sampled_from(KNOWN), max_size=1).map(tuple),
    with_parents=st.booleans(),
    style=st.sampled_from(STYLES),
    min_music=st.floats(0.05, 1),
    vocabulary=VOCABULARIES,
)
TREE = Vocabulary(tree={"Punk": "Rock", "Swing": "Jazz"})
# A few labels that AudioSet has besides genres: sounds, roles, moods, instruments.
AUDIOSET = ("Speech", *AUDIOSET_NAMES, "Music", "Song", "Theme music", "Happy music", "Guitar")
DISCOGS = (
    "Electronic---Dub", "Reggae---Dub", "Electronic---House", "Electronic---Drum n Bass",
    "Electronic---Musique Concr\u00e8te", "Electronic---Goa Trance/Psy-Trance", "Rock---Punk",
    "Folk, World, & Country---Polka", "Funk / Soul---Rhythm & Blues", "Hip Hop---RnB/Swing",
    "Reggae---Reggae", "Non-Music---Audiobook", "Non-Music---Field Recording",
)  # fmt: skip


def predicted(*, multi_label: bool = False, **shares: float) -> Prediction:
    track = Track(Path("/music/x.mp3"), 1, 1)
    return Prediction(
        track, tuple(shares), tuple(shares.values()), 1.0, 8, 60.0, multi_label=multi_label
    )


def tagged(*genres: str) -> TagInfo:
    return TagInfo(genres)


def tagged_by_us(*genres: str) -> TagInfo:
    return TagInfo(genres, make_note(genres, model="m", fingerprint="f", confidence=0.9))


@st.composite
def predictions(draw) -> Prediction:
    labels = draw(NAMES)
    shares = draw(st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels)))
    track = Track(Path("/x"), 1, 1)
    multi_label = draw(st.booleans())
    return Prediction(track, tuple(labels), tuple(shares), 1.0, 8, 60.0, multi_label=multi_label)


def prediction_of(labels, *, multi_label: bool = True, **shares: float) -> Prediction:
    """What a model with these labels predicts; "__" is for the separator of parent and style."""
    given = {label: shares.get(label.replace("---", "__"), 0.0) for label in labels}
    return predicted(multi_label=multi_label, **given)


@st.composite
def predictions_of(draw, *models: tuple[str, ...]) -> Prediction:
    labels = draw(st.sampled_from(models))
    shares = draw(st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels)))
    prediction = predicted(multi_label=True, **dict(zip(labels, shares, strict=True)))
    return replace(prediction, multi_label=draw(st.booleans()))


TAGS = st.builds(lambda names: tagged(*names), st.just([]) | NAMES) | st.builds(
    lambda names: tagged_by_us(*names), NAMES
)


def keys(names) -> list[str]:
    return [name_key(name) for name in names]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["Hip-Hop", "hip hop", "HIPHOP", "\uff28\uff49\uff50 hop"])
def test_spellings_of_one_genre_have_one_key(spelling):
    assert name_key(spelling) == "hiphop"


@pytest.mark.parametrize(("one", "other"), [("Rock", "Rock 2"), ("raï", "rai"), ("गीत", "गत")])
def test_other_letters_are_another_genre(one, other):
    assert name_key(one) != name_key(other)


def test_a_name_without_letters_has_itself_as_key():
    assert name_key("!!!") != name_key("???")


@given(NAME)
def test_no_name_has_an_empty_key(name):
    assert name_key(name)


@pytest.mark.parametrize("genre", [*LABEL_NAMES.values(), *DISCOGS_NAMES.values()])
def test_players_do_not_split_the_genres_that_we_name(genre):
    assert not set(genre) & set(";/,")


def test_two_labels_of_one_model_never_become_one_genre():
    for names in (GTZAN_NAMES, AUDIOSET_NAMES):
        assert len(set(keys(names.values()))) == len(names)


@pytest.mark.parametrize(
    ("labels", "audioset", "discogs"),
    [
        (AUDIOSET, True, False),
        (AUDIOSET[:30], False, False),
        (tuple(AUDIOSET_NAMES), False, False),
        (DISCOGS, False, True),
        ((*DISCOGS, "Rock"), False, False),
        (("Rock---", "---Rock"), False, False),
        (tuple(GTZAN_NAMES), False, False),
        ((), False, False),
    ],
)
def test_the_labels_show_where_they_come_from(labels, audioset, discogs):
    assert is_audioset(list(labels)) is audioset
    assert is_discogs(list(labels)) is discogs
    assert are_independent(labels) is (audioset or discogs)


def test_the_columns_of_genres_leave_out_what_is_not_a_genre():
    assert [AUDIOSET[place] for place in genre_columns(AUDIOSET)] == list(AUDIOSET_NAMES)
    assert [DISCOGS[place] for place in genre_columns(list(DISCOGS))] == list(DISCOGS[:-2])
    assert genre_columns(("Speech", "Music")) is None


@pytest.mark.parametrize(
    ("label", "style", "parent"),
    [
        ("Folk, World, & Country---Polka", "Polka", "Folk World & Country"),
        ("Funk / Soul---Neo Soul", "Neo Soul", "Funk & Soul"),
        ("Hip Hop---RnB/Swing", "RnB & Swing", "Hip-Hop"),
        ("Electronic---Drum n Bass", "Drum & Bass", "Electronic"),
        ("Stage & Progress---Score", "Score", "Stage & Progress"),
        ("Electronic---Musique Concr\u00e8te", "Musique Concr\u00e8te", "Electronic"),
    ],
)
def test_labels_of_discogs_are_spelled_so_that_nothing_splits_them(label, style, parent):
    assert genres_of([label]) == genres_of([label], "both") == [(style, (0,))]
    assert genres_of([label], "parent") == [(parent, (0,))]


@given(
    st.lists(st.builds("A{}---B{}".format, st.text(max_size=9), st.text(max_size=9)), min_size=1),
    st.sampled_from(STYLES),
)
def test_no_genre_of_discogs_holds_a_separator(labels, style):
    assume(is_discogs(labels))
    for name, places in genres_of(labels, style):
        assert name.strip() and not set(name) & set(";/,")
        assert len(places) == 1 or style != "parent"


@pytest.mark.parametrize("name", ["Funk / Soul", "Folk, World, & Country", "RnB/Swing"])
def test_a_rule_may_name_a_genre_as_discogs_does(name):
    ((spelled, _),) = genres_of([f"X---{name}"])
    assert spelled != name and name_key(spelled) == name_key(name)
    assert Vocabulary(whitelist=(name,)).spelled(spelled) == name


def test_labels_of_a_users_own_model_are_not_respelled():
    ranked = rank_genres(predicted(**{"Funk / Soul": 0.6, "Hip Hop": 0.3, "Non-Music---x": 0.1}))
    assert [name for name, _ in ranked] == ["Funk / Soul", "Hip Hop", "Non-Music---x"]


def test_what_a_file_says_is_distinguished_by_more_than_punctuation():
    assert unique_names(["Hip-Hop", " hip-hop ", "Hip Hop", ""]) == ("Hip-Hop", "Hip Hop")


# --- ranking --------------------------------------------------------------------------------------


@given(predictions(), POLICIES)
def test_genres_are_ranked_best_first_and_each_once(prediction, policy):
    ranked = rank_genres(prediction, policy)
    shares = [share for _, share in ranked]
    assert shares == sorted(shares, reverse=True)
    assert len(set(keys(name for name, _ in ranked))) == len(ranked)


@given(predictions(), POLICIES)
def test_confidences_stay_between_the_best_label_and_one(prediction, policy):
    ranked = rank_genres(prediction, policy)
    assert all(share <= 1 for _, share in ranked)
    if not policy.vocabulary.whitelist:
        assert ranked[0][1] >= max(prediction.probabilities)


@given(predictions(), POLICIES)
def test_only_genres_of_the_whitelist_are_ranked(prediction, policy):
    vocabulary = policy.vocabulary
    assume(vocabulary.whitelist)
    allowed = keys(map(vocabulary.spelled, vocabulary.whitelist))
    assert set(keys(name for name, _ in rank_genres(prediction, policy))) <= set(allowed)


def test_labels_of_gtzan_are_spelled_as_in_a_library():
    ranked = rank_genres(predicted(hiphop=0.7, jazz=0.2, Ambient=0.1))
    assert ranked == [("Hip-Hop", 0.7), ("Jazz", 0.2), ("Ambient", 0.1)]


def test_labels_of_audioset_are_spelled_as_in_a_library():
    shares = {"Hip hop music": 0.7, "Rhythm and blues": 0.2, "Music of Latin America": 0.1}
    assert rank_genres(predicted(**shares)) == [("Hip-Hop", 0.7), ("R&B", 0.2), ("Latin", 0.1)]


def test_the_best_of_independent_labels_of_one_genre_counts():
    shares = {"hiphop": 0.2, "Hip hop": 0.5, "jazz": 0.3}
    ranked = rank_genres(predicted(multi_label=True, **shares))
    assert ranked == [("Hip-Hop", 0.5), ("Jazz", 0.3)]


def test_exclusive_labels_of_one_genre_add_up():
    shares = {"jazz": 0.375, "hiphop": 0.25, "Hip hop": 0.25}
    assert rank_genres(predicted(**shares)) == [("Hip-Hop", 0.5), ("Jazz", 0.375)]


def test_exclusive_labels_under_one_admitted_parent_add_up():
    vocabulary = Vocabulary(whitelist=("Rock", "Jazz"), tree={"Punk": "Rock"})
    prediction = predicted(jazz=0.4, Punk=0.25, rock=0.25)
    ranked = rank_genres(prediction, Policy(vocabulary=vocabulary))
    assert ranked == [("Rock", 0.5), ("Jazz", 0.4)]


def test_the_users_spelling_comes_before_the_built_in_one():
    policy = Policy(vocabulary=Vocabulary(aliases={"Rap": ("Hip-Hop",)}))
    assert rank_genres(predicted(hiphop=0.7, jazz=0.3), policy) == [("Rap", 0.7), ("Jazz", 0.3)]


def test_a_whitelist_may_leave_nothing():
    policy = Policy(vocabulary=Vocabulary(whitelist=("Polka",)))
    assert rank_genres(predicted(rock=0.7, jazz=0.3), policy) == []


def test_equal_confidences_keep_the_order_of_the_labels():
    assert [name for name, _ in rank_genres(predicted(b=0.4, a=0.4, c=0.2))] == ["b", "a", "c"]


def test_a_prediction_may_have_fewer_than_three_labels():
    assert rank_genres(predicted(a=0.6, b=0.4)) == [("a", 0.6), ("b", 0.4)]


# --- models that know more than genres ------------------------------------------------------------


def test_labels_of_audioset_that_are_not_genres_are_not_ranked():
    shares = {"Music": 0.9, "Guitar": 0.8, "Happy music": 0.7, "Jazz": 0.3, "Blues": 0.2}
    prediction = prediction_of(AUDIOSET, **shares)
    for vocabulary in (Vocabulary(), Vocabulary(whitelist=("Guitar", "Jazz", "Blues"))):
        ranked = rank_genres(prediction, Policy(vocabulary=vocabulary))
        assert ranked[:2] == [("Jazz", 0.3), ("Blues", 0.2)]
        assert not {"Music", "Guitar", "Happy music"} & {name for name, _ in ranked}


TWO_PARENTS = {
    "Electronic__Dub": 0.25, "Reggae__Dub": 0.375, "Electronic__House": 0.5,
    "Reggae__Reggae": 0.125,
}  # fmt: skip


@pytest.mark.parametrize(
    ("style", "ranked", "written"),
    [
        ("style", [("Dub", 0.625), ("House", 0.5)], ("Dub", "House")),
        ("both", [("Dub", 0.625), ("House", 0.5)], ("Dub", "House", "Reggae", "Electronic")),
        ("parent", [("Electronic", 0.5), ("Reggae", 0.375)], ("Electronic", "Reggae")),
    ],
)
def test_a_style_a_parent_or_both_are_written(style, ranked, written):
    prediction = prediction_of(DISCOGS, **TWO_PARENTS)
    policy = Policy(top=2, style=style)
    assert rank_genres(prediction, policy)[:2] == ranked
    assert decide(prediction, tagged(), policy).genres == written


def test_a_style_under_two_parents_is_never_surer_than_one():
    prediction = prediction_of(DISCOGS, Electronic__Dub=0.75, Reggae__Dub=0.5)
    assert rank_genres(prediction)[0] == ("Dub", 1.0)


def test_styles_that_the_tree_makes_one_genre_do_not_add_up():
    vocabulary = Vocabulary(whitelist=("Club",), tree={"Dub": "Club", "House": "Club"})
    ranked = rank_genres(prediction_of(DISCOGS, **TWO_PARENTS), Policy(vocabulary=vocabulary))
    assert ranked == [("Club", 0.625)]


def test_a_parent_that_is_the_style_is_written_once():
    decision = decide(prediction_of(DISCOGS, Reggae__Reggae=0.5), tagged(), Policy(style="both"))
    assert decision.genres == ("Reggae",)
    assert decision.steps[-2:] == (
        "top: Dub at 0.00 would be one more than 1", "parents: none to add",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("whitelist", "tree", "genres"),
    [
        (("House", "Electronic"), {}, ("House", "Electronic")),
        (("House",), {}, ("House",)),
        (("house", "Club"), {"Electronic": "Club"}, ("house", "Club")),
        (("Dance",), {"House": "Dance", "Electronic": "Dance"}, ("Dance",)),
    ],
)
def test_the_users_rules_hold_for_parents_of_discogs(whitelist, tree, genres):
    policy = Policy(style="both", vocabulary=Vocabulary(whitelist=whitelist, tree=tree))
    assert decide(prediction_of(DISCOGS, Electronic__House=0.5), tagged(), policy).genres == genres


def test_parents_of_discogs_come_before_those_of_the_users_tree():
    vocabulary = Vocabulary(tree={"House": "Dance"})
    policy = Policy(style="both", with_parents=True, vocabulary=vocabulary)
    decision = decide(prediction_of(DISCOGS, Electronic__House=0.5), tagged(), policy)
    assert decision.genres == ("House", "Electronic", "Dance")
    assert decision.steps[-1] == "parents: + Electronic; Dance"


@pytest.mark.parametrize("style", STYLES)
def test_style_makes_no_difference_to_other_models(style):
    for prediction in (predicted(jazz=0.6, rock=0.4), prediction_of(AUDIOSET, Music=0.9, Jazz=0.6)):
        assert decide(prediction, tagged(), Policy(style=style)).genres == ("Jazz",)


@pytest.mark.parametrize(
    ("multi_label", "share", "policy", "action"),
    [
        (False, 0.5, Policy(), Action.WOULD_WRITE),
        (False, 0.49, Policy(), Action.UNSURE),
        (True, 0.1, Policy(), Action.WOULD_WRITE),
        (True, 0.09, Policy(), Action.UNSURE),
        (True, 0.49, Policy(min_confidence=0.5), Action.UNSURE),
        (False, 0.01, Policy(min_confidence=0), Action.WOULD_WRITE),
    ],
)
def test_the_floor_is_lower_where_labels_are_independent(multi_label, share, policy, action):
    assert decide(predicted(multi_label=multi_label, jazz=share), tagged(), policy).action is action


@given(predictions_of(AUDIOSET, DISCOGS), POLICIES)
def test_confidences_are_probabilities(prediction, policy):
    assert all(0 <= share <= 1 for _, share in rank_genres(prediction, policy))


@given(predictions_of(AUDIOSET, DISCOGS), POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_the_labels_makes_no_difference(prediction, policy, random):
    pairs = list(zip(prediction.labels, prediction.probabilities, strict=True))
    random.shuffle(pairs)
    labels, shares = zip(*pairs, strict=True)
    shuffled = replace(prediction, labels=labels, probabilities=shares)
    assert dict(rank_genres(shuffled, policy)) == pytest.approx(
        dict(rank_genres(prediction, policy))
    )


@given(predictions_of(DISCOGS))
def test_a_style_is_as_sure_as_its_labels_together_and_a_parent_as_its_best(prediction):
    prediction = replace(prediction, multi_label=True)
    shares = dict(zip(prediction.labels, prediction.probabilities, strict=True))
    styles, parents = (dict(rank_genres(prediction, Policy(style=s))) for s in ("style", "parent"))
    assert styles["Dub"] == min(1, shares["Electronic---Dub"] + shares["Reggae---Dub"])
    assert parents["Reggae"] == max(shares["Reggae---Dub"], shares["Reggae---Reggae"])
    assert {"Audiobook", "Field Recording"}.isdisjoint(styles)
    assert "Non-Music" not in parents


@given(predictions_of(AUDIOSET, DISCOGS), TAGS, POLICIES)
def test_no_genre_that_is_written_is_split_by_players(prediction, tag, policy):
    written = decide(prediction, tag, replace(policy, min_confidence=0)).genres
    new = [name for name in written if name_key(name) not in keys(tag.genres)]
    assert not set("".join(new)) & set(";/,")


# --- what is no music -----------------------------------------------------------------------------

PODCAST = prediction_of(AUDIOSET, Speech=0.9, Music=0.04, Jazz=0.03)
AUDIOBOOK = prediction_of(DISCOGS, **{"Non-Music__Audiobook": 0.61}, Electronic__House=0.6)


@pytest.mark.parametrize(
    ("prediction", "line"),
    [
        (PODCAST, "Music at 0.04 is below 0.2"),
        (prediction_of(AUDIOSET, Music=0.1999, Jazz=0.9), "Music at 0.1999 is below 0.2"),
        (AUDIOBOOK, "Non-Music---Audiobook at 0.61 is the best label"),
        (replace(predicted(jazz=0.9), no_music="another model says so"), "another model says so"),
    ],
)
@pytest.mark.parametrize("tag", [tagged(), tagged("Audiobook"), tagged_by_us("Jazz")])
@pytest.mark.parametrize("on_existing", ON_EXISTING)
def test_what_is_not_music_is_left_alone_with_a_reason(prediction, line, tag, on_existing):
    decision = decide(prediction, tag, Policy(on_existing, min_confidence=0))
    assert (decision.action, decision.genres, decision.reason) == (Action.NO_MUSIC, (), line)
    assert decision.steps == (f"music: {line}",)
    assert why_no_music(prediction) == line


@given(predictions_of(AUDIOSET, DISCOGS), TAGS, POLICIES)
def test_what_is_not_music_is_written_under_no_policy(prediction, tag, policy):
    verdict = {"Music": 0.01} if "Music" in prediction.labels else {"Non-Music---Audiobook": 1.0}
    pairs = zip(prediction.labels, prediction.probabilities, strict=True)
    shares = {label: 0.9 * share for label, share in pairs} | verdict
    decision = decide(predicted(multi_label=True, **shares), tag, policy)
    assert (decision.action, decision.genres) == (Action.NO_MUSIC, ())


@pytest.mark.parametrize(
    ("prediction", "line"),
    [
        (
            prediction_of(AUDIOSET, Speech=0.95, Music=0.93, Jazz=0.5),
            "music: Music at 0.93 reaches 0.2",
        ),
        (prediction_of(AUDIOSET, Music=0.2, Jazz=0.5), "music: Music at 0.20 reaches 0.2"),
        (
            prediction_of(DISCOGS, **{"Non-Music__Audiobook": 0.4}, Electronic__House=0.5),
            "music: Electronic---House at 0.50 is the best label",
        ),
    ],
)
def test_music_is_reported_first_and_written(prediction, line):
    decision = decide(prediction, tagged(), Policy())
    assert decision.action is Action.WOULD_WRITE and decision.steps[0] == line
    assert why_no_music(prediction) == ""
    kept = decide(prediction, tagged("Polka"), Policy())
    assert kept.action is Action.KEPT and kept.steps[0] == line


def test_how_sure_a_model_must_be_of_music_is_the_users_choice():
    prediction = prediction_of(AUDIOSET, Music=0.1, Jazz=0.3)
    assert why_no_music(prediction, Policy(min_music=0.1)) == ""
    assert decide(prediction, tagged(), Policy(min_music=0)).genres == ("Jazz",)


def test_a_model_of_genres_alone_never_predicts_that_a_track_is_not_music():
    shares = dict.fromkeys(AUDIOSET_NAMES, 0.01)
    decision = decide(predicted(multi_label=True, **shares), tagged(), Policy())
    assert decision.action is Action.UNSURE


@pytest.mark.parametrize("labels", [AUDIOSET, DISCOGS])
def test_silence_is_unsure_and_not_no_music(labels):
    decision = decide(prediction_of(labels), tagged(), Policy())
    assert decision.action is Action.UNSURE
    assert decision.reason == "it is silent; no genre was predicted"


# --- properties of every decision -----------------------------------------------------------------


@given(predictions(), TAGS, POLICIES)
def test_nothing_is_erased(prediction, tag, policy):
    decision = decide(prediction, tag, policy)
    assert bool(decision.genres) == (decision.action is Action.WOULD_WRITE)
    if tag.genres and policy.on_existing == "keep":
        assert decision.action is Action.KEPT


@given(predictions(), TAGS, POLICIES)
def test_append_keeps_every_existing_genre(prediction, tag, policy):
    decision = decide(prediction, tag, replace(policy, on_existing="append", min_confidence=0))
    there = set(keys(map(policy.vocabulary.aliased, policy.without_placeholders(tag.genres))))
    assert decision.action is not Action.WOULD_WRITE or there <= set(keys(decision.genres))


@given(predictions(), TAGS, POLICIES)
def test_no_genre_is_written_twice(prediction, tag, policy):
    written = keys(decide(prediction, tag, policy).genres)
    assert len(set(written)) == len(written)


@given(predictions(), TAGS, POLICIES)
def test_what_is_written_is_sure_enough_and_not_too_much(prediction, tag, policy):
    policy = replace(policy, with_parents=False)
    decision = decide(prediction, tag, policy)
    if decision.action is not Action.WOULD_WRITE:
        return
    ranked = rank_genres(prediction, policy)
    shares = {name_key(name): share for name, share in ranked}
    best = ranked[0][1]
    assert best >= policy.floor(prediction)
    there = keys(map(policy.vocabulary.aliased, tag.genres))
    kept = there if policy.on_existing == "append" else []
    added = [key for key in keys(decision.genres) if key not in kept]
    assert len(added) <= policy.top
    assert all(shares[key] >= policy.ratio * best for key in added)


@given(predictions(), TAGS, POLICIES)
def test_only_genres_of_the_whitelist_are_added(prediction, tag, policy):
    vocabulary = policy.vocabulary
    assume(vocabulary.whitelist)
    added = set(keys(decide(prediction, tag, policy).genres))
    if policy.on_existing == "append":
        added -= set(keys(map(vocabulary.aliased, tag.genres)))
    assert added <= set(keys(map(vocabulary.spelled, vocabulary.whitelist)))


@given(predictions(), NAMES, POLICIES)
def test_a_file_with_a_protected_genre_is_kept(prediction, names, policy):
    policy = replace(policy, protect=("Audiobook", names[-1].upper()))
    assert decide(prediction, tagged(*names), policy).action is Action.KEPT


@given(predictions(), TAGS, POLICIES, st.sampled_from([tagged, tagged_by_us]))
def test_a_second_run_changes_nothing_more(prediction, tag, policy, tagged_so):
    policy = replace(policy, min_confidence=0)
    first = decide(prediction, tag, policy)
    if first.action is Action.WOULD_WRITE:
        second = decide(prediction, tagged_so(*first.genres), policy)
        assert second.action in (Action.UNCHANGED, Action.KEPT)


@given(predictions(), TAGS, POLICIES)
def test_every_decision_says_why(prediction, tag, policy):
    decision = decide(prediction, tag, policy)
    assert decision.reason and decision.steps


# --- existing genres ------------------------------------------------------------------------------


def test_a_genre_that_is_there_is_kept_unless_asked_otherwise():
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged("Polka"), Policy())
    assert (decision.action, decision.genres) == (Action.KEPT, ())
    assert decision.reason == "it already has a genre"


@pytest.mark.parametrize("on_existing", ON_EXISTING)
def test_a_file_without_a_genre_gets_one_under_every_policy(on_existing):
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged(), Policy(on_existing))
    assert (decision.genres, decision.reason) == (("Jazz",), "it has no genre")


@pytest.mark.parametrize("on_existing", ON_EXISTING)
def test_a_protected_genre_keeps_all_as_it_is(on_existing):
    policy = Policy(on_existing, protect=("Audio-Book",))
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged_by_us("Talk", "audiobook"), policy)
    assert (decision.action, decision.genres) == (Action.KEPT, ())
    assert decision.reason == "it has audiobook, which is protected"


def test_append_adds_after_existing_genres_and_never_twice():
    policy = Policy("append", top=2, ratio=0)
    decision = decide(predicted(jazz=0.6, rock=0.4), tagged("Polka", "JAZZ"), policy)
    assert decision.genres == ("Polka", "JAZZ", "Rock")
    assert decision.reason == "added to Polka; JAZZ, as Polka; JAZZ; Rock"


def test_append_does_not_respell_existing_genres_by_built_in_names():
    decision = decide(predicted(rock=0.9), tagged("hiphop"), Policy("append"))
    assert decision.genres == ("hiphop", "Rock")


def test_append_does_not_respell_existing_genres_by_the_whitelist():
    policy = Policy("append", vocabulary=Vocabulary(whitelist=("rock", "polka")))
    decision = decide(predicted(rock=0.9), tagged("Polka"), policy)
    assert decision.genres == ("Polka", "rock")


def test_append_respells_existing_genres_by_the_users_aliases():
    policy = Policy("append", vocabulary=Vocabulary(aliases={"Hip-Hop": ("Rap",)}))
    decision = decide(predicted(hiphop=0.9), tagged("rap", "hip hop"), policy)
    assert (decision.genres, decision.reason) == (("Hip-Hop",), "respells rap; hip hop")


@pytest.mark.parametrize("on_existing", ["append", "replace", "replace-own"])
def test_an_equal_value_is_not_written_again(on_existing):
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged_by_us("Jazz"), Policy(on_existing))
    assert (decision.action, decision.genres) == (Action.UNCHANGED, ())
    assert decision.reason == "it already has this genre"


def test_replace_replaces_existing_genres_by_the_prediction():
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged("A", "B"), Policy("replace"))
    assert (decision.genres, decision.reason) == (("Jazz",), "replaces A; B")


def test_replace_own_replaces_what_an_earlier_run_wrote():
    tag = tagged_by_us("Rock")
    assert is_own(tag)
    decision = decide(predicted(jazz=0.9, rock=0.1), tag, Policy("replace-own"))
    assert (decision.genres, decision.reason) == (("Jazz",), "replaces what tag-genres wrote")


def test_replace_own_keeps_what_a_person_wrote():
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged("Rock"), Policy("replace-own"))
    assert decision.action is Action.KEPT
    assert decision.reason == "its genre is not one that tag-genres wrote"


# --- several genres in one value ------------------------------------------------------------------

JOINED = ["Audiobook, Jazz", "Audiobook; Jazz", "Audiobook/jazz", "Audiobook | JAZZ"]


@pytest.mark.parametrize("value", JOINED)
@pytest.mark.parametrize("name", ["Audiobook", "audio-book", "jazz"])
def test_a_part_of_a_value_protects_the_file(value, name):
    policy = Policy("replace", protect=("Polka", name))
    decision = decide(predicted(rock=0.9, jazz=0.1), tagged("Talk", value), policy)
    assert decision.action is Action.KEPT and "which is protected" in decision.reason


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("Folk; Pop/Rock", "Pop/Rock"),
        ("Jazz, Funk/Soul", "funk/soul"),
        ("Pop / Rock, Folk", "Pop/Rock"),
        ("Rock/Pop/Indie", "Rock / Pop"),
        ("Polka; Christmas, Holiday", "Christmas, Holiday"),
    ],
)
def test_a_protected_name_with_a_separator_is_one_genre(value, name):
    policy = Policy("replace", protect=(name,))
    assert decide(predicted(jazz=0.9), tagged(value), policy).action is Action.KEPT
    assert policy.has([value], "Polka Folk") == ""


def test_an_alias_of_a_part_protects_the_file():
    policy = Policy("replace", protect=("Talk",), vocabulary=Vocabulary({"Talk": ("Audiobook",)}))
    assert decide(predicted(rock=0.9), tagged("Audiobook, Jazz"), policy).action is Action.KEPT


def test_a_known_name_is_protected_as_a_whole_and_not_by_its_parts():
    tag = tagged("Folk, World, & Country")
    for name, action in (
        ("Country", Action.WOULD_WRITE),
        ("Folk, World, & Country", Action.KEPT),
        ("Folk World & Country", Action.KEPT),
    ):
        policy = Policy("replace", protect=(name,))
        assert decide(predicted(rock=0.9), tag, policy).action is action


@pytest.mark.parametrize("value", JOINED)
def test_append_adds_no_genre_that_is_a_part_of_a_value(value):
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged(value), Policy("append"))
    assert decision.action is Action.UNCHANGED


@pytest.mark.parametrize("value", [*JOINED, "Folk, World, & Country", "hip hop;; Talk ;"])
def test_append_keeps_a_value_exactly_and_adds_what_is_in_no_part(value):
    policy = Policy("append", top=2, ratio=0, vocabulary=Vocabulary({"Trad": ("Talk",)}))
    decision = decide(predicted(country=0.6, jazz=0.4), tagged(value), policy)
    added = ("Country",) if "jazz" in value.lower() else ("Country", "Jazz")
    assert decision.genres == (value, *added)


def test_an_alias_of_a_part_is_not_appended_again():
    policy = Policy("append", vocabulary=Vocabulary({"Hip-Hop": ("Rap",)}))
    assert decide(predicted(hiphop=0.9), tagged("Rap, Polka"), policy).action is Action.UNCHANGED


@pytest.mark.parametrize("on_existing", ["append", "replace", "replace-own"])
def test_joined_or_not_the_same_genres_are_not_written_again(on_existing):
    prediction, note = predicted(rock=0.6, pop=0.4), tagged_by_us("Rock", "Pop").note
    for value in ("Rock; Pop", "Rock/Pop", "Rock, Pop"):
        decision = decide(prediction, TagInfo((value,), note), Policy(on_existing, top=2))
        assert decision.action is Action.UNCHANGED


def test_what_we_wrote_and_another_program_joined_is_still_ours():
    tag = TagInfo(("Rock / Pop",), tagged_by_us("Rock", "Pop").note)
    decision = decide(predicted(jazz=0.9), tag, Policy("replace-own"))
    assert (decision.genres, decision.reason) == (("Jazz",), "replaces what tag-genres wrote")
    whole = decide(predicted(jazz=0.9), tag, Policy("replace-own", separators=";"))
    assert whole.action is Action.KEPT


def test_without_separators_a_value_is_one_genre():
    policy = Policy("append", separators="", protect=("Audiobook",))
    decision = decide(predicted(jazz=0.9), tagged("Audiobook, Jazz"), policy)
    assert decision.genres == ("Audiobook, Jazz", "Jazz")


@given(predictions(), NAMES, st.sampled_from([";", ",", "/", " | "]), POLICIES)
def test_append_keeps_joined_values_and_never_doubles(prediction, names, mark, policy):
    tag = tagged(mark.join(names))
    policy = replace(policy, on_existing="append", min_confidence=0, protect=())
    decision = decide(prediction, tag, policy)
    if decision.action is Action.WOULD_WRITE and len(policy.parts(tag.genres)) > 1:
        assert decision.genres[0] == tag.genres[0]
        there = {policy.key(part) for part in policy.parts(tag.genres)}
        assert there.isdisjoint(map(policy.key, decision.genres[1:]))


# --- what counts as no genre ----------------------------------------------------------------------

NO_GENRE = [
    "Other", "OTHER", "Unknown", "<Unknown>", "[unknown]", "Misc", "misc.", "Genre", "No Genre",
    "no-genre", "None", "(12)", "12", "(255)", "255", "Unclassifiable", "Undefined", "default",
    "N/A", "Sonstige", "Ostalo", "Không rõ", "อื่นๆ",
    "Inconnu", "Другое", "その他", "Misc; Other", "Unknown/Other",
    "Ge\u0301nero",
]  # fmt: skip


@pytest.mark.parametrize("name", NO_GENRE)
@pytest.mark.parametrize("on_existing", ON_EXISTING)
def test_a_placeholder_counts_as_no_genre(name, on_existing):
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged(name), Policy(on_existing))
    assert (decision.genres, decision.reason) == (("Jazz",), f"{name} counts as no genre")


@pytest.mark.parametrize("name", ["Other", "Misc; Other"])
@pytest.mark.parametrize("on_existing", ["keep", "append"])
def test_the_placeholders_are_the_users_choice(name, on_existing):
    for placeholders in ((), ("Genre",)):
        policy = Policy(on_existing, placeholders=placeholders)
        kept = decide(predicted(jazz=0.9), tagged(name), policy).genres
        assert kept == ((name, "Jazz") if on_existing == "append" else ())
    policy = Policy("keep", placeholders=("to do", "A, B"))
    assert decide(predicted(jazz=0.9), tagged("To-Do", "a, b"), policy).genres == ("Jazz",)


def test_beside_a_genre_append_drops_placeholders_only_if_it_adds_something():
    tag = tagged("Other", "Rock", "Unknown, Pop")
    assert decide(predicted(jazz=0.9), tag, Policy("append")).genres == (
        "Rock", "Unknown, Pop", "Jazz",
    )  # fmt: skip
    assert decide(predicted(rock=0.9), tag, Policy("append")).action is Action.UNCHANGED


@pytest.mark.parametrize("tag", [tagged("Other", "Rock"), tagged("Other, Rock")])
def test_a_placeholder_beside_a_genre_does_not_make_it_none(tag):
    assert decide(predicted(jazz=0.9), tag, Policy()).action is Action.KEPT


@pytest.mark.parametrize("name", ["½", "1/2", "1.2", "2-55", "Otherworldly", "Mother", "Nonesuch"])
def test_what_only_resembles_a_placeholder_is_a_genre(name):
    assert decide(predicted(jazz=0.9), tagged(name), Policy()).action is Action.KEPT


def test_a_placeholder_that_is_protected_is_kept():
    assert decide(predicted(jazz=0.9), tagged("Misc"), Policy(protect=("MISC",))).genres == ()


def test_a_model_that_predicts_a_placeholder_writes_it_once():
    for on_existing in ON_EXISTING:
        decision = decide(predicted(other=0.9, rock=0.1), tagged("other"), Policy(on_existing))
        assert decision.action is Action.UNCHANGED


# --- nothing predicted ----------------------------------------------------------------------------


@pytest.mark.parametrize("on_existing", ["append", "replace", "keep"])
@pytest.mark.parametrize("policy", [{}, {"top": 5, "ratio": 0}, {"with_parents": True}])
@pytest.mark.parametrize(
    "prediction",
    [
        predicted(rock=0.0, jazz=0.0),
        predicted(multi_label=True, rock=0.0, jazz=0.0),
        prediction_of(AUDIOSET),
        prediction_of(DISCOGS),
        prediction_of(AUDIOSET, Music=0.9, Speech=0.3),
        predicted(rock=0.5, jazz=0.5),
        predicted(rock=float("nan"), jazz=float("nan")),
        replace(predicted(rock=0.0, jazz=0.0), floor=0.0),
    ],
    ids=range(8),
)
def test_where_nothing_is_predicted_nothing_is_written(prediction, policy, on_existing):
    policy = Policy(on_existing, min_confidence=0, min_music=0, **policy)
    tag = tagged() if on_existing == "keep" else tagged("Polka")
    decision = decide(prediction, tag, policy)
    assert (decision.action, decision.genres) == (Action.UNSURE, ())
    assert "no genre was predicted" in decision.reason


def test_a_genre_of_no_probability_is_never_written():
    policy = Policy(min_confidence=0, top=9, ratio=0)
    assert decide(predicted(rock=1.0, jazz=0.0), tagged(), policy).genres == ("Rock",)
    jazz_alone = replace(policy, vocabulary=Vocabulary(whitelist=("Jazz",)))
    decision = decide(predicted(rock=1.0, jazz=0.0), tagged(), jazz_alone)
    assert decision.action is Action.UNSURE


def test_independent_labels_that_are_all_certain_are_a_prediction():
    prediction = predicted(multi_label=True, rock=1.0, pop=1.0)
    assert decide(prediction, tagged(), Policy(top=2)).genres == ("Rock", "Pop")


# --- what is predicted ----------------------------------------------------------------------------


def test_below_the_floor_nothing_is_written_and_the_reason_says_by_how_much():
    decision = decide(predicted(jazz=0.4, rock=0.3), tagged(), Policy(min_confidence=0.5))
    assert (decision.action, decision.genres) == (Action.UNSURE, ())
    assert decision.reason == "Jazz at 0.40 is below 0.5"


def test_at_the_floor_it_is_written():
    decision = decide(predicted(jazz=0.5, rock=0.3), tagged(), Policy(min_confidence=0.5))
    assert decision.genres == ("Jazz",)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_confidence_of_nan_is_never_sure(multi_label):
    shares = {"rock": float("nan"), "Rock": float("nan")}
    decision = decide(predicted(multi_label=multi_label, **shares), tagged(), Policy())
    assert decision.action is Action.UNSURE


def test_what_the_whitelist_does_not_admit_is_not_written():
    policy = Policy("replace", vocabulary=Vocabulary(whitelist=("Polka",)))
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged("A"), policy)
    assert (decision.action, decision.genres) == (Action.UNSURE, ())
    assert decision.reason == "none of its possible genres is on the whitelist"


def test_a_parent_that_replaces_the_prediction_is_named_in_the_reason():
    vocabulary = Vocabulary(whitelist=("Rock",), tree={"Punk": "Rock"})
    decision = decide(predicted(Punk=0.9, jazz=0.1), tagged(), Policy(vocabulary=vocabulary))
    assert (decision.genres, decision.reason) == (("Rock",), "it has no genre, predicted as Punk")


def test_a_further_genre_needs_a_share_of_the_best_confidence():
    prediction = predicted(jazz=0.5, blues=0.25, rock=0.24)
    decision = decide(prediction, tagged(), Policy(top=3))
    assert (decision.genres, decision.reason) == (
        ("Jazz", "Blues"),
        "it has no genre, as Jazz; Blues",
    )


def test_parents_follow_the_chosen_genres_and_are_not_counted():
    policy = Policy(top=2, with_parents=True, vocabulary=TREE)
    assert decide(predicted(Punk=0.5, Swing=0.4), tagged(), policy).genres == (
        "Punk", "Swing", "Rock", "Jazz",
    )  # fmt: skip


def test_a_parent_that_is_chosen_itself_is_not_added():
    policy = Policy(top=2, with_parents=True, vocabulary=TREE)
    assert decide(predicted(Punk=0.5, rock=0.4), tagged(), policy).genres == ("Punk", "Rock")


def test_the_parent_is_the_nearest_that_the_whitelist_admits():
    tree = {"Oi": "Punk", "Punk": "Rock", "Rock": "Music"}
    vocabulary = Vocabulary(whitelist=("Oi", "Rock", "Music"), tree=tree)
    policy = Policy(with_parents=True, vocabulary=vocabulary)
    assert decide(predicted(Oi=0.9), tagged(), policy).genres == ("Oi", "Rock")


# --- the steps ------------------------------------------------------------------------------------


def test_the_steps_say_what_each_rule_did():
    vocabulary = Vocabulary(
        whitelist=("Rock", "Music", "Jazz", "Blues"), tree={"Punk": "Rock", "Rock": "Music"}
    )
    policy = Policy("append", 0.4, 2, 0.5, ("Audiobook",), True, vocabulary=vocabulary)
    prediction = predicted(multi_label=True, Punk=0.8, jazz=0.5, blues=0.1)
    assert decide(prediction, tagged("Polka"), policy).steps == (
        "protect: it has no protected genre",
        "whitelist: Punk is not on it; its parent Rock is",
        "whitelist: Jazz is on it",
        "min-confidence: Rock at 0.80 reaches 0.4",
        "top: Blues at 0.10 would be one more than 2",
        "parents: + Music",
        "on-existing append: Polka stays",
    )


@pytest.mark.parametrize(
    ("policy", "tag", "step"),
    [
        (Policy(protect=("Polka",)), tagged("Polka"), "protect: it has Polka"),
        (Policy(), tagged("Polka"), "on-existing keep: it has Polka"),
        (Policy("replace-own"), tagged("A"), "on-existing replace-own: A is not from tag-genres"),
        (Policy(min_confidence=0.9), tagged(), "min-confidence: Jazz at 0.60 is below 0.9"),
        (Policy(vocabulary=Vocabulary(whitelist=("A",))), tagged(), "whitelist: no genre is left"),
        (Policy("replace"), tagged("Jazz"), "equal: it has exactly Jazz"),
        (Policy(top=2), tagged(), "ratio: Rock at 0.20 is below 0.5 of the best, 0.60"),
    ],
)
def test_the_last_step_is_the_rule_that_decided(policy, tag, step):
    assert decide(predicted(jazz=0.6, rock=0.2), tag, policy).steps[-1] == step


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_existing": "erase"},
        {"min_confidence": 1.1},
        {"min_confidence": -0.1},
        {"min_confidence": float("nan")},
        {"ratio": float("nan")},
        {"top": 0},
        {"ratio": 2},
        {"style": "child"},
        {"separators": "and"},
        {"separators": "; "},
        {"min_music": 1.1},
        {"min_music": float("nan")},
    ],
)
def test_a_policy_cannot_hold_nonsense(wrong):
    with pytest.raises(ValueError, match=r"on_existing|style|policy|separators|letters"):
        Policy(**wrong)


@pytest.mark.parametrize(
    ("how", "action"),
    [
        ("keep", Action.KEPT),
        ("append", Action.WOULD_WRITE),
        ("replace", Action.WOULD_WRITE),
        ("replace-own", Action.KEPT),
    ],
)
def test_an_equal_genre_is_written_where_a_field_lacks_it(how, action):
    tag = TagInfo(("Rock",), outdated=("ape:Genre",))
    decision = decide(predicted(Rock=0.9, Jazz=0.1), tag, Policy(on_existing=how))
    assert decision.action is action
    assert decision.genres == (("Rock",) if action is Action.WOULD_WRITE else ())
