from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tagger.genres import ON_EXISTING, Policy, decide, rank_genres, unique_names
from tagger.names import AUDIOSET_NAMES, GTZAN_NAMES, LABEL_NAMES, name_key
from tagger.provenance import is_own, make_note
from tagger.rules import Vocabulary
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
    st.sampled_from(ON_EXISTING),
    st.floats(0, 1),
    st.integers(1, 5),
    st.floats(0, 1),
    st.lists(st.sampled_from(KNOWN), max_size=1).map(tuple),
    st.booleans(),
    VOCABULARIES,
)
TREE = Vocabulary(tree={"Punk": "Rock", "Swing": "Jazz"})


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


@pytest.mark.parametrize("genre", LABEL_NAMES.values())
def test_players_do_not_split_the_genres_that_we_name(genre):
    assert not set(genre) & set(";/,")


def test_two_labels_of_one_model_never_become_one_genre():
    for names in (GTZAN_NAMES, AUDIOSET_NAMES):
        assert len(set(keys(names.values()))) == len(names)


def test_what_a_file_says_is_told_apart_by_more_than_signs():
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


def test_of_independent_labels_of_one_genre_the_best_counts():
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


# --- properties of every decision -----------------------------------------------------------------


@given(predictions(), TAGS, POLICIES)
def test_nothing_is_erased(prediction, tag, policy):
    decision = decide(prediction, tag, policy)
    assert bool(decision.genres) == (decision.action is Action.WOULD_WRITE)
    if tag.genres and policy.on_existing == "keep":
        assert decision.action is Action.KEPT


@given(predictions(), TAGS, POLICIES)
def test_append_keeps_every_genre_that_is_there(prediction, tag, policy):
    decision = decide(prediction, tag, replace(policy, on_existing="append", min_confidence=0))
    there = set(keys(map(policy.vocabulary.aliased, tag.genres)))
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
    assert best >= policy.min_confidence
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


# --- what is there --------------------------------------------------------------------------------


def test_a_genre_that_is_there_is_kept_unless_asked_otherwise():
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged("Polka"), Policy())
    assert (decision.action, decision.genres) == (Action.KEPT, ())
    assert decision.reason == "it has a genre"


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


def test_append_adds_behind_what_is_there_and_never_twice():
    policy = Policy("append", top=2, ratio=0)
    decision = decide(predicted(jazz=0.6, rock=0.4), tagged("Polka", "JAZZ"), policy)
    assert decision.genres == ("Polka", "JAZZ", "Rock")
    assert decision.reason == "added to Polka; JAZZ, as Polka; JAZZ; Rock"


def test_append_does_not_respell_what_is_there_by_built_in_names():
    decision = decide(predicted(rock=0.9), tagged("hiphop"), Policy("append"))
    assert decision.genres == ("hiphop", "Rock")


def test_append_does_not_respell_what_is_there_by_the_whitelist():
    policy = Policy("append", vocabulary=Vocabulary(whitelist=("rock", "polka")))
    decision = decide(predicted(rock=0.9), tagged("Polka"), policy)
    assert decision.genres == ("Polka", "rock")


def test_append_respells_what_is_there_by_the_users_aliases():
    policy = Policy("append", vocabulary=Vocabulary(aliases={"Hip-Hop": ("Rap",)}))
    decision = decide(predicted(hiphop=0.9), tagged("rap", "hip hop"), policy)
    assert (decision.genres, decision.reason) == (("Hip-Hop",), "respells rap; hip hop")


@pytest.mark.parametrize("on_existing", ["append", "replace", "replace-own"])
def test_an_equal_value_is_not_written_again(on_existing):
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged_by_us("Jazz"), Policy(on_existing))
    assert (decision.action, decision.genres) == (Action.UNCHANGED, ())
    assert decision.reason == "it has just that"


def test_replace_puts_the_prediction_in_place_of_what_was_there():
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


# --- what is heard --------------------------------------------------------------------------------


def test_below_the_floor_nothing_is_written_and_the_reason_says_by_how_much():
    decision = decide(predicted(jazz=0.4, rock=0.3), tagged(), Policy(min_confidence=0.5))
    assert (decision.action, decision.genres) == (Action.UNSURE, ())
    assert decision.reason == "Jazz at 0.40 is below 0.5"


def test_at_the_floor_it_is_written():
    decision = decide(predicted(jazz=0.5, rock=0.3), tagged(), Policy(min_confidence=0.5))
    assert decision.genres == ("Jazz",)


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_confidence_that_is_no_number_is_never_sure(multi_label):
    shares = {"rock": float("nan"), "Rock": float("nan")}
    decision = decide(predicted(multi_label=multi_label, **shares), tagged(), Policy())
    assert decision.action is Action.UNSURE


def test_what_the_whitelist_does_not_admit_is_not_written():
    policy = Policy("replace", vocabulary=Vocabulary(whitelist=("Polka",)))
    decision = decide(predicted(jazz=0.9, rock=0.1), tagged("A"), policy)
    assert (decision.action, decision.genres) == (Action.UNSURE, ())
    assert decision.reason == "no genre that it may be is on the whitelist"


def test_a_parent_in_place_of_what_was_heard_is_named_in_the_reason():
    vocabulary = Vocabulary(whitelist=("Rock",), tree={"Punk": "Rock"})
    decision = decide(predicted(Punk=0.9, jazz=0.1), tagged(), Policy(vocabulary=vocabulary))
    assert (decision.genres, decision.reason) == (("Rock",), "it has no genre, heard as Punk")


def test_a_further_genre_needs_a_share_of_the_best_confidence():
    prediction = predicted(jazz=0.5, blues=0.25, rock=0.24)
    decision = decide(prediction, tagged(), Policy(top=3))
    assert (decision.genres, decision.reason) == (
        ("Jazz", "Blues"),
        "it has no genre, as Jazz; Blues",
    )


def test_parents_stand_behind_the_chosen_genres_and_are_not_counted():
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
    policy = Policy("append", 0.4, 2, 0.5, ("Audiobook",), True, vocabulary)
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
        (Policy("replace-own"), tagged("A"), "on-existing replace-own: A is from elsewhere"),
        (Policy(min_confidence=0.9), tagged(), "min-confidence: Jazz at 0.60 is below 0.9"),
        (Policy(vocabulary=Vocabulary(whitelist=("A",))), tagged(), "whitelist: it leaves nothing"),
        (Policy("replace"), tagged("Jazz"), "equal: it has just Jazz"),
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
    ],
)
def test_a_policy_cannot_hold_nonsense(wrong):
    with pytest.raises(ValueError, match=r"on_existing|policy"):
        Policy(**wrong)
