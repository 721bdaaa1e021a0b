"""What a run says: interrupts, finished folders, figures that are the same everywhere."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import soundfile
import torch
from helpers.clips import LABELS, RATE, write_clips
from helpers.command import ROOT
from helpers.models import save_ast
from helpers.runs import SMALL, TINY, Job, Moment, run_finetune, trained

from training.app import data
from training.app.run_folder import CHECKPOINT_FILES, RESULT_FILES
from training.clips.decode import decode_clips
from training.console import reason_of_the_disk
from training.evaluation.metrics import Metrics
from training.loop.history import epoch_line, epoch_row
from training.loop.plan import LoopSettings
from training.options import OPTIONS, RUN, FinetuneOptions


def _torch(path: Path) -> None:
    torch.save(torch.zeros(10**6), path)


def _sqlite(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA max_page_count = 2")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (zeroblob(100000))")


# The results that tell two runs apart.
COMPARED = ("model.safetensors", "metrics.json", "config.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    write_clips(folder / "data", per_label=4)
    save_ast(folder / "ast", LABELS, layers=1)
    return folder


def scratch(folder: Path, *more: object) -> tuple[str, ...]:
    return tuple(map(str, ("--data", folder / "data", *TINY, "--steps", 4, *more)))


def linear(folder: Path, *more: object) -> tuple[str, ...]:
    how = ("--method", "linear", "--model", folder / "ast", "--epochs", 3)
    return tuple(map(str, ("--data", folder / "data", *SMALL, *how, *more)))


# Interrupted

MOMENTS = {
    "while clips are decoded": Moment("training.clips.decode:decode_clip", 2, signal.SIGINT),
    "while features are computed": Moment("training.train:pooled_outputs", 1, signal.SIGTERM),
    "in a step": Moment("training.loop.trainer:RunTrainer.training_step", 2, signal.SIGINT),
    "in a checkpoint": Moment("training.loop.callbacks:RunCallback.on_save", 1, signal.SIGTERM),
    "before the weights are saved": Moment("training.app.finetune:save_checkpoint", 1, 2),
    "while measuring": Moment("training.app.finetune:measure_parts", 1, signal.SIGTERM),
    "before the card": Moment("training.app.finetune:write_card", 1, signal.SIGINT),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupt_says_how_to_go_on_and_leaves_nothing_half_written(
    folder: Path, undisturbed: Path, tmp_path: Path, moment: str
) -> None:
    out, log = tmp_path / "my out", tmp_path / "log"
    assert Job(("--out", str(out), *linear(folder)), log, MOMENTS[moment]).run() == 130
    last = log.read_text().splitlines()[-1]
    assert re.fullmatch(
        rf"interrupted: continue with: \S+ \S*training/finetune.py --out '{out}' --resume", last
    )
    assert {path.name for path in out.iterdir()} == {RUN}
    assert Job(("--out", str(out), "--resume"), log).run() == 0, log.read_text()
    for name in ("model.safetensors", "config.json"):
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes()


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> Path:
    return trained(folder / "my out", *linear(folder))


def test_an_interrupt_before_anything_is_stored_says_so(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    early = Moment("training.app.finetune:choose_clips", 1, signal.SIGINT)
    assert Job(("--out", str(tmp_path / "out"), *linear(folder)), log, early).run() == 130
    assert log.read_text() == (
        "interrupted: nothing was saved yet; start again with the same command\n"
    )
    assert not (tmp_path / "out").exists()


def test_an_interrupt_while_files_are_moved_waits_for_all_of_them(
    folder: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "my out", tmp_path / "log"
    moving = Moment("pathlib:Path.rmdir", 1, signal.SIGINT)
    assert Job(("--out", str(out), *linear(folder)), log, moving).run() == 0
    assert (out / "model.safetensors").read_bytes() == (
        undisturbed / "model.safetensors"
    ).read_bytes()
    assert not (out / RUN / OPTIONS).exists()


def test_an_interrupt_before_an_unfinished_run_is_replaced_does_not_offer_that_run(
    folder: Path, tmp_path: Path
) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    stopped = Moment("training.app.finetune:measure_parts", 1, signal.SIGINT)
    assert Job(("--out", str(out), *scratch(folder)), log, stopped).run() == 130
    assert "--resume" in log.read_text().splitlines()[-1]
    early = Moment("training.app.finetune:choose_clips", 1, signal.SIGINT)
    again = ("--out", str(out), *scratch(folder), "--seed", "1", "--overwrite")
    assert Job(again, log, early).run() == 130
    assert log.read_text().splitlines()[-1].startswith("interrupted: nothing was saved yet")
    resume = ("--out", str(out), "--resume")
    early = Moment("training.app.finetune:load_data", 1, signal.SIGINT)
    assert Job(resume, log, early).run() == 130
    assert "--resume" in log.read_text().splitlines()[-1]
    assert Job(resume, log).run() == 0, log.read_text()


def test_a_run_is_resumed_only_where_its_clips_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / RUN).mkdir()
    FinetuneOptions(data=Path("data"), out=tmp_path).dump(tmp_path / RUN / OPTIONS)
    monkeypatch.chdir(tmp_path)
    result = run_finetune("--out", tmp_path, "--resume")
    assert result.exit_code == 1
    assert result.output == (
        "Error: data is not in this folder: resume the run where it was started\n"
    )


@pytest.mark.parametrize("script", ["finetune", "evaluate"])
def test_an_interrupt_while_modules_are_imported_ends_without_a_traceback(
    tmp_path: Path, script: str
) -> None:
    slow = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)"
    (tmp_path / "click.py").write_text(slow)
    ended = subprocess.run(
        [sys.executable, str(ROOT / "training" / f"{script}.py"), "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, b"", b"")


# The disk


@pytest.mark.parametrize(("method", "limit"), [("scratch", 30_000), ("linear", 8000)])
def test_a_file_that_cannot_be_written_ends_a_run_with_one_line_and_it_can_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, limit: int
) -> None:
    # The decoded clips are larger than what is to fail here; below they fail.
    monkeypatch.setattr(data, "stored_clips", lambda _, *rest: decode_clips(*rest))
    arguments = {"scratch": scratch, "linear": linear}[method](folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        result = run_finetune("--out", tmp_path / "my out", *arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    reason, _, rest = result.output.splitlines()[-1].partition("; ")
    assert reason in ("Error: File too large", "Error: the disk is probably full")
    assert re.fullmatch(rf"continue with: .* --out '{tmp_path}/my out' --resume", rest)
    assert run_finetune("--out", tmp_path / "my out", "--resume").exit_code == 0


def test_decoded_clips_for_which_there_is_no_space_end_a_run_with_one_line_and_it_can_go_on(
    folder: Path, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        result = run_finetune("--out", tmp_path / "out", *scratch(folder))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    reason, _, rest = result.output.splitlines()[-1].partition("; ")
    run = tmp_path / "out" / RUN
    assert re.fullmatch(
        rf"Error: {run}: File too large, and the decoded clips take about \d+ MB", reason
    )
    assert rest.endswith("--resume") and not list(run.glob("decoded.*"))
    assert run_finetune("--out", tmp_path / "out", "--resume").exit_code == 0
    assert not list(run.glob("decoded.*"))


@pytest.mark.parametrize("write", [_torch, _sqlite])
def test_libraries_that_have_their_own_words_for_a_full_disk(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(Exception) as caught:
            write(tmp_path / "file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert reason_of_the_disk(caught.value) == "the disk is probably full"


def test_other_errors_are_not_taken_for_those_of_a_disk() -> None:
    closed = BrokenPipeError(errno.EPIPE, "Broken pipe")
    for error in (ValueError("no"), RuntimeError("shape"), OSError("can't load"), closed):
        assert reason_of_the_disk(error) == ""


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/1/nowhere/m"])
def test_a_folder_that_cannot_be_made_is_named(folder: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    result = run_finetune("--out", tmp_path / place, *scratch(folder))
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.output
    assert re.match(
        rf"Error: ({tmp_path / 'file'}|/proc/1/nowhere)", result.output.splitlines()[-1]
    )


# Finished


def test_a_finished_model_is_replaced_only_on_request_and_only_by_a_complete_one(
    folder: Path, tmp_path: Path
) -> None:
    out = trained(tmp_path / "out", *scratch(folder))
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    refused = run_finetune("--out", out, *scratch(folder), "--seed", 1)
    assert refused.exit_code == 1
    assert refused.output.splitlines()[-1] == (
        f"Error: {out} holds a finished model: name another folder, or replace it with --overwrite"
    )
    log = tmp_path / "log"
    again = ("--out", str(out), *scratch(folder), "--seed", "1", "--overwrite")
    stopped = Moment("training.app.finetune:write_card", 1, signal.SIGTERM)
    assert Job(again, log, stopped).run() == 130, log.read_text()
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert Job(("--out", str(out), "--resume"), log).run() == 0, log.read_text()
    assert (out / "model.safetensors").read_bytes() != before["model.safetensors"]
    assert {path.name for path in out.iterdir()} == CHECKPOINT_FILES | RESULT_FILES | {RUN}


def test_an_unfinished_run_is_started_again_only_on_request(folder: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    stopped = Moment("training.app.finetune:measure_parts", 1, signal.SIGINT)
    assert Job(("--out", str(out), *scratch(folder)), log, stopped).run() == 130
    refused = run_finetune("--out", out, *scratch(folder))
    assert refused.exit_code == 1 and "--resume" in refused.output.splitlines()[-1]
    before = sorted((out / RUN).glob("**/*"))
    (tmp_path / "data" / "test").mkdir(parents=True)
    shutil.copy(next((folder / "data").glob("*/*")), tmp_path / "data" / "test")
    doubtful = ("--data", str(tmp_path / "data"), *TINY, "--steps", "4", "--overwrite")
    assert run_finetune("--out", out, *doubtful).exit_code == 1
    assert sorted((out / RUN).glob("**/*")) == before, "the data is unusable: nothing is replaced"
    assert "resuming" not in run_finetune("--out", out, *scratch(folder), "--overwrite").output


# One definition of every figure


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("method", ["scratch", "linear"])
def test_terminal_curve_and_card_have_the_same_figures_of_the_kept_epoch(
    folder: Path, tmp_path: Path, method: str, keep: str
) -> None:
    out = tmp_path / "out"
    arguments = {"scratch": scratch, "linear": linear}[method](folder, "--keep", keep)
    result = run_finetune("--out", out, *arguments)
    assert result.exit_code == 0, result.output
    metrics = json.loads((out / "metrics.json").read_text())
    kept = next(row for row in metrics["history"] if row["step"] == metrics["steps"])
    valid = metrics["valid"]
    assert kept["valid_accuracy"] == valid["accuracy"]
    assert kept["valid_balanced_accuracy"] == valid["balanced_accuracy"]
    plain = valid["uncalibrated"] or valid
    assert kept["valid_loss"] == pytest.approx(plain["log_loss"], abs=2e-5)
    best = max(row["valid_accuracy"] for row in metrics["history"])
    assert keep == "last" or kept["valid_accuracy"] == best
    lines = re.findall(r"^epoch .*", result.output, re.MULTILINE)
    assert len(lines) == len(metrics["history"])
    for line, row in zip(lines, metrics["history"], strict=True):
        assert line.endswith(
            f"train loss {row['train_loss']:.3f} accuracy {row['train_accuracy']:.3f}, "
            f"valid loss {row['valid_loss']:.3f} accuracy {row['valid_accuracy']:.3f}"
        )
    kept_words = f"Epoch {kept['epoch']:.3g} of {metrics['history'][-1]['epoch']:.3g} was kept"
    card = (out / "README.md").read_text()
    assert kept_words in card and kept_words in result.output
    low, high = valid["interval"]
    figure = f"accuracy {valid['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}), n = 2"
    assert f"valid: {figure}" in result.output
    assert f"accuracy           {valid['accuracy']:.3f}  (95 % interval {low:.3f}" in card


def test_the_line_of_an_epoch_fits_into_80_columns() -> None:
    names = ("train_loss", "train_accuracy", "loss", "accuracy")
    values = {f"eval_{name}": 1.234 for name in names}
    settings = cast(LoopSettings, SimpleNamespace(steps=200, epoch_steps=10.0))
    assert len(epoch_line(epoch_row(values, 191, settings), settings)) <= 80


def test_training_accuracy_is_the_share_of_crops_that_were_right(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.loop import trainer

    seen: list[bool] = []
    losses = trainer.student_losses

    def spy(outputs, targets, *rest):  # type: ignore[no-untyped-def]
        pairs = zip(outputs["logits"], targets["labels"], strict=True)
        seen.extend(bool(logits.argmax() == label.argmax()) for logits, label in pairs)
        return losses(outputs, targets, *rest)

    monkeypatch.setattr(trainer, "student_losses", spy)
    out = trained(tmp_path / "out", *scratch(folder, "--steps", 1))
    (row,) = json.loads((out / "metrics.json").read_text())["history"]
    assert len(seen) == 4 and row["train_accuracy"] == pytest.approx(np.mean(seen))


# A model that had learned from the clips it is measured on

GTZAN_NAMES = {
    "blues": ("train", "train", "valid", "test"),
    "jazz": ("train", "train", "valid", "test"),
}


@pytest.fixture(scope="module")
def gtzan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few clips with names of GTZAN's filtered split."""
    from training.clips.splits import FILTERED, read_list

    folder = tmp_path_factory.mktemp("gtzan")
    draw = np.random.default_rng(0)
    for label, parts in GTZAN_NAMES.items():
        (folder / label).mkdir()
        names = {
            part: [name for name in sorted(read_list(FILTERED / f"{part}.txt")) if label in name]
            for part in set(parts)
        }
        for part in parts:
            path = folder / label / f"{names[part].pop()}.wav"
            soundfile.write(path, draw.normal(0, 0.1, 3 * RATE), RATE)
    return folder


def gtzan_run(gtzan: Path, *more: object) -> tuple[str, ...]:
    small = ("--batch-size", 4, "--device", "cpu", "--precision", "float32", "--epochs", 1)
    return tuple(map(str, ("--data", gtzan, *small, *more)))


def test_for_gtzan_training_starts_from_the_twin_that_can_be_measured(
    gtzan: Path, tmp_path: Path
) -> None:
    result = run_finetune("--out", tmp_path / "out", *gtzan_run(gtzan))
    assert result.exit_code == 0, result.output
    assert "starting from gtzan-small-train" in result.output
    assert "remember" not in result.output
    assert "valid: accuracy" in result.output and "test: accuracy" in result.output
    assert "starting from gtzan-small-train" in (tmp_path / "out" / "README.md").read_text()


def test_a_remembered_figure_is_nowhere_called_accuracy(
    gtzan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    headings: list[str] = []
    title = Figure.suptitle

    def spy(figure, text, **rest):  # type: ignore[no-untyped-def]
        headings.append(text)
        return title(figure, text, **rest)

    monkeypatch.setattr(Figure, "suptitle", spy)
    out = tmp_path / "out"
    result = run_finetune("--out", out, *gtzan_run(gtzan, "--model", "gtzan-small"))
    assert result.exit_code == 0, result.output
    assert "warning: gtzan-small learned from the valid part" in result.output
    assert re.search(r"epoch .*, valid loss \d.\d+ remembered", result.output)
    assert re.search(r"^valid: remembers \d.\d+ of 2 clips", result.output, re.MULTILINE)
    assert "valid: accuracy" not in result.output and "test: accuracy" in result.output
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["warning"] and metrics["valid"]["known"] and not metrics["test"]["known"]
    assert not [name for name in metrics["valid"] if "accuracy" in name]
    for row in metrics["history"]:
        assert "valid_remembered" in row and "valid_accuracy" not in row
    card = (out / "README.md").read_text()
    valid, test = card.split("On the validation part.")[1].split("On the test part")
    assert "\n    accuracy" not in valid and "\n    remembered" in valid
    assert "\n    accuracy" in test
    curve, _ = headings
    assert "remembers" in curve and "no accuracy" in curve
    # Remembered clips would make the model far too sure of others.
    assert "temperature" not in json.loads((out / "config.json").read_text())


def test_metrics_know_whether_they_are_an_accuracy() -> None:
    from training.evaluation.metrics import as_json, label_metrics

    plain = label_metrics(["a", "b"], ["a", "a"], ["a", "b"])
    assert isinstance(plain, Metrics) and as_json(plain)["accuracy"] == 0.5


def test_a_run_that_diverges_ends_with_one_line(folder: Path, tmp_path: Path) -> None:
    result = run_finetune("--out", tmp_path / "out", *scratch(folder, "--learning-rate", 1e30))
    assert result.exit_code == 1 and "valid loss nan" in result.output
    assert result.output.splitlines()[-1].startswith("Error: the training diverged: use a smaller")
