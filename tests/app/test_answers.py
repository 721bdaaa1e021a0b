"""What a person types is a command, one of the choices, or genres; or it is refused."""

from __future__ import annotations

import pytest

from tagger.app.answers import WORDS, Choices, Command, Names, Refused, parse
from tagger.genres.policy import Policy
from tagger.genres.vocabulary import Vocabulary

CHOICES = Choices(["Rock", "2-Step", "Jazz"], keeps=True)
PLAIN = Names(Policy(), ["Soul", "Soul Jazz", "2-Step", "80s", "Hip-Hop", "soul"])


@pytest.mark.parametrize("command", Command)
@pytest.mark.parametrize("form", ["{}", " {} ", "{}\t"])
def test_a_command_is_typed_alone_with_or_without_spaces(command, form):
    assert parse(form.format(command.value), CHOICES, PLAIN) is command


@pytest.mark.parametrize("letter", "SAUQ")
def test_a_command_may_be_a_capital(letter):
    assert parse(letter, CHOICES, PLAIN) is Command(letter.lower())


@pytest.mark.parametrize(
    ("line", "genres"),
    [
        ("soul", ("soul",)),  # known in this spelling, and no `s`
        ("SOUL", ("Soul",)),  # of several spellings the first
        ("Surf", ("Surf",)),
        ("a cappella", ("a cappella",)),
        ("uk garage", ("uk garage",)),
        ("q-pop", ("q-pop",)),
        ("1", ("Rock",)),
        ("3", ("Jazz",)),
        ("2-step", ("2-Step",)),
        ("80s", ("80s",)),
        ("hip hop", ("Hip-Hop",)),
        ("Rock; Soul", ("Rock", "Soul")),
        ("1;soul jazz ;; 2", ("Rock", "Soul Jazz", "2-Step")),
        ("Rock; rock;1", ("Rock",)),
        ("K/S", ("K/S",)),
        ("雅", ("雅",)),
        ("Musique concre\u0300te", ("Musique concrète",)),
    ],
)
def test_genres(line, genres):
    assert parse(line, CHOICES, PLAIN) == genres


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("4", "no choice 4"),
        ("00", "no choice 00"),
        ("12345678901234567890", "no choice 1234"),
        ("x", "no command"),
        (";", "between the semicolons"),
        (" ; ; ", "between the semicolons"),
        ("Unknown", "counts as no genre"),
        ("Rock; other", "counts as no genre"),
        ("Rock; 9", "no choice 9"),
        ("Rock; s", "no command"),
        ("Ro\x1b[2Jck", "cannot be shown"),
        ("Ro\u202eck", "cannot be shown"),
        ("\udcffRock", "cannot be shown"),
        ("x" * 201, "more than 200"),
        *((word, "did you mean") for word in WORDS),
        ("Quit", "did you mean q"),
    ],
)
def test_what_is_no_genre_is_refused(line, reason):
    answer = parse(line, CHOICES, PLAIN)
    assert isinstance(answer, Refused)
    assert reason in answer.reason
    assert answer.reason.isprintable()


@pytest.mark.parametrize("line", ["", "a"])
def test_without_a_prediction_there_is_nothing_to_accept(line):
    assert isinstance(parse(line, Choices((), accepts=False), PLAIN), Refused)


def test_without_an_existing_genre_none_can_be_kept():
    assert isinstance(parse("0", Choices(["Rock"]), PLAIN), Refused)


def test_a_word_that_the_user_lists_is_a_genre():
    assert parse("all", CHOICES, Names(Policy(), ["all"])) == ("all",)


def test_the_rules_of_the_user_spell_first():
    rules = Vocabulary(aliases={"Drum & Bass": ("dnb", "/jungle.*/")}, whitelist=("rock",))
    names = Names(Policy(vocabulary=rules), ["Rock", "DnB"])
    assert parse("DNB; jungle x; ROCK", CHOICES, names) == ("Drum & Bass", "rock")
    assert parse("1", Choices(["rock"]), names) == ("rock",)


def test_the_placeholders_are_those_of_the_policy():
    names = Names(Policy(placeholders=("Misc",)))
    assert parse("Unknown", CHOICES, names) == ("Unknown",)
    assert isinstance(parse("misc", CHOICES, names), Refused)


def test_completions_are_the_genres_that_begin_so_in_any_case():
    rules = Vocabulary(aliases={"Soundtrack": ("score", "/ost.*/")}, tree={"Sono": "World"})
    names = Names(Policy(vocabulary=rules), ["Soul", "soul", "Jazz", "Unknown", "So\x1bul"])
    assert names.completions("SO") == ["Sono", "Soul", "soul", "Soundtrack"]
    assert names.completions("w") == ["World"]
    assert names.completions("o") == []
    assert len(names.completions("")) == 7
