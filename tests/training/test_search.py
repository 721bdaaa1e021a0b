"""A search for hyperparameters, with simulated trainings and with real ones on a tiny model."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner, Result
from helpers.clips import write_clips
from helpers.runs import Job, Moment

from training import finetune
from training import train as run
from training.clips.clip import Clip
from training.clips.splits import Split
from training.errors import Diverged, TrainingError
from training.hyperparameters import (
    BATCH_SIZES,
    LEARNING_RATES,
    Hyperparameters,
    as_params,
    from_params,
    search_space,
)
from training.loop.plan import ShouldStop
from training.options import METHODS, STUDY, FinetuneOptions
from training.search import (
    UNPRUNED,
    SearchResult,
    Train,
    check_search,
    finished,
    opened_study,
    run_trials,
)

VALIDATIONS = 8


def options(folder: Path, trials: int, **changed: Any) -> FinetuneOptions:
    chosen = {"method": "linear", "split": "random", "search": trials, "seed": 3} | changed
    return FinetuneOptions(data=folder / "data", out=folder / "out", **chosen)


def trials_of(folder: Path, method: str = "linear") -> list[optuna.trial.FrozenTrial]:
    with opened_study(folder / STUDY, method) as study:
        return study.get_trials()


def finished_params(folder: Path) -> list[dict[str, Any]]:
    with opened_study(folder / STUDY, "linear") as study:
        return [trial.params for trial in finished(study)]


def simulated(accuracy: Callable[[FinetuneOptions], float]) -> Train:
    """A training with one validation, whose accuracy follows from the options."""

    def train(chosen: FinetuneOptions, folder: Path, should_stop: ShouldStop) -> None:
        folder.mkdir(parents=True)
        should_stop(1, accuracy(chosen))

    return train


def rate(chosen: FinetuneOptions) -> float:
    return chosen.trained_by.learning_rate


def search_simulated(
    folder: Path, trials: int, train: Train | None = None, **changed: Any
) -> tuple[SearchResult, list[str]]:
    lines: list[str] = []
    chosen = options(folder, trials, **changed)
    found = run_trials(chosen, train or simulated(rate), folder, lines.append)
    return found, lines


# What is varied


def test_the_first_trial_has_the_methods_own_values(tmp_path: Path) -> None:
    found, _ = search_simulated(tmp_path, 1, method="full")
    method = METHODS["full"]
    assert found.best == Hyperparameters(
        learning_rate=method.learning_rate,
        weight_decay=method.weight_decay,
        batch_size=method.batch_size,
        augment=method.augment,
    )


def test_values_stay_near_the_methods_own(tmp_path: Path) -> None:
    search_simulated(tmp_path, 6)
    own = METHODS["linear"].learning_rate
    for params in finished_params(tmp_path):
        assert own / LEARNING_RATES <= params["learning_rate"] <= own * LEARNING_RATES
        assert params["batch_size"] in BATCH_SIZES


def test_given_options_are_not_varied(tmp_path: Path) -> None:
    seen: list[FinetuneOptions] = []

    def train(chosen: FinetuneOptions, folder: Path, should_stop: ShouldStop) -> None:
        seen.append(chosen)
        should_stop(1, 0.5)

    search_simulated(tmp_path, 4, train, learning_rate=1e-4, batch_size=5)
    assert {(chosen.learning_rate, chosen.batch_size) for chosen in seen} == {(1e-4, 5)}
    assert len({chosen.weight_decay for chosen in seen}) == 4
    given = {"learning_rate", "batch_size"}
    assert all(not given & params.keys() for params in finished_params(tmp_path))


def test_augmentation_is_varied_only_where_it_is_not_computed_beforehand(tmp_path: Path) -> None:
    assert "augment" not in search_space(options(tmp_path, 1, method="mlp"))
    sets = search_space(options(tmp_path, 1, method="full"))["augment"]
    assert sets.choices == (  # type: ignore[attr-defined]
        "none",
        "speed,specaugment,mixup",
        "faster,slower,highpass,lowpass,echo,mix",
    )


@pytest.mark.parametrize("kinds", [None, (), ("speed",), METHODS["full"].augment])
def test_optunas_parameters_give_the_values_back(kinds: tuple[str, ...] | None) -> None:
    values = Hyperparameters(learning_rate=0.5, batch_size=16, augment=kinds)
    assert from_params(as_params(values)) == values


def test_an_unknown_parameter_is_an_error() -> None:
    with pytest.raises(TrainingError, match="unknown parameter: learnig_rate"):
        from_params({"learnig_rate": 0.5})


def test_metrics_json_names_only_the_best_values_that_varied() -> None:
    best = Hyperparameters(learning_rate=0.5, augment=())
    assert SearchResult(3, best, 0.75, 1).as_json() == {
        "trials": 3,
        "best": {"learning_rate": 0.5, "augment": ()},
        "value": 0.75,
        "pruned": 1,
    }


def test_a_seed_decides_the_trials(tmp_path: Path) -> None:
    def params(name: str, seed: int) -> list[dict[str, Any]]:
        search_simulated(tmp_path / name, 3, seed=seed)
        return finished_params(tmp_path / name)

    one, same, other = params("one", 3), params("same", 3), params("other", 4)
    assert one == same
    assert one[0] == other[0] and all(a != b for a, b in zip(one[1:], other[1:], strict=True))


# How trials end


def test_the_best_trial_wins_and_the_first_of_equals(tmp_path: Path) -> None:
    found, lines = search_simulated(tmp_path, 6)
    params = finished_params(tmp_path)
    assert found.best.learning_rate == max(of["learning_rate"] for of in params)
    assert found.value == pytest.approx(found.best.learning_rate) and found.trials == 6
    best = params.index(as_params(found.best)) + 1
    assert lines[-1].startswith(f"of 6 trials the best is trial {best}: learning rate 0.00")
    found, _ = search_simulated(tmp_path / "equal", 3, simulated(lambda _: 0.5))
    assert as_params(found.best) == finished_params(tmp_path / "equal")[0]


@pytest.mark.parametrize(("keep", "value"), [("best", 0.9), ("last", 0.4)])
def test_a_trial_scores_the_validation_whose_weights_would_be_kept(
    tmp_path: Path, keep: str, value: float
) -> None:
    def train(chosen: FinetuneOptions, folder: Path, should_stop: ShouldStop) -> None:
        for number, accuracy in enumerate((0.1, 0.9, 0.4), 1):
            should_stop(number / 3, accuracy)

    assert search_simulated(tmp_path, 1, train, keep=keep)[0].value == value


def test_a_trial_worse_than_most_is_pruned_and_cannot_win(tmp_path: Path) -> None:
    lengths: list[int] = []

    def train(chosen: FinetuneOptions, folder: Path, should_stop: ShouldStop) -> None:
        good = len(lengths) < UNPRUNED
        lengths.append(0)
        for number in range(1, VALIDATIONS + 1):
            lengths[-1] += 1
            if should_stop(number / VALIDATIONS, 0.5 if good else 0.4):
                return

    found, lines = search_simulated(tmp_path, UNPRUNED + 1, train)
    # Nothing is pruned in the first quarter.
    assert lengths == [VALIDATIONS] * UNPRUNED + [2] and found.pruned == 1 and found.value == 0.5
    assert trials_of(tmp_path)[-1].state == optuna.trial.TrialState.PRUNED
    assert lines[-2].startswith("trial 6/6: pruned at valid accuracy 0.400, learning rate ")
    assert lines[-2].endswith("(best so far 0.500, trial 1)")


def test_a_diverged_trial_scores_zero_and_does_not_stop_the_search(tmp_path: Path) -> None:
    def train(chosen: FinetuneOptions, folder: Path, should_stop: ShouldStop) -> None:
        should_stop(1, 0.9)
        if chosen.learning_rate == METHODS["linear"].learning_rate:
            raise Diverged("not finite")

    found, lines = search_simulated(tmp_path, 2, train)
    assert as_params(found.best) == finished_params(tmp_path)[1] and found.value == 0.9
    assert lines[0].startswith("trial 1/2: diverged, ")


def test_trials_leave_no_folder(tmp_path: Path) -> None:
    search_simulated(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == [STUDY]


# Killed and resumed


def test_a_stopped_search_continues_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    calls: list[float] = []

    def stopped_twice(chosen: FinetuneOptions, folder: Path, should_stop: ShouldStop) -> None:
        calls.append(rate(chosen))
        if len(calls) in (3, 9):
            raise KeyboardInterrupt
        simulated(rate)(chosen, folder, should_stop)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            search_simulated(tmp_path / "stopped", 13, stopped_twice)
    found, lines = search_simulated(tmp_path / "stopped", 13, stopped_twice)
    assert lines[0] == "resuming the search: 7 of 13 trials are done"
    assert len(calls) == 13 + 2  # only the two that were stopped started again
    whole, _ = search_simulated(tmp_path / "whole", 13)
    assert found == whole
    assert finished_params(tmp_path / "stopped") == finished_params(tmp_path / "whole")


def test_a_finished_search_is_not_repeated(tmp_path: Path) -> None:
    def train(chosen: FinetuneOptions, folder: Path, should_stop: ShouldStop) -> None:
        raise AssertionError

    found, _ = search_simulated(tmp_path, 3)
    assert search_simulated(tmp_path, 3, train)[0] == found


def test_a_study_may_be_in_a_folder_of_any_name_but_must_be_a_database(tmp_path: Path) -> None:
    folder = tmp_path / "what? 100% {yes} #1 é"
    search_simulated(folder, 1)
    assert (folder / STUDY).exists()
    (folder / STUDY).write_text("nothing that a database would hold" * 100)
    with pytest.raises(TrainingError, match="cannot be read"):
        search_simulated(folder, 1)


# Refused


def test_a_search_needs_one_process_a_valid_part_and_something_to_vary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = Split((), (), ())
    check_search(options(tmp_path, 0), empty)
    with pytest.raises(TrainingError, match="the random split has none"):
        check_search(options(tmp_path, 1), empty)
    valid = Split((), (Clip(tmp_path, "a", "a.0"),), ())
    check_search(options(tmp_path, 1), valid)
    given = {"learning_rate": 1e-3, "weight_decay": 0.1, "batch_size": 4}
    with pytest.raises(TrainingError, match="nothing to vary"):
        check_search(options(tmp_path, 1, **given), valid)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="leave out torchrun"):
        check_search(options(tmp_path, 1), valid)


# Real runs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("search") / "data", per_label=6)


@pytest.fixture
def arguments(data: Path, tmp_path: Path, tiny_model: Path) -> list[str]:
    places = {"--data": data, "--out": tmp_path / "out", "--model": tiny_model}
    chosen = {"--method": "linear", "--split": "random", "--search": 3, "--epochs": 2}
    where = {"--device": "cpu", "--precision": "float32"}
    every = places | chosen | where
    return [str(word) for pair in every.items() for word in pair]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many windows each call of the frozen network gets."""
    counts: list[int] = []
    compute = run.pooled_outputs

    def spy(network: Any, front_end: Any, windows: Any, *rest: Any) -> Any:
        counts.append(len(windows))
        return compute(network, front_end, windows, *rest)

    monkeypatch.setattr(run, "pooled_outputs", spy)
    yield counts


def invoke(arguments: list[str], *more: str) -> Result:
    return CliRunner().invoke(finetune.main, [*arguments, *more])


def test_a_search_ends_in_a_checkpoint_trained_by_its_best(
    arguments: list[str], tmp_path: Path, batches: list[int]
) -> None:
    result = invoke(arguments)
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    lines = re.findall(r"^trial \d/3: valid accuracy .*", result.output, re.MULTILINE)
    assert len(lines) == 3
    found = json.loads((out / "metrics.json").read_text())["search"]
    trials = trials_of(out / "run")
    best = max(trials, key=lambda trial: trial.value or 0)
    assert found == {"trials": 3, "best": best.params, "value": best.value, "pruned": 0}
    assert "as the best of 3 trials" in (out / "README.md").read_text()
    assert (out / "model.safetensors").exists()
    assert not [*out.glob("run/trial-*"), *out.glob("**/checkpoint-*")]
    # Three windows of each train clip and six of each valid clip, once for all four runs.
    assert sum(batches) == 3 * 8 + 6 * 2
    history = json.loads((out / "metrics.json").read_text())["history"]
    assert max(row["valid_accuracy"] for row in history) == best.value  # the same run once more


def test_a_pruned_run_ends_at_once(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: trial.number == 1)
    result = invoke(arguments, "--search", "2", "--epochs", "8", "--batch-size", "8")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["search"]["pruned"] == 1
    whole, pruned = trials_of(tmp_path / "out" / "run")
    assert (len(whole.intermediate_values), len(pruned.intermediate_values)) == (8, 2)


def test_a_network_that_learns_starts_each_trial_from_the_same_weights(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums: list[float] = []
    train = run.train

    def spy(task: Any, *rest: Any) -> Any:
        weights = task.student.parameters()
        sums.append(sum(float(weight.detach().sum()) for weight in weights))
        return train(task, *rest)

    monkeypatch.setattr(run, "train", spy)
    changed = ["--method", "full", "--new-head", "--search", "2", "--steps", "2"]
    result = invoke(arguments, *changed, "--augment", "none")
    assert result.exit_code == 0, result.output
    assert len(sums) == 3 and len(set(sums)) == 1


def test_a_killed_search_is_kept_and_continues(
    arguments: list[str], tmp_path: Path, batches: list[int]
) -> None:
    second_trial = Moment("training.app.finetune:train_network", time=2)
    log = tmp_path / "killed.log"
    assert Job(tuple(arguments), log, second_trial).run() == -signal.SIGKILL, log.read_text()
    again = invoke(arguments)
    assert again.exit_code == 1 and "continue it with --resume" in again.output
    result = invoke(arguments, "--resume")
    assert result.exit_code == 0, result.output
    assert "resuming the search: 1 of 3 trials are done" in result.output
    assert not batches  # the features were there
    states = [trial.state.name for trial in trials_of(tmp_path / "out" / "run")]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    one, two = trials_of(tmp_path / "out" / "run")[1:3]
    assert one.params == two.params


def test_after_a_kill_in_the_last_training_the_search_is_not_repeated(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.app import finetune as app

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(app, "save_checkpoint", stopped)
        assert invoke(arguments).exit_code == 130
    result = invoke(arguments, "--resume")
    assert result.exit_code == 0, result.output
    assert "trial 1/3" not in result.output and "resuming from step" in result.output


def test_several_processes_are_refused_with_one_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = invoke(arguments)
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: --search runs in one process")
    assert not (tmp_path / "out").exists()
