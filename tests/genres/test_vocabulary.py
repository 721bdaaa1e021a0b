from __future__ import annotations

import pickle
import textwrap
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import ConfigError
from tagger.genres.labels import name_key
from tagger.genres.vocabulary import Vocabulary, load_aliases, load_tree, load_whitelist, read_toml

NAME = st.sampled_from(["Rock", "Punk", "punk rock", "Punk Rock", "Hip-Hop", "rap", "hiphop"])
PATTERN = st.sampled_from(["/.*rock/", "/p.*/", "/hip.?hop/"])
VOCABULARIES = st.builds(
    Vocabulary,
    st.dictionaries(NAME, st.lists(NAME | PATTERN, max_size=3).map(tuple), max_size=3),
    st.lists(NAME, max_size=3).map(tuple),
    st.dictionaries(NAME, NAME, max_size=4),
)
# As beets keeps it: nested lists of names and mappings, some genres in two places.
BEETS_TREE = """
- rock:
    - punk rock:
        - hardcore punk:
            - emo
    - grunge
- country:
    - country rap
- hip hop:
    - country-rap
    - 2 tone
- other:
"""


def write(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(textwrap.dedent(text).encode(encoding))
    return path


# --- the vocabulary -------------------------------------------------------------------------------


def test_names_with_punctuation_are_listed_but_no_regular_expressions():
    vocabulary = Vocabulary(
        {"R&B/Soul": ("Rhythm, Blues", "/.* soul/")}, ("Rock",), {"Sub-Genre": "Big Band"}
    )
    assert vocabulary.names == ("R&B/Soul", "Rhythm, Blues", "Sub-Genre")


@pytest.mark.parametrize("name", ["rap", "R-A-P", "Hip Hop", "hiphop", "Hip-Hop"])
def test_an_alias_is_spelled_as_its_genre(name):
    assert Vocabulary(aliases={"Hip-Hop": ("Rap",)}).spelled(name) == "Hip-Hop"


@pytest.mark.parametrize(
    "vocabulary",
    [
        Vocabulary(aliases={"Hip-Hop": ()}),
        Vocabulary(whitelist=("Hip-Hop",)),
        Vocabulary(tree={"Hip-Hop": "Black Music"}),
        Vocabulary(tree={"Trap": "Hip-Hop"}),
    ],
)
def test_a_genre_is_spelled_as_in_any_of_the_rules(vocabulary):
    assert vocabulary.spelled("hiphop") == "Hip-Hop"


def test_a_genre_that_no_rule_knows_is_left_as_it_is():
    assert Vocabulary(aliases={"Rock": ("Punk",)}).spelled("polka") == "polka"


@pytest.mark.parametrize(
    ("name", "genre"), [("Prog Rock", "Rock"), ("ROCK", "Rock"), ("Rock Ballads", "Rock Ballads")]
)
def test_a_regular_expression_matches_the_whole_name_in_any_case(name, genre):
    assert Vocabulary(aliases={"Rock": ("/.*rock/",)}).spelled(name) == genre


def test_a_plain_alias_comes_before_a_regular_expression():
    vocabulary = Vocabulary(aliases={"Rock": ("/.*rock/",), "Punk": ("Punk Rock",)})
    assert vocabulary.spelled("punk rock") == "Punk"


def test_only_aliases_respell_what_a_file_has():
    vocabulary = Vocabulary({"Rock": ("Punk",)}, ("jazz",), {"swing": "jazz"})
    assert [vocabulary.aliased(name) for name in ("punk", "Jazz", "Swing")] == [
        "Rock", "Jazz", "Swing",
    ]  # fmt: skip


@given(VOCABULARIES, NAME)
def test_what_is_spelled_stays_so(vocabulary, name):
    spelled = vocabulary.spelled(name)
    assert vocabulary.spelled(spelled) == spelled
    assert vocabulary.aliased(spelled) == spelled


@given(VOCABULARIES, NAME)
def test_no_genre_is_its_own_ancestor(vocabulary, name):
    line = [name_key(genre) for genre in (name, *vocabulary.ancestors(name))]
    assert len(set(line)) == len(line)


def test_ancestors_come_nearest_first():
    vocabulary = Vocabulary(tree={"Oi": "Punk", "Punk": "Rock"})
    assert vocabulary.ancestors("OI!") == ("Punk", "Rock")


def test_ancestors_are_found_through_aliases():
    vocabulary = Vocabulary({"R&B": ("rhythm and blues",)}, (), {"soul": "rhythm and blues"})
    assert vocabulary.ancestors("Soul") == ("R&B",)


def test_an_empty_whitelist_admits_every_genre():
    assert Vocabulary(tree={"Punk": "Rock"}).admitted("Punk") == "Punk"


@pytest.mark.parametrize(
    ("name", "admitted"), [("ROCK", "ROCK"), ("Oi", "Rock"), ("Jazz", None), ("Music", None)]
)
def test_the_whitelist_admits_a_genre_or_its_nearest_ancestor(name, admitted):
    tree = {"Oi": "Punk", "Punk": "rock", "rock": "Music"}
    assert Vocabulary(whitelist=("Rock",), tree=tree).admitted(name) == admitted


def test_a_vocabulary_goes_to_another_process():
    vocabulary = Vocabulary({"Rock": ("/.*rock/",)}, ("Rock",), {"Punk": "Rock"})
    copy = pickle.loads(pickle.dumps(vocabulary))
    assert (copy, copy.spelled("Art Rock")) == (vocabulary, "Rock")


# --- the whitelist --------------------------------------------------------------------------------


def test_a_whitelist_is_a_list_of_names():
    assert load_whitelist(["Rock", " Jazz "]) == ("Rock", "Jazz")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_whitelist_file_has_one_genre_a_line_and_comments(tmp_path, encoding):
    path = write(tmp_path, "genres.txt", "# mine\nRock\n\n  Raï \r\nC# Jazz\n", encoding)
    assert load_whitelist(path) == load_whitelist(str(path)) == ("Rock", "Raï", "C# Jazz")


@pytest.mark.parametrize("wrong", [[1], [""], {"Rock": []}, 3, True, [["Rock"]]])
def test_a_whitelist_must_be_a_list_of_names(wrong):
    with pytest.raises(ConfigError, match=r"whitelist: .* is not the name of a genre; write"):
        load_whitelist(wrong)


def test_a_whitelist_file_without_a_genre_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"genres\.txt names no genre; write one on each line"):
        load_whitelist(write(tmp_path, "genres.txt", "# none yet\n"))


# --- aliases --------------------------------------------------------------------------------------


def test_aliases_are_lists_or_one_name():
    given = {"Hip-Hop": ["Rap", "/hip.?hop.*/"], "Rock": "Rock Music", "Jazz": []}
    assert load_aliases(given) == {
        "Hip-Hop": ("Rap", "/hip.?hop.*/"), "Rock": ("Rock Music",), "Jazz": (),
    }  # fmt: skip


@pytest.mark.parametrize("heading", ["", "[aliases]\n"])
def test_aliases_are_read_from_a_toml_file_with_or_without_their_heading(tmp_path, heading):
    path = write(tmp_path, "aliases.toml", heading + 'Rock = ["Rock Music"]\n')
    assert load_aliases(path) == {"Rock": ("Rock Music",)}


def test_a_genre_may_be_among_its_own_aliases():
    assert load_aliases({"Hip-Hop": ["hip hop"]}) == {"Hip-Hop": ("hip hop",)}


@pytest.mark.parametrize(
    "ambiguous",
    [
        {"Rock": ["Punk"], "Metal": ["PUNK"]},
        {"Rock": ["Metal"], "Metal": ["Heavy"]},
        {"Hip-Hop": [], "hip hop": []},
    ],
)
def test_a_name_that_stands_for_two_genres_is_refused(ambiguous):
    with pytest.raises(ConfigError, match=r"aliases: .* is an alias of both .* and .*; remove one"):
        load_aliases(ambiguous)


@pytest.mark.parametrize("pattern", ["/(/", "/a{99999999999999999999}/", "/*/"])
def test_a_bad_regular_expression_is_refused(pattern):
    with pytest.raises(ConfigError, match=r"aliases: .* is not a regular expression"):
        load_aliases({"Rock": [pattern]})


@pytest.mark.parametrize("wrong", [["Rock"], 3, None])
@pytest.mark.parametrize("load", [load_aliases, load_tree])
def test_a_file_without_a_table_is_refused(load, wrong):
    with pytest.raises(ConfigError, match="write a table with lines such as Rock = "):
        load(wrong)


@pytest.mark.parametrize("wrong", [{"Rock": [1]}, {"Rock": {"a": "b"}}, {" ": ["a"]}, {"a": [""]}])
@pytest.mark.parametrize("load", [load_aliases, load_tree])
def test_a_value_that_is_not_a_name_is_refused(load, wrong):
    with pytest.raises(ConfigError, match="is not the name of a genre"):
        load(wrong)


# --- the tree -------------------------------------------------------------------------------------


def test_a_tree_lists_the_children_of_each_parent():
    tree = load_tree({"Rock": ["Punk", "Grunge"], "Punk": ["Oi"]})
    assert tree == {"Punk": "Rock", "Grunge": "Rock", "Oi": "Punk"}


def test_a_tree_may_be_a_toml_file(tmp_path):
    assert load_tree(write(tmp_path, "tree.toml", 'Rock = ["Punk"]')) == {"Punk": "Rock"}


def test_a_genre_with_two_parents_is_refused():
    with pytest.raises(ConfigError, match="'punk' is listed under 'Rock' and under 'Pop'; leave"):
        load_tree({"Rock": ["Punk"], "Pop": ["punk"]})


@pytest.mark.parametrize(
    "circle",
    [
        {"Rock": ["rock"]},
        {"Rock": ["Punk"], "punk": ["Oi"], "Oi": ["Rock"]},
        {"Punk": ["Oi"], "A": ["B"], "B": ["A", "Punk"]},
    ],
)
def test_a_genre_among_its_own_ancestors_is_refused(circle):
    with pytest.raises(ConfigError, match=r"tree: a circle, .* under .*; remove one of them"):
        load_tree(circle)


@pytest.mark.parametrize("suffix", [".yaml", ".YML"])
def test_a_tree_of_beets_is_read_as_it_is(tmp_path, suffix):
    assert load_tree(write(tmp_path, f"genres-tree{suffix}", BEETS_TREE)) == {
        "punk rock": "rock",
        "hardcore punk": "punk rock",
        "emo": "hardcore punk",
        "grunge": "rock",
        "country rap": "country",
        "2 tone": "hip hop",
    }


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- rock: [", "is not valid YAML"),
        ("- 2020-99-99", "is not valid YAML"),
        ("- &a [*a]", "has an alias"),
        ("- !!python/object/apply:os.getcwd []", "is not valid YAML"),
        ("rock", "is not a tree of genres"),
        ("", "is not a tree of genres"),
        ("- rock: [1990, no]", "1990 is not the name of a genre; write a text in quotes"),
    ],
)
def test_a_bad_yaml_file_is_refused_in_one_line(tmp_path, text, what):
    with pytest.raises(ConfigError, match=what) as caught:
        load_tree(write(tmp_path, "tree.yaml", text))
    assert "tree.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_whitelist, load_aliases, load_tree, read_toml])
def test_a_file_that_cannot_be_read_is_named(tmp_path, load):
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(ConfigError, match=r"cannot be read \(.+\); give the path") as caught:
            load(path)
        assert caught.value.path == path


@pytest.mark.parametrize("load", [load_whitelist, load_aliases, load_tree, read_toml])
def test_a_file_that_is_not_utf8_is_named(tmp_path, load):
    path = write(tmp_path, "rules.toml", "Raï = []", "latin-1")
    with pytest.raises(ConfigError, match=r"rules\.toml is not UTF-8 text; save it as UTF-8"):
        load(path)


@pytest.mark.parametrize("text", ["Rock = [", "Rock", "a = " + "[" * 9999, "a = " + "9" * 9999])
@pytest.mark.parametrize("load", [load_aliases, load_tree, read_toml])
def test_a_file_that_is_not_toml_is_named(tmp_path, load, text):
    path = write(tmp_path, "rules.toml", text)
    with pytest.raises(ConfigError, match=r"rules\.toml is not valid TOML: .*; fix that line"):
        load(path)


def test_a_toml_file_may_start_with_a_byte_order_mark(tmp_path):
    path = write(tmp_path, "rules.toml", 'Rock = ["Punk"]\r\n', "utf-8-sig")
    assert read_toml(path) == {"Rock": ["Punk"]}


def test_nested_references_of_yaml_do_not_multiply(tmp_path):
    levels = [f"- &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    path = write(tmp_path, "tree.yaml", "\n".join(["- &l0 rock", *levels]))
    with pytest.raises(ConfigError, match="write the names out"):
        load_tree(path)


def test_a_name_that_is_absurdly_long_is_compared_at_once():
    accents = "Rock" + "\u0301\u0316" * 250_000
    start = time.monotonic()
    assert name_key(accents) == name_key(accents.upper()) != name_key("Rock")
    assert time.monotonic() - start < 5
