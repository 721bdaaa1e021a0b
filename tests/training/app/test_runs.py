"""Runs that are killed, repeated, shared by processes, or followed by another training."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.clips import LABELS, write_clips
from helpers.command import ROOT, environment
from helpers.models import save_ast
from helpers.runs import (
    SMALL,
    TINY,
    Job,
    Moment,
    processes,
    run_finetune,
    trained,
    write_teacher,
)
from safetensors.torch import load_file

from training import evaluate
from training.app.run_folder import CHECKPOINT_FILES
from training.clips.find import find_clips
from training.options import RUN

# All results of a run: two runs can be compared byte for byte.
COMPARED = ("model.safetensors", "metrics.json", "config.json", "README.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips, teachers and a model that the runs share."""
    folder = tmp_path_factory.mktemp("shared")
    write_clips(folder / "data", per_label=5)
    write_clips(folder / "music", per_label=1)
    for clip in find_clips(folder / "music"):
        clip.path.rename(clip.path.with_name(f"other-{clip.path.name}"))
    for name in ("data", "music"):
        write_teacher(folder / f"{name}.npz", folder / name)
    save_ast(folder / "ast", LABELS, layers=1)
    return folder


def how(folder: Path, method: str) -> tuple[str, ...]:
    """Arguments of a short run that uses everything random."""
    teachers = [
        option
        for name in ("data", "music")
        for kind in ("--teacher", "--teacher-embedding")
        for option in (kind, folder / f"{name}.npz")
    ]
    arguments = {
        "scratch": (
            *(*TINY, "--steps", 14, "--refit-steps", 7, "--logistic-head"),
            *(*teachers, "--unlabelled", folder / "music"),
        ),
        "linear": (
            *(*SMALL, "--method", "linear", "--model", folder / "ast"),
            *("--epochs", 6, "--augment", "speed,echo", "--refit"),
        ),
    }
    return tuple(map(str, ("--data", folder / "data", *arguments[method])))


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> dict[str, Path]:
    """The results of runs in this process, without a kill."""
    return {
        method: trained(folder / "undisturbed" / method / "out", *how(folder, method))
        for method in ("scratch", "linear")
    }


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in COMPARED}


def steps_done(out: Path) -> list[int]:
    """The steps of the run's complete checkpoints."""
    found = (out / RUN).glob("checkpoint-*/average.safetensors")
    return sorted(int(path.parent.name.rpartition("-")[2]) for path in found)


# Killed and resumed

STEP = "training.loop.trainer:RunTrainer.training_step"
SAVED = "training.loop.callbacks:RunCallback.on_save"
MOMENTS = {
    "scratch": [
        Moment(STEP),  # before anything is saved
        Moment(STEP, time=6),  # in the middle of a step
        Moment(SAVED),  # a checkpoint lacks only what is written last
        Moment(SAVED, time=2, damage="run/checkpoint-*/optimizer.pt"),
        Moment("transformers.trainer:Trainer._save_rng_state"),
        Moment("training.app.finetune:save_checkpoint"),  # after the last step
        Moment("training.app.finetune:measure_parts"),
        Moment(STEP, time=2),  # of the second training
        Moment("training.app.finetune:write_outcome"),
    ],
    "linear": [
        Moment("training.train:pooled_outputs", time=2),
        Moment(STEP, time=4),
        Moment("torch:save"),
        Moment(SAVED, time=2),
        Moment("training.app.finetune:write_card"),
    ],
}


# The moments of the short form: one in each training, in a checkpoint, and after the last step.
SHORT = {"scratch": (3, 6, 7), "linear": (0, 3)}


@pytest.mark.parametrize(
    ("method", "numbers"),
    [
        *SHORT.items(),
        *(
            pytest.param(method, range(len(moments)), marks=pytest.mark.slow)
            for method, moments in MOMENTS.items()
        ),
    ],
)
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(
    folder: Path, undisturbed: dict[str, Path], method: str, numbers: Sequence[int]
) -> None:
    out = folder / f"killed-{len(numbers)}" / method / "out"
    log = folder / f"killed-{method}-{len(numbers)}.log"
    start = ("--out", str(out), *how(folder, method))
    resume = ("--out", str(out), "--resume")
    for number in numbers:
        moment = MOMENTS[method][number]
        status = Job(start if number == numbers[0] else resume, log, moment).run()
        assert status == -signal.SIGKILL, (moment, log.read_text())
    assert Job(resume, log).run() == 0, log.read_text()
    assert "resuming from step" in log.read_text()
    assert _same(contents(out), contents(undisturbed[method]))


def _same(actual: dict[str, bytes], expected: dict[str, bytes]) -> bool:
    return [name for name in expected if actual[name] != expected[name]] == []


def test_a_run_that_is_killed_from_outside_continues_from_its_last_checkpoint(
    folder: Path, undisturbed: dict[str, Path]
) -> None:
    out = folder / "outside" / "scratch" / "out"
    log = folder / "outside.log"
    process = Job(("--out", str(out), *how(folder, "scratch")), log).start()
    until = time.monotonic() + 60
    while not steps_done(out) and process.is_alive() and time.monotonic() < until:
        time.sleep(0.002)
    process.kill()
    process.join()
    done = steps_done(out)
    assert done and process.exitcode == -signal.SIGKILL
    refused = run_finetune("--out", out, *how(folder, "scratch"))
    assert refused.exit_code == 1 and "--resume" in refused.output.splitlines()[-1]
    other = run_finetune("--out", out, "--resume", "--learning-rate", 0.5)
    assert other.exit_code == 1
    assert "was started with another --learning-rate" in other.output.splitlines()[-1]
    assert steps_done(out) == done
    assert Job(("--out", str(out), "--resume"), log).run() == 0, log.read_text()
    assert f"resuming from step {done[-1]}" in log.read_text()
    assert _same(contents(out), contents(undisturbed["scratch"]))


# Repeated


@pytest.mark.parametrize("method", MOMENTS)
def test_equal_seeds_give_equal_bytes_in_another_process(
    folder: Path, undisturbed: dict[str, Path], method: str
) -> None:
    out = folder / "again" / method / "out"
    assert Job(("--out", str(out), *how(folder, method)), folder / "again.log").run() == 0
    assert _same(contents(out), contents(undisturbed[method]))


def test_another_seed_gives_other_weights(folder: Path, undisturbed: dict[str, Path]) -> None:
    out = trained(folder / "seed" / "out", *how(folder, "linear"), "--seed", 1)
    weights = "model.safetensors"
    assert (out / weights).read_bytes() != (undisturbed["linear"] / weights).read_bytes()


# Trained again on two parts


def test_a_refit_states_what_it_learned_from_and_the_figures_of_its_twin(
    folder: Path, undisturbed: dict[str, Path]
) -> None:
    out = undisturbed["scratch"]
    twin = out / RUN / "measured"
    configs = {at: json.loads((at / "config.json").read_text()) for at in (out, twin)}
    parts = {at: [row["parts"] for row in configs[at]["learned_from"]] for at in (out, twin)}
    assert parts == {out: [["train", "valid"]], twin: [["train"]]}
    assert configs[out]["temperature"] == configs[twin]["temperature"] != 1
    weights = [(at / "model.safetensors").read_bytes() for at in (out, twin)]
    assert weights[0] != weights[1]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["learned_from"] == ["train", "valid"]
    card = (out / "README.md").read_text()
    assert "8 clips, the train and valid parts" in card
    assert card.index("All figures are those of a twin") < card.index("On the validation part")
    lists = {at: json.loads((at / "clips.json").read_text()) for at in (out, twin)}
    assert [lists[at]["learned"] for at in (out, twin)] == [["train", "valid"], ["train"]]
    assert lists[out]["parts"] == lists[twin]["parts"]
    for part in ("valid", "test"):
        figures = folder / f"{part}.json"
        result = CliRunner().invoke(
            evaluate.main,
            [
                *("--data", str(folder / "data"), "--model", str(twin), "--split", "random"),
                *("--part", part, "--json", str(figures)),
                *("--device", "cpu", "--precision", "float32"),
            ],
        )
        assert result.exit_code == 0 and "warning" not in result.output
        # The one divides by the temperature and takes it back, the other does neither.
        measured, stated = map(_rounded, (json.loads(figures.read_text()), metrics[part]))
        assert {key: measured[key] for key in stated} == stated


@pytest.mark.parametrize(
    ("option", "said"),
    [(("--refit-steps", 3), "going on with"), (("--refit",), "training again on")],
)
def test_a_refit_with_its_own_steps_starts_from_the_trained_weights(
    folder: Path, tmp_path: Path, option: tuple[object, ...], said: str
) -> None:
    out = tmp_path / "out"
    result = run_finetune("--data", folder / "data", *TINY, "--steps", 8, *option, "--out", out)
    assert result.exit_code == 0
    goes_on = option[0] == "--refit-steps"
    assert f"{said} train and valid together, {3 if goes_on else 8} steps" in result.output
    assert "before the refit" in result.output
    card = " ".join((out / "README.md").read_text().split())
    assert ("went on from the twin's for 3 steps at 0.3 times" in card) == goes_on
    assert ("trained again, for the same number of steps" in card) != goes_on
    made, twin = (load_file(at / "model.safetensors") for at in (out, out / RUN / "measured"))
    change = max(float((made[name] - twin[name]).abs().max()) for name in made)
    # Three steps at 0.3 times the learning rate of 0.002; eight from the start change more.
    assert change > 0 and (change < 0.002) == goes_on
    assert json.loads((out / "metrics.json").read_text())["learned_from"] == ["train", "valid"]


def _rounded(figures: dict[str, object]) -> dict[str, object]:
    rounded: dict[str, object] = json.loads(
        json.dumps(figures), parse_float=lambda text: round(float(text), 6)
    )
    return rounded


# Shared by processes


@pytest.mark.parametrize("method", ["scratch", pytest.param("linear", marks=pytest.mark.slow)])
def test_two_processes_share_the_crops_of_one_run(folder: Path, method: str) -> None:
    out = folder / "shared" / method / "out"
    logs = [folder / f"shared-{method}-{rank}.log" for rank in (0, 1)]
    drawn = [folder / f"drawn-{method}-{rank}" for rank in (0, 1)]
    jobs = [
        Job(("--out", str(out), *how(folder, method)), log, environ=environ, drawn=numbers)
        for log, numbers, environ in zip(logs, drawn, processes(2), strict=True)
    ]
    started = [job.start() for job in jobs]
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0, 0], [log.read_text() for log in logs]
    assert {path.name for path in out.iterdir()} >= CHECKPOINT_FILES
    assert "saved" in logs[0].read_text() and "saved" not in logs[1].read_text()
    if method == "scratch":
        # The second training draws the same numbers again, of other clips.
        numbers = [[int(line) for line in path.read_text().split()] for path in drawn]
        assert sorted(numbers[0] + numbers[1]) == sorted([*range(14 * 4), *range(7 * 4)])
        assert not set(numbers[0]) & set(numbers[1])


@pytest.mark.slow
def test_torchrun_starts_two_processes(folder: Path) -> None:
    out = folder / "torchrun" / "out"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    arguments = ["2", "training/finetune.py", "--out", str(out), *how(folder, "scratch")]
    run = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env={**environment(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert {path.name for path in out.iterdir()} >= CHECKPOINT_FILES
    assert run.stderr.count(f"saved {out}") == 1 and os.environ.get("RANK") is None
