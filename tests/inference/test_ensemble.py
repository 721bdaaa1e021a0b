from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.command import LIBRARY, Run
from helpers.known import bundled
from hypothesis import given
from hypothesis import strategies as st

from tagger.genres.labels import AUDIOSET_NAMES
from tagger.genres.policy import Policy, decide, rank_genres
from tagger.genres.vocabulary import Vocabulary
from tagger.inference.ensemble import combine, combined_labels
from tagger.types import Action, Prediction, TagInfo, Track

TRACK = Track(Path("/music/1.mp3"), 1, 1)
PLAIN = Policy()


def predicted(
    shares: dict[str, float], *, multi_label: bool = False, windows: int = 4
) -> Prediction:
    labels, values = tuple(shares), tuple(shares.values())
    return Prediction(TRACK, labels, values, 1.0, windows, 60.0, multi_label)


def models(*names: str):
    return [replace(bundled(), name=name) for name in names]


def together(*predictions: Prediction, policy: Policy = PLAIN) -> tuple[Prediction, str]:
    return combine(predictions, models(*"abc"[: len(predictions)]), policy)


def test_the_mean_is_over_all_models_also_those_that_do_not_know_a_genre() -> None:
    mean, differing = together(
        predicted({"rock": 0.6, "hiphop": 0.4}),
        predicted({"Opera": 0.1, "Hip hop": 0.2, "Rock": 0.8}, windows=3),
    )
    assert dict(zip(mean.labels, mean.probabilities, strict=True)) == pytest.approx(
        {"Hip-Hop": 0.3, "Opera": 0.05, "Rock": 0.7}
    )
    assert (mean.agreement, mean.windows, differing) == (1.0, 7, "")


def test_what_leads_with_all_models_leads_and_must_reach_the_mean_of_their_floors() -> None:
    mean, differing = together(
        predicted({"rock": 0.55, "metal": 0.4, "jazz": 0.05}),
        predicted({"Rock": 0.2, "Jazz": 0.1}, multi_label=True),
    )
    assert (mean.agreement, differing, PLAIN.floor(mean)) == (1.0, "", pytest.approx(0.3))
    assert decide(mean, TagInfo(), PLAIN).genres == ("Rock",)
    assert decide(mean, TagInfo(), Policy(min_confidence=0.5)).action is Action.UNSURE


def test_where_models_differ_the_best_genre_of_each_is_named() -> None:
    mean, differing = together(
        predicted({"rock": 0.9, "jazz": 0.1}), predicted({"rock": 0.4, "jazz": 0.6})
    )
    assert rank_genres(mean)[0] == ("Rock", pytest.approx(0.65))
    assert mean.agreement == 0.5
    assert differing == "models differ: a Rock 0.90, b Jazz 0.60"


def test_a_whitelist_and_a_tree_map_all_models_to_the_genres_of_the_user() -> None:
    vocabulary = Vocabulary(whitelist=("Rock", "Jazz"), tree={"Grunge": "Rock", "Metal": "Rock"})
    policy = Policy(vocabulary=vocabulary)
    mean, _ = together(
        predicted({"metal": 0.5, "rock": 0.3, "jazz": 0.2}),
        predicted({"Grunge": 0.7, "Polka": 0.9, "Jazz": 0.1}, multi_label=True),
        policy=policy,
    )
    assert rank_genres(mean, policy) == [
        ("Rock", pytest.approx((0.8 + 0.7) / 2)),
        ("Jazz", pytest.approx(0.15)),
    ]


def test_one_that_knows_what_is_no_music_is_not_outvoted() -> None:
    audioset = dict.fromkeys(AUDIOSET_NAMES, 0.01) | {"Music": 0.03, "Speech": 0.9}
    mean, _ = together(predicted({"rock": 0.9, "jazz": 0.1}), predicted(audioset, multi_label=True))
    decision = decide(mean, TagInfo(), Policy(min_confidence=0))
    assert decision.action is Action.NO_MUSIC
    assert "Music at 0.03" in decision.reason


SHARES = st.floats(0, 1, width=32)
HEARD = st.dictionaries(st.sampled_from(["rock", "Jazz", "hip hop", "Opera"]), SHARES)


@given(st.lists(HEARD.filter(lambda shares: len(shares) > 1), min_size=2, max_size=3), st.data())
def test_the_order_of_labels_makes_no_difference(each, data) -> None:
    mean, _ = together(*(predicted(shares, multi_label=True) for shares in each))
    shuffled = (dict(data.draw(st.permutations(list(shares.items())))) for shares in each)
    other, _ = together(*(predicted(shares, multi_label=True) for shares in shuffled))
    assert other.labels == mean.labels == tuple(sorted(mean.labels))
    assert other.probabilities == pytest.approx(mean.probabilities)
    assert all(0 <= share <= 1 for share in mean.probabilities)
    assert 0 <= mean.agreement <= 1


@given(st.lists(HEARD, min_size=2, max_size=3))
def test_what_each_model_has_as_best_is_best(each) -> None:
    predictions = [predicted(shares | {"blues": 1.0}, multi_label=True) for shares in each]
    mean, _ = together(*predictions)
    assert dict(rank_genres(mean))["Blues"] == max(mean.probabilities) == pytest.approx(1)
    assert mean.floor == pytest.approx(0.1)


def test_labels_are_the_same_for_every_track() -> None:
    infos = [replace(bundled(), labels=labels) for labels in (("rock", "jazz"), ("Opera", "Rock"))]
    for shares in ((0.9, 0.1), (0.0, 0.4)):
        predictions = [predicted(dict(zip(info.labels, shares, strict=True))) for info in infos]
        assert combine(predictions, infos, PLAIN)[0].labels == combined_labels(infos, PLAIN)
    assert combined_labels(infos[:1], PLAIN) == ("rock", "jazz")


# --- as a user has it -----------------------------------------------------------------------------


@pytest.fixture
def other_model(tiny_model: Path, tmp_path: Path) -> Path:
    """The same network with other labels: what one calls jazz is rock for the other."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "other"))
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "blues", "1": "Hip hop music", "2": "rock", "3": "Opera"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_two_models_predict_once_and_their_mean_is_reported(
    run: Run, tiny_model: Path, other_model: Path
) -> None:
    options = ("--csv", "-", "--all-probabilities", "--windows", 3)
    apart = [rows(run(LIBRARY, "--model", m, *options).stdout) for m in (tiny_model, other_model)]
    done = run(LIBRARY, "--model", tiny_model, "--model", other_model, *options)
    assert done.returncode == 0, done.stderr
    assert "predicting" not in done.stderr and "10 known from earlier runs" in done.stderr
    both = rows(done.stdout)
    assert len(both) == 10
    for one, other, row in zip(*apart, both, strict=True):
        assert row["model"] == f"{tiny_model} + {other_model}"
        assert row["windows"] == str(int(one["windows"]) + int(other["windows"]))
        mean = (float(one["blues"]) + float(other["blues"])) / 2
        assert float(row["Blues"]) == pytest.approx(mean, abs=1e-6)
        mean = (float(one["rock"]) + float(other["rock"])) / 2
        assert float(row["Rock"]) == pytest.approx(mean, abs=1e-6)
        assert float(row["Opera"]) == pytest.approx(float(other["Opera"]) / 2, abs=1e-6)
    agreed = sum(float(row["agreement"]) == 1 for row in both)
    assert f"the models agree on {agreed} of 10 tracks" in done.stderr


def test_genres_of_two_models_are_written_and_noted(
    run: Run, tiny_model: Path, other_model: Path, tmp_path: Path
) -> None:
    from tagger.tags.genre_tag import read_genres, read_tag

    song = Path(shutil.copy(LIBRARY / "02 Quiet Fugue.flac", tmp_path))
    options = ("--write-tags", "--provenance", "--min-confidence", 0, "--on-existing", "replace")
    done = run(song, "--model", tiny_model, "--model", other_model, *options, "--csv", "-")
    assert done.returncode == 0, done.stderr
    (row,) = rows(done.stdout)
    assert read_genres(song) == (row["genre"],)
    assert json.loads(read_tag(song).note)["model"] == "tiny + other"
    again = run(song, "--model", tiny_model, "--model", other_model, *options, "--csv", "-")
    assert rows(again.stdout)[0]["action"] == "unchanged"
    assert "1 known from earlier runs" in again.stderr


def test_a_track_that_one_model_cannot_hear_has_one_failure(
    run: Run, tiny_model: Path, other_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.mp3").write_bytes(b"no music")
    broken = tmp_path / "broken.mp3"
    done = run(broken, "--model", tiny_model, "--model", other_model, "--csv", "-")
    assert done.returncode == 3
    (row,) = rows(done.stdout)
    assert row["action"] == "failed"


def test_a_model_that_is_named_twice_is_one(run: Run, tiny_model: Path) -> None:
    song = LIBRARY / "02 Quiet Fugue.flac"
    done = run(song, "--model", tiny_model, "--model", f"{tiny_model}/", "--csv", "-")
    assert done.returncode == 0, done.stderr
    assert rows(done.stdout)[0]["model"] == str(tiny_model)
    assert "agree" not in done.stderr


def test_only_missing_leaves_out_what_any_model_would_have_to_hear(
    run: Run, tiny_model: Path, other_model: Path
) -> None:
    assert run(LIBRARY, "--model", tiny_model, "--csv", "-").returncode == 0
    both = ("--model", tiny_model, "--model", other_model)
    done = run(LIBRARY, *both, "--only-missing", "--csv", "-", "--verbose")
    left_out = [row for row in rows(done.stdout) if "--only-missing" in row["reason"]]
    assert len(left_out) == 3 and all(row["existing_genre"] for row in left_out)
    assert done.stderr.count("new prediction: /") == 7
