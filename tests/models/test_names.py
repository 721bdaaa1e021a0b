"""The names of a checkpoint's outputs are genres, or the checkpoint is refused in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.models import CPU, LABELS, SIZES, edit, save_extractor
from transformers import ASTConfig, ASTForAudioClassification

from tagger.errors import CheckpointError
from tagger.models.find import find_model
from tagger.models.model import load_model

GENRES = ("Blues", "Hip-Hop", "Jazz", "Rock & Roll")


def named(*names: object) -> dict[str, object]:
    return {str(index): name for index, name in enumerate(names)}


def refused(folder: Path, message: str, labels: Path | None = None) -> str:
    """The message of a refusal: one line with the folder's name, that matches."""
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(find_model(str(folder), labels=labels), CPU)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (named("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"), "output 0 is called 'LABEL_0'"),
        (named("blues", "jazz", "LABEL_2", "rock"), "output 2 is called 'LABEL_2'"),
        (named("label 0", "label 1", "label 2", "label 3"), "output 0 is called 'label 0'"),
        (named("class_0", "Class1", "genre-2", "3"), "output 0 is called 'class_0'"),
        (named("0", "1", "2", "3"), "output 0 is called '0'"),
        (named(0, 1, 2, 3), "output 0 is called '0'"),
        (named("blues", "1.0", "2.0", "3.0"), "output 1 is called '1.0'"),
        (named("blues", float("nan"), "jazz", "rock"), "output 1 is called 'nan'"),
        (named("blues", "None", "jazz", "rock"), "output 1 is called 'None'"),
        (named("[0]", "[1]", "[2]", "[3]"), r"output 0 is called '\[0\]'"),
        (named("blues", "jazz", "rock", "???"), "output 3 is called"),
        (named("cls_0", "blues", "jazz", "rock"), "output 0 is called 'cls_0'"),
        (named("c0", "c1", "c2", "c3"), "they only count the outputs, from 'c0' to 'c3'"),
        (named("id=4;", "id=1;", "id=2;", "id=3;"), "they only count the outputs"),
        (named("blues", "", "jazz", "rock"), "the name of output 1 is empty"),
        (named("blues", "jazz", " \t ", "rock"), "the name of output 2 is empty"),
        (named("blues", "jazz", "rock", "\u200b\u00a0"), "the name of output 3 is empty"),
        (named("blues", None, "jazz", "rock"), "the name of output 1 is empty"),
        (named("blues", ["x"], "jazz", "rock"), "not a text"),
        (named("rock", "jazz", "rock", "pop"), "outputs 0 and 2 are both called 'rock'"),
        (named("rock", "jazz", "rock ", "pop"), "outputs 0 and 2 are both called 'rock'"),
        (named("Rock", "jazz", "pop", "ROCK"), "called 'Rock' and 'ROCK', one genre"),
        (named("Hip-Hop", "hip hop", "pop", "x"), "called 'Hip-Hop' and 'hip hop', one genre"),
        (named("cafe\u0301", "caf\u00e9", "pop", "x"), "one genre"),
        (named("blues", "jazz", "rock"), "its head has 4 outputs, its config 3 labels"),
        (["blues", "jazz", "rock", "pop"], "is a list"),
        ("blues", "not an object"),
        ({"0": "blues", "1": "jazz", "3": "rock"}, "no name for output 2"),
        ({"1": "blues", "2": "jazz", "3": "rock", "4": "pop"}, "no name for output 0"),
        ({"blues": 0, "jazz": 1}, "'blues' where the number of an output is"),
        ({"0": "blues", "00": "jazz"}, "names output 0 twice"),
        ({}, "there is no name"),
        ({"0": "blues"}, "there is only one name"),
    ],
)
def test_labels_that_name_no_genre_are_refused_in_words(
    model_copy: Path, names: object, message: str
) -> None:
    edit(model_copy, "config.json", id2label=names)
    text = refused(model_copy, message)
    assert str(model_copy) in text
    assert "--labels FILE" in text or "contradicts itself" in text


def without(folder: Path, *keys: str) -> None:
    values = json.loads((folder / "config.json").read_text())
    kept = {key: value for key, value in values.items() if key not in keys}
    (folder / "config.json").write_text(json.dumps(kept))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: without(folder, "id2label", "label2id"), "no names .* for its 4 outputs"),
        (lambda folder: without(folder, "id2label"), "has label2id but no id2label"),
        (lambda folder: edit(folder, "config.json", num_labels=7), "num_labels is 7"),
    ],
)
def test_missing_names_are_refused_with_the_number_of_outputs(
    model_copy: Path, change: Callable[[Path], None], message: str
) -> None:
    change(model_copy)
    assert "--labels FILE" in refused(model_copy, message)


@pytest.fixture(scope="module")
def two_outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network as transformers makes it without names: its config then has no id2label."""
    folder = tmp_path_factory.mktemp("two")
    torch.manual_seed(0)
    ASTForAudioClassification(ASTConfig(**SIZES, num_labels=2)).save_pretrained(folder)
    save_extractor(folder)
    assert "id2label" not in json.loads((folder / "config.json").read_text())
    return folder


def test_two_outputs_without_names_are_refused_until_a_file_names_them(
    two_outputs: Path, tmp_path: Path
) -> None:
    refused(two_outputs, r"no names \(id2label\) for its 2 outputs")
    file = tmp_path / "labels.txt"
    file.write_text("Jazz\nRock\n")
    info = find_model(str(two_outputs), labels=file)
    assert info.labels == ("Jazz", "Rock")
    noise = np.random.default_rng(0).standard_normal((2, info.front_end.window_samples))
    rows = load_model(info, CPU).probabilities(noise.astype(np.float32))
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-5)


TEXTS = {
    "lines": "Blues\nHip-Hop\nJazz\nRock & Roll",
    "blank lines, comments, spaces": "\n# mine\nBlues\n\n  Hip-Hop  \nJazz\n#x\nRock & Roll\n\n",
    "CRLF": "Blues\r\nHip-Hop\r\nJazz\r\nRock & Roll\r\n",
    "CR": "Blues\rHip-Hop\rJazz\rRock & Roll\r",
    "numbered": "0: Blues\n1: Hip-Hop\n2: Jazz\n3: Rock & Roll\n",
    "numbered in another order": "3,Rock & Roll\n0,Blues\n2,Jazz\n1,Hip-Hop\n",
    "numbered as its placeholders": "LABEL_0: Blues\nLABEL_1: Hip-Hop\nLABEL_2: Jazz\nLABEL_3: "
    "Rock & Roll",
    "in small letters": "label_0=Blues\nlabel_1=Hip-Hop\nlabel_2=Jazz\nlabel_3=Rock & Roll",
    "quoted as in a CSV": 'Blues\nHip-Hop\nJazz\n"Rock & Roll"\n',
    "numbered CSV": '0,"Blues"\n1,"Hip-Hop"\n2,"Jazz"\n3,"Rock & Roll"\n',
    "list": json.dumps(GENRES),
    "id2label": json.dumps(named(*GENRES)),
    "config": json.dumps({"model_type": "x", "id2label": named(*GENRES)}),
    "label2id": json.dumps({"label2id": {name: at for at, name in enumerate(GENRES)}}),
    "config without id2label": json.dumps(
        {"id2label": None, "label2id": {name: at for at, name in enumerate(GENRES)}}
    ),
    "label2id alone": json.dumps({name: at for at, name in enumerate(GENRES)}, indent=2),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_labels_file_names_the_outputs(model_copy: Path, text: str, encoding: str) -> None:
    file = model_copy.with_name("labels")
    file.write_bytes(text.encode(encoding))
    assert find_model(str(model_copy), labels=file).labels == GENRES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Blues\nJazz\nRock", "has 3 names, and .* has 4 outputs"),
        (b"Blues\nJazz\nRock\nPop\nSoul", "has 5 names, and .* has 4 outputs"),
        (b"", "there is no name"),
        (b"# only a comment\n\n", "there is no name"),
        (b"Blues", "there is only one name"),
        (b"Blues\nJazz\nLABEL_2\nPop", "output 2 is called 'LABEL_2'"),
        (b"Blues\nJazz\nblues\nPop", "one genre"),
        (b"1 Blues\n2 Jazz\n3 Rock\n4 Pop", "numbered, but not from 0 to 3"),
        (b"id,genre\n0,Blues\n1,Jazz\n2,Pop", "'0,Blues' is more than a name"),
        (b"Blues,0\nJazz,1\nRock,2\nPop,3", "'Blues,0' is more than a name"),
        (b"Blues\t0\nJazz\t1\nRock\t2\nPop\t3", "is more than a name"),
        (b'0,/m/0,"Blues"\n1,/m/1,"Jazz"\n2,/m/2,"Rock"\n3,/m/3,"Pop"', "is more than a name"),
        (b"Blues;\nJazz;\nRock;\nPop;", "'Blues;' is more than a name"),
        (b"- Blues\n- Jazz\n- Rock\n- Pop", "'- Blues' is more than a name"),
        (b"0 -> Blues\n1 -> Jazz\n2 -> Rock\n3 -> Pop", "'-> Blues' is more than a name"),
        (b"['Blues', 'Jazz', 'Rock', 'Pop']", "is more than a name"),
        (b"'Blues'\n'Jazz'\n'Rock'\n'Pop'", "is more than a name"),
        (b"Blues, Jazz, Rock, Pop", "there is only one name"),
        (b'{"0": "Blues", "1": ', "not JSON"),
        (b'{"0": "Blues", "0": "Jazz", "1": "Rock"}', "'0' stands there twice"),
        (b'{"Blues": 0, "Jazz": 0}', "names output 0 twice"),
        (b'{"0": "Blues", "2": "Jazz"}', "no name for output 1"),
        (b"[" * 100_000, "nested too deeply|not JSON|only one name"),
        (b"Blu\xe9s\nJazz\nRock\nPop", "not a text in UTF-8"),
        (b"Blues\nJa\x1bzz\nRock\nPop", "control character"),
    ],
)
def test_a_labels_file_that_cannot_be_used_is_refused_by_name(
    model_copy: Path, content: bytes, message: str
) -> None:
    file = model_copy.with_name("labels.txt")
    file.write_bytes(content)
    assert str(file) in refused(model_copy, message, file)


@pytest.mark.parametrize(
    "make", [Path.mkdir, lambda path: None, lambda p: p.symlink_to("/dev/zero")]
)
def test_a_labels_file_that_is_no_file_is_refused(
    model_copy: Path, make: Callable[[Path], None]
) -> None:
    file = model_copy.with_name("labels.txt")
    make(file)
    assert str(file) in refused(model_copy, "--labels", file)


def test_names_for_a_pickle_are_counted_when_it_is_loaded(model_copy: Path) -> None:
    state = ASTForAudioClassification.from_pretrained(model_copy).state_dict()
    (model_copy / "model.safetensors").unlink()
    torch.save(state, model_copy / "pytorch_model.bin")
    without(model_copy, "id2label", "label2id")
    file = model_copy.with_name("labels.txt")
    file.write_text("Blues\nJazz\nRock")
    refused(model_copy, "its head has 4 outputs, --labels 3 labels", file)


def test_other_names_are_another_model_in_the_state(model_copy: Path) -> None:
    files = [model_copy.with_name(name) for name in ("one", "same", "swapped")]
    for file, text in zip(files, ("a\nb\nc\nd", "# x\na\nb\n\nc\nd", "b\na\nc\nd"), strict=True):
        file.write_text(text)
    prints = [find_model(str(model_copy), labels=file).fingerprint for file in files]
    assert prints[0] == prints[1] != prints[2]
    assert find_model(str(model_copy)).fingerprint not in prints


def test_audiosets_sounds_may_be_spelled_alike(model_copy: Path) -> None:
    from tagger.genres.labels import AUDIOSET_NAMES

    names = [*AUDIOSET_NAMES, "Music", "Clip-clop", "Clip clop"]
    edit(model_copy, "config.json", id2label=named(*names))
    assert find_model(str(model_copy)).labels == tuple(names)


@pytest.mark.parametrize(
    "genres",
    [
        ("60s", "70s", "80s", "90s"),
        ("2 Tone", "Folk, World, & Country", "Rock 'n' Roll", "R&B/Soul"),
        ("'90s", "Rock (60s)", "Trip-Hop", "Área 51"),
    ],
)
def test_names_with_numbers_and_marks_may_be_genres(
    model_copy: Path, genres: tuple[str, ...]
) -> None:
    file = model_copy.with_name("labels.txt")
    file.write_text("\n".join(genres), encoding="utf-8")
    assert find_model(str(model_copy), labels=file).labels == genres
    edit(model_copy, "config.json", id2label=named(*genres))
    assert find_model(str(model_copy)).labels == genres


def test_labels_are_those_of_the_tiny_model_without_a_file(tiny_model: Path) -> None:
    assert find_model(str(tiny_model)).labels == LABELS


@pytest.mark.parametrize("problem", ["regression", "x", 5])
def test_a_problem_that_is_no_classification_is_refused(model_copy: Path, problem: object) -> None:
    edit(model_copy, "config.json", problem_type=problem)
    refused(model_copy, "problem_type is")


def test_a_copy_of_a_config_may_have_its_keys_in_any_order(model_copy: Path) -> None:
    shuffled = {"2": "jazz", "0": "blues", "3": "rock", "1": "hiphop"}
    edit(model_copy, "config.json", id2label=shuffled)
    assert find_model(str(model_copy)).labels == LABELS
    shutil.rmtree(model_copy)


def test_a_head_that_is_replaced_needs_no_names(model_copy: Path) -> None:
    edit(model_copy, "config.json", id2label=named(*(f"LABEL_{index}" for index in range(4))))
    assert len(find_model(str(model_copy), needs_names=False).labels) == 4
    without(model_copy, "id2label", "label2id")
    assert len(find_model(str(model_copy), needs_names=False).labels) == 4
    refused(model_copy, "no names")
