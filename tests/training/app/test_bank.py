"""Making a bank, and learning from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from helpers.clips import write_clips, write_noise
from helpers.runs import SMALL, run_finetune, trained
from helpers.teachers import write_musicnn

import training.train
from training import bank as command
from training.app import bank as app
from training.errors import TrainingError
from training.loop.bank import Bank, BankDataset, BankIndex
from training.networks.student import Student
from training.train import bank_labels

ROWS = 48


def run(folder: Path, out: Path, *more: object, crops: int = ROWS) -> Result:
    words = [
        "--data", folder / "data", "--unlabelled", folder / "music", "--split", "random",
        "--teacher", folder / "musicnn.npz", "--crops", crops, "--out", out, *more,
    ]  # fmt: skip
    return CliRunner().invoke(command.main, list(map(str, words)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, a teacher and a bank."""
    folder = tmp_path_factory.mktemp("bank")
    write_clips(folder / "data", per_label=10, seconds=3.0)
    write_noise(folder / "music" / "free.wav", 1, seconds=12.0)
    (folder / "music" / "broken.wav").write_bytes(b"RIFF")
    write_musicnn(folder / "musicnn.npz", seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "count_cores", lambda: 1)
        result = run(folder, folder / "out")
    assert result.exit_code == 0, result.output
    assert "left out: " in result.output and "broken.wav" in result.output
    return folder


def test_a_bank_has_the_sounds_that_were_asked_for(folder: Path) -> None:
    bank = Bank(folder / "out")
    assert bank.done.all()
    assert len(bank.features) == ROWS
    assert np.isfinite(np.asarray(bank.targets, np.float32)).all()
    assert bank.features[:].std(axis=(1, 2)).min() > 1  # no row is empty
    assert np.asarray(bank.targets[:]).std(axis=0).max() > 0.01
    segments = np.asarray(bank.segments[:], np.float32)
    assert segments.shape == (ROWS, 64, 64)  # 10.24 s by 16 frames of 10 ms
    assert np.isfinite(segments).all()
    assert segments.std(axis=1).max() > 0.01
    used = {clip for row in bank.sources for clip in row if clip >= 0}
    assert len(used) > 8
    assert not any("broken" in bank.index.clips[clip][1] for clip in used)
    # What was decoded is needed no longer.
    assert not list((folder / "out").glob("waveforms*"))


def test_no_row_has_music_of_the_test_part(folder: Path) -> None:
    clips = json.loads((folder / "out" / "bank.json").read_text())["clips"]
    assert len(clips) == 20 - 2 + 2  # a tenth of each label is the test part
    assert ["", str((folder / "music" / "free.wav").resolve())] in clips


def test_a_stopped_bank_goes_on_to_the_same_rows(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "count_cores", lambda: 1)
    calls = 0
    real = app.RowMaker.write

    def stopped(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(app.RowMaker, "write", stopped)
    result = run(folder, tmp_path / "bank")
    assert result.exit_code == 130
    assert "go on with the same command" in result.output
    assert 0 < Bank(tmp_path / "bank").done.sum() < ROWS

    assert run(folder, tmp_path / "bank").exit_code == 0
    for name in ("features.u8", "targets.f16", "segments.f16", "sources.i32", "projection.npz"):
        assert (tmp_path / "bank" / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_two_processes_make_the_same_rows(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "count_cores", lambda: 2)
    assert run(folder, tmp_path / "bank").exit_code == 0
    for name in ("features.u8", "targets.f16", "segments.f16", "sources.i32"):
        assert (tmp_path / "bank" / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_a_network_learns_from_a_bank_twice_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[np.ndarray] = []

    class Spy(BankDataset):
        def __init__(self, bank: Bank, rows: Any, *rest: Any) -> None:
            learned.append(rows)
            super().__init__(bank, rows, *rest)

    class SpyStudent(Student):
        def __init__(self, network: Any, means: Any, drop: float, heads: Any) -> None:
            super().__init__(network, means, drop, heads)
            students.append((heads, self.heads))

    students: list[tuple[Any, Any]] = []
    monkeypatch.setattr(training.train, "BankDataset", Spy)
    monkeypatch.setattr(training.train, "Student", SpyStudent)
    arguments = (
        "--data", folder / "data", *SMALL, "--method", "scratch", "--shape", "long",
        "--bank", folder / "out", "--steps", 2, "--refit-steps", 2,
    )  # fmt: skip
    out = trained(tmp_path / "model", *arguments)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["steps"] == 2
    assert {"valid_accuracy", "valid_explained"} <= metrics["history"][-1].keys()
    card = (out / "README.md").read_text()
    assert (
        "cut and mixed from these clips and 2 without a label; its targets are the outputs of"
        in card
    )
    assert metrics["valid"]["accuracy"] is not None
    # Rows with music of the valid part are not learned from.
    bank = Bank(folder / "out")
    parts = json.loads((out / "clips.json").read_text())["parts"]
    names = {part: {(row["label"], row["name"]) for row in parts[part]} for part in parts}
    music = [
        {bank.index.clips[clip] for clip in bank.sources[row] if clip >= 0} for row in range(ROWS)
    ]
    assert list(learned[0]) == [row for row in range(ROWS) if not music[row] & names["valid"]]
    # It has the teachers' heads that were trained: new ones would undo what was learned.
    (new, _), (trained_heads, used) = students
    assert new is None and trained_heads is used is not None
    assert 0 < len(learned[0]) < ROWS
    assert list(learned[1]) == list(range(ROWS))  # but the refit learns from them
    assert not set().union(*music) & names["test"]
    again = trained(tmp_path / "again", *arguments)
    assert (again / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


def labelled_bank(folder: Path) -> Bank:
    """A row for each clip and for each pair; each label has a direction in the targets."""
    clips = [
        *((label, f"{number}") for label in ("jazz", "rock") for number in range(4)),
        ("", "x"),
    ]
    sources = [(one, -1, -1) for one in range(9)] + [
        (one, two, -1) for one in range(9) for two in (0, 5)
    ]
    bank = Bank.create(folder, BankIndex(len(sources), 16, 8, 4, 6, tuple(clips), {}))
    directions = np.zeros((9, 6))
    directions[:4, 0] = directions[4:8, 1] = 3
    for row, clips_of in enumerate(sources):
        bank.targets[row] = np.mean([directions[clip] for clip in clips_of if clip >= 0], axis=0)
    bank.sources[:], bank.done[:] = sources, 1
    return bank


def test_mixtures_and_unlabelled_music_get_labels_from_what_the_teachers_make_of_them(
    tmp_path: Path,
) -> None:
    bank = labelled_bank(tmp_path)
    found = bank_labels(bank, np.arange(len(bank.done)), ("jazz", "rock"))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(len(found)))
    assert (found[:4, 0] > 0.8).all() and (found[4:8, 1] > 0.8).all()
    jazz = found[:, 0]
    assert 0.4 < jazz[8] < 0.6  # like neither
    assert jazz[9] > 0.8 and 0.4 < jazz[10] < 0.6  # two pieces of jazz; one of each
    # Rows that are left out change nothing, and a label needs one row.
    some = np.array([0, 1, 4, 5, 9])
    assert (
        bank_labels(bank, some, ("jazz", "rock")).argmax(dim=1) == torch.tensor([0, 0, 1, 1, 0])
    ).all()
    with pytest.raises(
        TrainingError,
        match="no sound with one clip of 'rock' alone: make a new bank from --data",
    ):
        bank_labels(bank, some[:2], ("jazz", "rock"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--method", "linear"), "cannot learn from a --bank"),
        (("--method", "dora"), "cannot learn from a --bank"),
        (("--method", "scratch", "--shape", "tiny"), "choose another --shape"),
    ],
)
def test_a_bank_that_does_not_fit_the_network_is_refused(
    folder: Path, tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    result = run_finetune(
        "--data", folder / "data", "--out", tmp_path / "out", *SMALL, "--bank", folder / "out",
        *more,
    )  # fmt: skip
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_a_process_that_fails_ends_the_others_and_nothing_is_lost(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "count_cores", lambda: 2)
    bank = tmp_path / "bank"
    real = app.fit_projection

    def spoil(*arguments: Any) -> None:
        real(*arguments)
        (bank / app.PROJECTION).write_bytes(b"nothing")

    monkeypatch.setattr(app, "fit_projection", spoil)
    result = run(folder, bank)
    assert result.exit_code == 1
    assert "failed with status 1" in result.output
    assert (bank / app.WAVEFORMS).exists()  # so that the same command goes on


def test_rows_that_no_one_wants_any_more_are_not_computed(folder: Path, tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    shutil.copytree(folder / "out", bank)
    Bank(bank, writable=True).done[:] = 0
    np.save(bank / app.LENGTHS, np.ones(20, int))
    (bank / app.WAVEFORMS).write_bytes(bytes(40))
    front_end = app.shape_front_end("long")
    job = app.Job(bank, (folder / "musicnn.npz",), 0, [(1.0, range(20))], front_end)
    app.compute_share(job, 0, 1, lambda: False)
    assert not Bank(bank).done.any()


def test_without_any_music_one_line_says_so(tmp_path: Path) -> None:
    write_musicnn(tmp_path / "musicnn.npz", seed=1)
    for label in ("jazz", "rock"):
        for number in range(3):
            (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / label / f"{number}.wav").write_bytes(b"RIFF")
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "free.wav").write_bytes(b"RIFF")
    for _ in range(2):  # nothing is left that the second run would trust
        result = run(tmp_path, tmp_path / "bank")
        assert result.exit_code == 1
        assert "no clip can be decoded" in result.output


def test_held_out_clips_as_unlabelled_music_are_refused(folder: Path, tmp_path: Path) -> None:
    """A bank that was made with other --data may have them."""
    bank = tmp_path / "bank"
    shutil.copytree(folder / "out", bank)
    index = json.loads((bank / "bank.json").read_text())
    clips = json.loads((folder / "out" / "bank.json").read_text())["clips"]
    known = {(label, name) for label, name in clips}
    held_out = next(
        path
        for path in sorted((folder / "data").rglob("*.wav"))
        if (path.parent.name, path.stem) not in known
    )
    index["clips"] = [[label, name if label else str(held_out.resolve())] for label, name in clips]
    (bank / "bank.json").write_text(json.dumps(index))
    result = run_finetune(
        "--data", folder / "data", "--out", tmp_path / "out", *SMALL, "--bank", bank,
        "--method", "scratch", "--shape", "long",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "has a clip of the valid or test part as unlabelled music" in result.output


def test_a_window_shorter_than_the_teachers_is_refused(folder: Path, tmp_path: Path) -> None:
    result = run(folder, tmp_path / "bank", "--shape", "tiny")
    assert result.exit_code == 1
    assert "shorter windows than the 3 s of the teacher" in result.output
    assert not (tmp_path / "bank").exists()


def test_a_file_that_is_no_teacher_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    result = run(folder, tmp_path / "bank", "--teacher", tmp_path / "notes.txt")
    assert result.exit_code == 1
    assert "give musicnn's .npz or YAMNet's .tflite file" in result.output
    assert not (tmp_path / "bank").exists()
