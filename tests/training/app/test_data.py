"""What a training run refuses, before it has written anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.clips import LABELS, write_clips, write_noise
from helpers.models import save_ast
from helpers.runs import TINY, run_finetune, write_teacher

from training.clips.find import find_clips
from training.clips.splits import make_split
from training.options import Draw


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "data")


def test_bad_input_stops_before_training_with_one_line(data: Path, tmp_path: Path) -> None:
    empty, one = (tmp_path / name for name in ("empty", "one"))
    empty.mkdir()
    (write_clips(one) / "noise").rename(tmp_path / "away")
    single = write_clips(tmp_path / "single", per_label=3)
    for index in (1, 2):
        (single / "tone" / f"tone.{index:05d}.wav").unlink()
    teacher = write_teacher(tmp_path / "teacher.npz", data)
    full = tmp_path / "full"
    full.mkdir()
    (full / "holiday.jpg").touch()
    folds = write_clips(tmp_path / "folds")
    (folds / "rare").mkdir()
    for index in range(2):
        write_noise(folds / "rare" / f"{index}.wav", seed=index)
    fold = ("--split", "kfold", "--folds", 4)
    undecodable = write_clips(tmp_path / "undecodable")
    for path in (undecodable / "tone").iterdir():
        path.write_bytes(b"RIFF")
    known = ("--data", data, "--teacher", write_teacher(tmp_path / "known.npz", data))
    linear = ("--method", "linear", "--model", save_ast(tmp_path / "ast", LABELS, layers=1))
    cases: list[tuple[str, tuple[object, ...]]] = [
        ("--data is missing", ()),
        ("no labelled clip", ("--data", empty)),
        ("only 'tone'", ("--data", one)),
        ("'tone' has only one", ("--data", single)),
        ("no clip of 'tone' can be decoded", ("--data", undecodable)),
        ("none of the clips is in the lists", ("--data", data, "--split", "filtered")),
        ("clips are not in", ("--data", single.parent / "clips", "--teacher", teacher)),
        ("trains only a head", ("--data", data, *linear, "--teacher", teacher)),
        ("--unlabelled needs --teacher", ("--data", data, "--unlabelled", single)),
        ("holds a clip of the valid or test part", (*known, "--unlabelled", data)),
        ("--augment mixup changes features", (*("--data", data), *linear, "--augment", "mixup")),
        ("fits a linear head", ("--data", data, "--logistic-head", "--head", "mlp")),
        ("holds holiday.jpg", ("--data", data, "--out", full)),
        ("no model 'nothing'", ("--data", data, "--method", "full", "--model", "nothing")),
        ("no unfinished run", ("--data", data, "--resume")),
    ]
    write_clips(tmp_path / "clips", per_label=5)
    for expected, arguments in cases:
        result = run_finetune("--out", tmp_path / "out", *TINY, *arguments)
        assert result.exit_code == 1, (expected, result.output)
        last = result.output.splitlines()[-1]
        assert last.startswith("Error: ") and expected in last
    # Two clips of a label in four folds: only two folds have both in the train part.
    outputs = [
        run_finetune("--out", tmp_path / "out", *TINY, "--data", folds, *fold, "--fold", at)
        for at in range(4)
        if _rare(folds, at) < 2
    ]
    assert outputs and all(
        "'rare' has only one" in result.output.splitlines()[-1] for result in outputs
    )
    assert not (tmp_path / "out").exists()
    assert [path.name for path in full.iterdir()] == ["holiday.jpg"]


def _rare(folder: Path, fold: int) -> int:
    split = make_split(find_clips(folder), "kfold", Draw(folds=4, fold=fold))
    return sum(clip.label == "rare" for clip in split.train)


def test_a_label_that_is_only_validated_stops_before_training(data: Path, tmp_path: Path) -> None:
    # One artist has all of a label, and so a fold has it too.
    rows = [f"{clip.path},{clip.label},{clip.name}\n" for clip in find_clips(data)]
    rare = [tmp_path / f"rare{index}.wav" for index in range(2)]
    for index, path in enumerate(rare):
        write_noise(path, seed=index)
    table = tmp_path / "clips.csv"
    table.write_text(
        "path,label,artist\n" + "".join(rows) + "".join(f"{path},rare,one\n" for path in rare)
    )
    lines = []
    for fold in (0, 1):
        how = ("--data", table, *TINY, "--split", "kfold", "--folds", 2, "--fold", fold)
        result = run_finetune("--out", tmp_path / str(fold), *how, "--steps", 1)
        lines.append(result.output.splitlines()[-1])
    assert (
        sum(
            "the train part has no clip of 'rare', but another part has; try another" in of
            for of in lines
        )
        == 1
    )


@pytest.mark.parametrize(
    ("kinds", "message"),
    [("speed,reverb", "'reverb' is not one of"), ("mix", "needs two kinds that go together")],
)
def test_impossible_augmentation_is_a_usage_error(
    data: Path, tmp_path: Path, kinds: str, message: str
) -> None:
    result = run_finetune("--data", data, "--out", tmp_path / "out", *TINY, "--augment", kinds)
    assert result.exit_code == 2 and message in result.output and not (tmp_path / "out").exists()


def test_clips_of_the_valid_part_that_are_all_damaged_stop_before_training(
    tmp_path: Path,
) -> None:
    data = write_clips(tmp_path / "data")
    for clip in make_split(find_clips(data), "random").valid:
        clip.path.write_bytes(b"RIFF")
    result = run_finetune("--data", data, "--out", tmp_path / "out", *TINY, "--steps", 1)
    assert result.exit_code == 1 and not (tmp_path / "out").exists()
    assert "no clip of the validation part can be decoded" in result.output.splitlines()[-1]
