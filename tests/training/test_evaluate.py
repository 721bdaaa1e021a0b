"""Evaluation: what it measures is what the tagger predicts, and it says what it leaves out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from helpers.clips import LABELS, RATE, write_clips
from helpers.models import CPU

from tagger.audio.pool import DecoderPool
from tagger.inference.predict import predict_tracks
from tagger.models.find import find_model
from tagger.models.model import load_model
from tagger.types import Failure, PredictOptions, Track
from training import evaluate
from training.clips.clip import Clip
from training.clips.find import find_clips
from training.clips.splits import make_split
from training.errors import TrainingError
from training.evaluation import measure
from training.evaluation.metrics import Metrics
from training.options import Draw

FLOAT32 = PredictOptions(windows=None, workers=0, device="cpu", precision="float32")
Edit = Callable[..., Path]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "data")


@pytest.fixture
def checkpoint(tiny_model: Path, tmp_path: Path) -> Edit:
    """Make a copy of the tiny model with changes to its config.json."""

    def edited(labels: tuple[str, ...] = (), **changes: object) -> Path:
        folder = Path(shutil.copytree(tiny_model, tmp_path / "checkpoint", dirs_exist_ok=True))
        config = json.loads((folder / "config.json").read_text())
        if labels:
            changes["id2label"] = dict(enumerate(labels))
            changes["label2id"] = {label: index for index, label in enumerate(labels)}
        (folder / "config.json").write_text(json.dumps({**config, **changes}))
        return folder

    return edited


FOUR = ("noise", "hum", "tone", "click")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(evaluate.main, list(map(str, arguments)))


def evaluated(
    clips: list[Clip], folder: Path, options: PredictOptions
) -> tuple[Metrics, list[Failure]]:
    """Metrics of a checkpoint on clips, and the clips that could not be decoded."""
    model = load_model(find_model(str(folder)), options)
    measured = measure.measure(clips, model, options, [clip.label for clip in clips])
    return measured.metrics, measured.failures


def test_evaluate_prints_the_scores_of_the_taggers_predictions(
    data: Path, checkpoint: Edit
) -> None:
    folder = checkpoint(FOUR)
    result = run("--data", data, "--model", folder, "--part", "all", "--windows", "all")
    assert result.exit_code == 0, result.output
    model = load_model(find_model(str(folder)), CPU)
    right = 0
    for clip in find_clips(data):
        waveform = soundfile.read(clip.path, dtype="float32")[0]
        size = model.info.plan(None).samples
        starts = [*range(0, len(waveform) - size, size), len(waveform) - size]
        windows = np.stack([waveform[start : start + size] for start in starts])
        right += FOUR[model.probabilities(windows).mean(axis=0).argmax()] == clip.label
    assert f"clips              8\naccuracy           {right / 8:.3f}" in result.stdout
    assert f"model              {folder}, all windows per clip, float32 on cpu\n" in result.stdout
    assert "part               all\n" in result.stdout
    assert "true / predicted" in result.stdout


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_what_is_evaluated_is_what_is_tagged(
    data: Path, checkpoint: Edit, problem: str, tmp_path: Path
) -> None:
    folder = checkpoint(FOUR, problem_type=problem, temperature=1.7)
    damaged = tmp_path / "damaged.wav"
    damaged.write_bytes(b"no audio")
    clips = [*find_clips(data), Clip(damaged, "noise", "damaged")]
    scores, failures = evaluated(clips, folder, FLOAT32)
    assert [failure.path for failure in failures] == [damaged]
    model = load_model(find_model(str(folder)), CPU)
    tracks = [Track(clip.path, clip.path.stat().st_size, 0) for clip in clips]
    among = LABELS if "multi" in problem else FOUR  # the others are no labels of the data
    right = []
    with DecoderPool(1, 60) as pool:
        predictions = dict(predict_tracks(tracks, model, model.info.plan(None), pool))
    for index, clip in enumerate(clips):
        predicted = predictions[index]
        if not isinstance(predicted, Failure):
            right.append(next(name for name, _ in predicted.ranked if name in among) == clip.label)
    assert (scores.n, scores.accuracy) == (len(right), np.mean(right))
    assert (scores.ece is None) == ("multi" in problem)


def test_log_probabilities_are_those_at_temperature_1(data: Path, checkpoint: Edit) -> None:
    clips = find_clips(data)

    def predictions(temperature: float) -> list[np.ndarray]:
        info = find_model(str(checkpoint(temperature=temperature)))
        model = load_model(info, CPU)
        predicted, failures = measure.predict_clips(clips, model, FLOAT32)
        assert [of.clip for of in predicted] == clips and not failures
        return [of.log_probabilities for of in predicted]

    for plain, back in zip(predictions(1.0), predictions(2.5), strict=True):
        assert plain.shape == (3, 4)  # 1.5 s in windows of 0.655 s
        np.testing.assert_allclose(np.exp(plain).sum(axis=1), 1)
        np.testing.assert_allclose(back, plain, atol=1e-4)


def test_calibration_is_printed_before_and_after(data: Path, checkpoint: Edit) -> None:
    arguments = ("--data", data, "--part", "all", "--model")
    plain = run(*arguments, checkpoint(FOUR))
    assert "at temperature 1: the checkpoint stores no other" in plain.stdout
    before = plain.stdout.split("calibration error  ")[1][:5]
    stored = run(*arguments, checkpoint(FOUR, temperature=1.37))
    assert f"({before} at temperature 1; the checkpoint stores 1.370)" in stored.stdout
    several = run(*arguments, checkpoint(FOUR, problem_type="multi_label_classification"))
    assert "calibration        none: each label" in several.stdout
    assert "log loss" not in several.stdout


# Labels


def test_labels_that_do_not_match_are_named_in_one_line(data: Path, tiny_model: Path) -> None:
    result = run("--data", data, "--model", tiny_model, "--part", "all")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "reading tags: 8 files",
        "Error: fewer than two labels of the data (noise, tone) are among the model's "
        "(blues, hiphop, jazz, rock)",
    ]


def test_clips_of_a_label_that_the_model_does_not_have_are_left_out_and_reported(
    data: Path, checkpoint: Edit, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "copy"))
    shutil.copytree(data / "tone", copy / "polka")
    folder = checkpoint(("Noise", "hum", "Tone Music", "click"))
    figures = tmp_path / "figures.json"
    result = run("--data", copy, "--model", folder, "--part", "all", "--json", figures)
    assert result.exit_code == 0, result.output
    assert "labels             2 of the model's 4\n" in result.stdout
    assert "unknown to it      polka (4 clips left out)\n" in result.stdout
    written = json.loads(figures.read_text())
    assert (written["n"], written["labels"]) == (8, ["noise", "tone"])
    assert (written["unknown_labels"], written["left_out"]) == (["polka"], 4)


# What a checkpoint learned from


@pytest.mark.parametrize(
    ("learned_from", "part", "warned"),
    [
        ({"split": "random", "parts": ["train", "valid"]}, "valid", "valid part of the random"),
        ({"split": "random", "parts": ["train", "valid"]}, "all", "train and valid parts of the"),
        ({"split": "random", "parts": ["train"]}, "valid", ""),
        ({"split": "random", "parts": ["train"], "seed": 2}, "valid", "train part of the random"),
        ({"split": "filtered", "parts": ["train"]}, "all", ""),  # these clips are not GTZAN's
        ({"split": "artist", "parts": ["train"]}, "all", ""),  # the artists are not known
        ({"split": "random", "parts": "all"}, "all", ""),
        (["random"], "all", ""),
        (None, "all", ""),
    ],
)
def test_a_model_is_not_evaluated_without_a_warning_on_what_it_learned_from(
    data: Path, checkpoint: Edit, learned_from: object, part: str, warned: str
) -> None:
    folder = checkpoint(FOUR, learned_from=learned_from)
    result = run("--data", data, "--model", folder, "--split", "random", "--part", part)
    assert result.exit_code == 0, result.output
    assert ("warning: " in result.stderr) == bool(warned)
    if warned:
        (line,) = (line for line in result.stderr.splitlines() if "warning: " in line)
        assert line.startswith(f"warning: {folder} learned from the {warned}")
        assert "remembered" in result.stdout and "accuracy  " not in result.stdout
    else:
        assert "accuracy  " in result.stdout and "remember" not in result.stdout


# Files


def test_figures_and_confusions_are_written(data: Path, checkpoint: Edit, tmp_path: Path) -> None:
    folder, picture = checkpoint(FOUR, temperature=2.0), tmp_path / "confusion.png"
    result = run(
        *("--data", data, "--model", folder, "--split", "kfold", "--folds", 2, "--fold", 1),
        *("--json", tmp_path / "figures.json", "--confusion", picture),
    )
    assert result.exit_code == 0, result.output
    assert (
        "part               valid of the kfold split, fold 1\nsplit              fold 1 of 2"
        in result.stdout
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    written = json.loads((tmp_path / "figures.json").read_text())
    clips = make_split(find_clips(data), "kfold", Draw(folds=2, fold=1)).valid
    scores, _ = evaluated(clips, folder, PredictOptions(8, 16, 0, "cpu", "float32"))
    assert len(clips) == written["n"] == 4
    for name, value in json.loads(json.dumps(asdict(scores))).items():
        assert written[name] == value
    assert (written["split"], written["folds"], written["fold"]) == ("kfold", 2, 1)


def test_a_file_that_cannot_be_written_is_named_before_the_work(data: Path, tmp_path: Path) -> None:
    for option in ("--json", "--confusion"):
        result = run("--data", data, "--model", "nothing", option, tmp_path / "no" / "file")
        assert result.exit_code == 1
        assert "file cannot be written: its folder is missing" in result.output


def test_evaluate_names_what_is_missing(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=1)
    result = run("--data", data, "--split", "random", "--part", "test")
    assert result.exit_code == 1 and "has no clip of the test part" in result.output
    with pytest.raises(TrainingError, match="nowhere"):
        find_clips(tmp_path / "nowhere")


def test_an_evaluation_without_a_readable_clip_gives_a_one_line_error(
    checkpoint: Edit, tmp_path: Path
) -> None:
    data = write_clips(tmp_path / "data", per_label=1, seconds=0.1)
    for clip in find_clips(data):
        clip.path.write_bytes(b"no audio")
    result = run("--data", data, "--model", checkpoint(FOUR), "--part", "all")
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert error == "Error: none of the clips to evaluate on could be decoded"


def test_a_short_clip_fills_a_window(checkpoint: Edit, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for label in LABELS:
        (data / label).mkdir(parents=True)
        soundfile.write(data / label / "short.wav", 0.1 * np.sin(np.arange(RATE // 10)), RATE)
    scores, failures = evaluated(find_clips(data), checkpoint(FOUR), FLOAT32)
    assert (scores.n, scores.windows, failures) == (2, 2, [])
