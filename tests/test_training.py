"""Splits, clips, a run of a few steps from end to end, scores, and the bundled checkpoint."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from conftest import DATA, ROOT, environment
from sklearn import metrics

from tagger.model import BUNDLED, find_model, load_model
from tagger.windows import WindowPlan
from training import evaluate, finetune
from training.errors import TrainingError
from training.gtzan import Clip, find_clips, read_sound, read_sounds
from training.scores import describe, score, wilson_interval
from training.splits import FILTERED, PARTS, filtered_split, random_split, read_list
from training.teacher import read_embeddings, read_soft_labels

RATE = 16_000
LABELS = ("noise", "tone")
GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)


def write_clips(folder: Path, per_label: int = 4, seconds: float = 1.5) -> Path:
    draw = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    for index in range(per_label):
        waveforms = (
            draw.normal(0, 0.1, len(time)),
            0.3 * np.sin(2 * np.pi * 300 * (index + 1) * time),
        )
        for label, waveform in zip(LABELS, waveforms, strict=True):
            (folder / label).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / label / f"{label}.{index:05d}.wav", waveform, RATE)
    return folder


def write_teacher(path: Path, data: Path) -> Path:
    draw = np.random.default_rng(1)
    names = [clip.name for clip in find_clips(data)]
    np.savez(path, **{name: draw.integers(0, 256, (3, 5)).astype(np.uint8) for name in names})
    return path


def names(clips: tuple[Clip, ...]) -> set[str]:
    return {clip.name for clip in clips}


def all_of_gtzan() -> list[Clip]:
    return [
        Clip(Path(f"{genre}/{genre}.{index:05d}.wav"), genre, f"{genre}.{index:05d}")
        for genre in GENRES
        for index in range(100)
    ]


# Clips


def test_clips_are_found_in_odd_trees(tmp_path: Path) -> None:
    for name in (
        "genres/blues/blues.00000.au",
        "genres/rock/rock.00001.OPUS",
        "genres/rock/notes.txt",
        "genres/rock/.hidden.wav",
        ".cache/jazz/jazz.00000.wav",
        "unlabelled.wav",
        "a b/hip hop/ü.flac",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [(clip.label, clip.name) for clip in find_clips(tmp_path)]
    assert found == [("blues", "blues.00000"), ("hip hop", "ü"), ("rock", "rock.00001")]


def test_unreadable_clips_are_reported_and_left_out(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=1)
    (data / "noise" / "noise.00054.wav").write_bytes(b"no audio")
    told: list[str] = []
    sounds = read_sounds(find_clips(data), WindowPlan(8_000, RATE), told.append)
    assert [sound.clip.name for sound in sounds] == ["noise.00000", "tone.00000"]
    assert len(told) == 1 and "noise.00054.wav" in told[0]


@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.7, 40.3])
def test_a_sound_is_the_whole_clip_and_a_short_one_is_repeated(
    tmp_path: Path, seconds: float
) -> None:
    waveform = np.random.default_rng(2).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)
    path = tmp_path / "clip.wav"
    soundfile.write(path, waveform, RATE, subtype="FLOAT")
    sound = read_sound(Clip(path, "", "clip"), WindowPlan(RATE, RATE))
    assert sound.seconds == pytest.approx(seconds)
    np.testing.assert_array_equal(sound.waveform, np.resize(waveform, max(RATE, len(waveform))))


# Splits


def test_filtered_lists_are_disjoint_and_as_published() -> None:
    lists = {part: read_list(FILTERED / f"{part}.txt") for part in PARTS}
    assert {part: len(names) for part, names in lists.items()} == {
        "train": 443,
        "valid": 197,
        "test": 290,
    }
    assert len(set().union(*lists.values())) == 930


def test_filtered_split_follows_the_lists_and_counts_the_rest() -> None:
    split = filtered_split(all_of_gtzan())
    for part in PARTS:
        assert names(split.part(part)) == set(read_list(FILTERED / f"{part}.txt"))
    assert len(split.left_out) == 70


def test_random_split_is_disjoint_complete_stratified_and_seeded() -> None:
    clips = all_of_gtzan()
    split = random_split(clips, seed=3)
    parts = [names(split.part(part)) for part in PARTS]
    assert set().union(*parts) == names(tuple(clips)) and sum(map(len, parts)) == len(clips)
    for part, count in zip(PARTS, (80, 10, 10), strict=True):
        assert Counter(clip.label for clip in split.part(part)) == dict.fromkeys(GENRES, count)
    assert split == random_split(clips[::-1], seed=3)
    assert split != random_split(clips, seed=4)


# Teachers


def test_teacher_targets_are_decoded_and_averaged_over_the_crop(tmp_path: Path) -> None:
    stored = np.arange(8, dtype=np.uint8).reshape(4, 2)
    clips = [Clip(tmp_path, "a", "a.0")]
    np.savez(tmp_path / "soft.npz", **{"a.0": stored})
    np.savez(tmp_path / "embedding.npz", **{"a.0": stored.astype(np.int8)}, _scale=[0.5, 2.0])
    soft = read_soft_labels([tmp_path / "soft.npz"], clips)
    # Frames are centred on 0.48, 0.96, 1.44, and 1.92 s.
    expected = (stored[1:3] / 255) ** 4
    np.testing.assert_allclose(soft.between("a.0", 0.9, 1.5), expected.mean(axis=0), rtol=1e-5)
    embeddings = read_embeddings([tmp_path / "embedding.npz"], clips)
    np.testing.assert_allclose(embeddings.mean(), [3 * 0.5, 4 * 2.0])
    half = embeddings.half_whitened().targets["a.0"].std(axis=0)
    np.testing.assert_allclose(half**2, embeddings.targets["a.0"].std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(embeddings.between("a.0", 1.9, 9.0), [6 * 0.5, 7 * 2.0])
    np.testing.assert_allclose(embeddings.between("a.0", 0.5, 0.6), [0, 1 * 2.0])  # the nearest


# Fine-tuning


def run_finetune(*arguments: object) -> Result:
    return CliRunner().invoke(finetune.main, list(map(str, arguments)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    data = write_clips(folder / "data")
    music = write_clips(folder / "music", per_label=1, seconds=0.2)
    for clip in find_clips(music):
        clip.path.rename(clip.path.with_name(f"other-{clip.path.name}"))
    result = run_finetune(
        *("--data", data, "--out", folder / "out", "--scratch", "tiny", "--split", "random"),
        *("--steps", 2, "--batch-size", 4, "--precision", "float32", "--unlabelled", music),
        *("--teacher", write_teacher(folder / "1.npz", data)),
        *("--teacher", write_teacher(folder / "2.npz", music)),
    )
    assert result.exit_code == 0, result.output
    return folder / "out"


def test_a_run_leaves_a_checkpoint_a_card_and_figures(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == finetune.CHECKPOINT_FILES
    card = (trained / "README.md").read_text()
    assert "python training/finetune.py" in card and "noise 2, tone 2" in card
    figures = json.loads((trained.parent / "out.metrics.json").read_text())
    assert figures["n"] == 2 and f"accuracy           {figures['accuracy']:.3f}" in card


def test_tagger_and_transformers_hear_the_same_in_a_trained_checkpoint(trained: Path) -> None:
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    model = load_model(find_model(str(trained)), "cpu", "float32")
    assert model.info.labels == LABELS
    waveform = np.random.default_rng(3).normal(0, 0.1, model.info.plan(1).samples)
    with pytest.warns(UserWarning, match="mel filter has all zero values"):
        extractor = AutoFeatureExtractor.from_pretrained(trained)
    features = extractor(waveform, sampling_rate=RATE, return_tensors="pt")
    network = AutoModelForAudioClassification.from_pretrained(trained)
    with torch.inference_mode():
        expected = network(**features).logits.softmax(dim=-1)
    actual = model.probabilities(waveform[None].astype(np.float32))
    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-3)


def test_a_seed_decides_the_split_the_weights_and_the_crops(trained: Path, tmp_path: Path) -> None:
    # The weights after a step may differ in their last bits: sums of floats depend on alignment.
    def start(seed: int) -> tuple[set[str], bytes, bytes]:
        options = finetune.FinetuneOptions(
            trained.parent / "data", tmp_path / "out", split="random", scratch="tiny", seed=seed
        )
        material = finetune.prepare(options)
        weights = material.network.classifier.dense.weight.detach().numpy()
        crop = material.crops[0]["waveforms"].numpy()
        return names(material.split.train), weights.tobytes(), crop.tobytes()

    assert start(1) == start(1)
    assert all(one != two for one, two in zip(start(1), start(2), strict=True))


def test_the_same_labels_keep_the_head(trained: Path, tmp_path: Path) -> None:
    from transformers import ASTForAudioClassification

    options = ("--data", trained.parent / "data", "--split", "random", "--model", trained)
    result = run_finetune(*options, "--out", tmp_path, "--steps", 1, "--learning-rate", 1e-9)
    assert result.exit_code == 0, result.output
    before, after = map(ASTForAudioClassification.from_pretrained, (trained, tmp_path))
    for one, two in zip(before.parameters(), after.parameters(), strict=True):
        np.testing.assert_allclose(one.detach(), two.detach(), atol=1e-3)


def test_another_set_of_labels_gets_a_new_head(trained: Path, tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data")
    (data / "noise").rename(data / "hiss")
    result = run_finetune(
        *("--data", data, "--out", tmp_path / "out", "--model", trained, "--split", "random"),
        *("--steps", 1, "--batch-size", 4),
    )
    assert result.exit_code == 0, result.output
    assert find_model(str(tmp_path / "out")).labels == ("hiss", "tone")


def test_bad_input_stops_before_training_with_one_line(tmp_path: Path) -> None:
    good, empty, one = (tmp_path / name for name in ("good", "empty", "one"))
    write_clips(good)
    empty.mkdir()
    (write_clips(one) / "noise").rename(tmp_path / "away")
    single = write_clips(tmp_path / "single", per_label=3)
    for index in (1, 2):
        (single / "tone" / f"tone.{index:05d}.wav").unlink()
    teacher = write_teacher(tmp_path / "teacher.npz", single)
    full = tmp_path / "full"
    full.mkdir()
    (full / "holiday.jpg").touch()
    cases = {
        "no labelled clip": ("--data", empty),
        "only 'tone'": ("--data", one),
        "there is one of 'tone'": ("--data", single),
        "none of the clips is in the lists": ("--data", good, "--split", "filtered"),
        "are not in": ("--data", good, "--teacher", teacher),
        "--unlabelled needs --teacher": ("--data", good, "--unlabelled", single),
        "holds holiday.jpg": ("--data", good, "--out", full),
        "no model 'nothing'": ("--data", good, "--model", "nothing"),
    }
    for expected, arguments in cases.items():
        model = () if "--model" in arguments else ("--scratch", "tiny")
        defaults = ("--out", tmp_path / "out", "--split", "random", *model)
        result = run_finetune(*defaults, *arguments)
        assert result.exit_code == 1, expected
        last = result.output.splitlines()[-1]
        assert last.startswith("Error: ") and expected in last
    assert not (tmp_path / "out").exists()


def test_scripts_explain_themselves() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, f"training/{script}.py", "--help"],
            cwd=ROOT,
            env=environment(ROOT),
            stdout=subprocess.PIPE,
            text=True,
        )
        for script in ("finetune", "evaluate")
    ]
    for run in runs:
        assert "--data" in run.communicate()[0] and run.returncode == 0


# Scores


def test_wilson_interval_is_the_published_one() -> None:
    # Brown, Cai, DasGupta (2001) and statsmodels' proportion_confint(8, 10, method="wilson").
    assert wilson_interval(8, 10) == pytest.approx((0.49016, 0.94332), abs=1e-5)
    low, high = wilson_interval(0, 20)
    assert low == 0 and high == pytest.approx(0.16113, abs=1e-5)
    with pytest.raises(ValueError):
        wilson_interval(0, 0)


def test_scores_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(4)
    truth = draw.choice(["a", "b", "c"], 50).tolist()
    predicted = [t if draw.random() < 0.6 else draw.choice(["a", "b", "c"]) for t in truth]
    scores = score(truth, predicted, ["a", "b", "c", "never"])
    assert scores.accuracy == metrics.accuracy_score(truth, predicted)
    assert scores.balanced_accuracy == pytest.approx(
        metrics.balanced_accuracy_score(truth, predicted)
    )
    assert scores.macro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    assert sum(map(sum, scores.confusion)) == scores.n == 50
    assert re.search(r"never +0 +0\.000 +- +-", describe(scores))


def test_evaluate_prints_the_scores_of_the_taggers_predictions(trained: Path) -> None:
    data = trained.parent / "data"
    arguments = ["--data", str(data), "--model", str(trained), "--part", "all", "--windows", "all"]
    result = CliRunner().invoke(evaluate.main, arguments)
    assert result.exit_code == 0, result.output
    model = load_model(find_model(str(trained)), "cpu", "float32")
    right = 0
    for clip in find_clips(data):
        waveform = soundfile.read(clip.path, dtype="float32")[0]
        size = model.info.plan(None).samples
        starts = [*range(0, len(waveform) - size, size), len(waveform) - size]
        windows = np.stack([waveform[start : start + size] for start in starts])
        right += LABELS[model.probabilities(windows).mean(axis=0).argmax()] == clip.label
    assert f"clips              8\naccuracy           {right / 8:.3f}" in result.output


def test_evaluate_names_what_is_missing(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data", per_label=1)
    arguments = ["--data", str(data), "--split", "random", "--part", "test"]
    result = CliRunner().invoke(evaluate.main, arguments)
    assert result.exit_code == 1 and "no clip of the test part" in result.output
    with pytest.raises(TrainingError, match="is no folder"):
        find_clips(tmp_path / "nowhere")


# The bundled checkpoint

SMALL = BUNDLED / "gtzan-small"


def test_bundled_checkpoint_is_small_and_complete() -> None:
    from safetensors import safe_open

    assert {path.name for path in SMALL.iterdir()} == finetune.CHECKPOINT_FILES
    assert sum(path.stat().st_size for path in SMALL.iterdir()) <= 10_000_000
    with safe_open(SMALL / "model.safetensors", "np") as weights:
        assert {weights.get_slice(key).get_dtype() for key in weights.keys()} == {"F16"}  # noqa: SIM118
    assert find_model("gtzan-small").labels == GENRES


@pytest.mark.skipif(not (DATA / "gtzan").is_dir(), reason="GTZAN is not here (shared/data/gtzan)")
def test_bundled_card_states_what_evaluate_measures() -> None:
    result = CliRunner().invoke(evaluate.main, ["--data", str(DATA / "gtzan" / "genres")])
    assert result.exit_code == 0, result.output
    card = (SMALL / "README.md").read_text()
    for line in result.stdout.splitlines():
        assert line.rstrip() in card


def test_scores_of_a_model_that_is_never_right_can_be_shown() -> None:
    shown = describe(score(["tone", "tone"], ["noise", "noise"], LABELS))
    assert "accuracy           0.000" in shown


def test_the_card_does_not_tell_where_the_data_lay() -> None:
    told = finetune.command_line(
        ["--data=/home/me/music/gtzan", "--out", "/tmp/x/y", "--seed", "1"]
    )
    assert "/home" not in told and "/tmp" not in told
    assert "--data music/gtzan --out x/y --seed 1" in told
