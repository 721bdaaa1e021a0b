"""A search for hyperparameters by Optuna; each trial is a run that is scored on the valid part."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from tagger.errors import first_line
from training.clips.split import Split
from training.errors import Diverged, OutOfMemory, TrainingError
from training.evaluation.metrics import ACCURACY
from training.hyperparameters import (
    Hyperparameters,
    as_params,
    from_params,
    in_words,
    method_values,
    search_space,
)
from training.loop.plan import ShouldStop
from training.options import (
    METHODS,
    STUDY,
    FinetuneOptions,
)

UNPRUNED = 5  # trials that always run to the end
WARM_UP = 0.25  # share of a run before which it is not pruned

# Trains with options in a folder, and stops when the third argument returns true.
Train = Callable[[FinetuneOptions, Path, ShouldStop], object]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The outcome of a search."""

    trials: int
    best: Hyperparameters
    value: float  # the best trial's accuracy on the valid part
    pruned: int

    def as_json(self) -> dict[str, object]:
        """For metrics.json; `best` holds only the options that varied."""
        best = {name: value for name, value in asdict(self.best).items() if value is not None}
        return asdict(self) | {"best": best}


@dataclass(frozen=True, slots=True)
class Trial:
    """Which trial of a search."""

    number: int  # from 1
    folder: Path
    judged: str  # what its score is called: see `training.loop.history.epoch_row`


@dataclass(slots=True)
class TrialReporter:
    """Reports a trial's accuracies to Optuna, and stops it if most others were better so far."""

    trial: optuna.Trial
    accuracies: list[float] = field(default_factory=list)
    pruned: bool = False

    def __call__(self, share: float, accuracy: float) -> bool:
        """Report one validation at a share of the run; true stops the run."""
        # By the number of the validation, not by step: steps depend on the batch size.
        self.trial.report(accuracy, len(self.accuracies))
        self.accuracies.append(accuracy)
        self.pruned = WARM_UP <= share < 1 and self.trial.should_prune()
        return self.pruned


def check_search(options: FinetuneOptions, split: Split) -> None:
    """Raise `TrainingError` if the requested search is not possible."""
    if not options.search:
        return
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError("--search runs in one process: leave out torchrun")
    if not split.valid:
        raise TrainingError(f"--search needs a valid part, but the {options.split} split has none")
    if not search_space(options):
        raise TrainingError("--search has nothing to vary: all its options were given")


def run_trials(
    options: FinetuneOptions,
    train: Train,
    folder: Path,
    say: Callable[[str], None],
    judged: str = ACCURACY,
) -> SearchResult:
    """The best of `options.search` trials; `folder` keeps the study.

    `judged` is what the score of a trial is called.

    Each trial trains in a folder that is removed afterwards. A killed search resumes with the
    interrupted trial; finished trials are not repeated. Raises `TrainingError` if the study cannot
    be read.
    """
    with opened_study(folder / STUDY, options.method) as study:
        for killed in study.get_trials(states=[TrialState.RUNNING]):
            study.tell(killed.number, state=TrialState.FAIL)
        done = len(finished(study))
        if done:
            say(f"resuming the search: {done} of {options.search} trials are done")
        for number in range(done + 1, options.search + 1):
            trial = Trial(number, folder / f"trial-{number}", judged)
            outcome = run_trial(study, options, train, trial)
            tried = from_params(finished(study)[-1].params)
            best, value = best_trial(study)
            say(
                f"trial {number}/{options.search}: {outcome}, {in_words(tried)} "
                f"(best so far {value:.3f}, trial {best})"
            )
        best, value = best_trial(study)
        trials = finished(study)
        found = from_params(trials[best - 1].params)
        say(f"of {len(trials)} trials the best is trial {best}: {in_words(found)}")
        pruned = sum(trial.state == TrialState.PRUNED for trial in trials)
        return SearchResult(len(trials), found, value, pruned)


def run_trial(study: optuna.Study, options: FinetuneOptions, train: Train, of: Trial) -> str:
    """Train with the parameters that Optuna proposes, store the accuracy, return the outcome.

    `KeyboardInterrupt`, and any other error that stops a run, is raised; the trial stays
    unfinished. The outcome is in words.
    """
    space = search_space(options)
    # Seeded by the trial's number: after a kill the same trial is proposed again, and then the
    # same ones as without the kill.
    seed = Random(f"{options.seed} {of.number}").getrandbits(32)
    study.sampler = optuna.samplers.TPESampler(seed=seed)
    if of.number == 1:
        own = as_params(method_values(METHODS[options.method]))
        study.enqueue_trial({name: own[name] for name in space})
    trial = study.ask(space)
    # "last": a trial is deleted when it ends, and needs no checkpoint of its best weights.
    chosen = replace(from_params(trial.params).replace_in(options), keep="last")
    reporter = TrialReporter(trial)
    failed = ""
    try:
        train(chosen, of.folder, reporter)
    except Diverged:
        failed = "diverged"
    except OutOfMemory:
        failed = "out of memory"
    finally:
        shutil.rmtree(of.folder, ignore_errors=True)
    if failed:
        study.tell(trial, 0.0)
        return failed
    seen = reporter.accuracies
    if reporter.pruned:
        study.tell(trial, state=TrialState.PRUNED)
        return f"pruned at valid {of.judged} {seen[-1]:.3f}"
    value = max(seen) if options.keep == "best" else seen[-1]
    study.tell(trial, value)
    return f"valid {of.judged} {value:.3f}"


@contextmanager
def opened_study(path: Path, name: str) -> Iterator[optuna.Study]:
    """A study in an SQLite file, which is created if missing. Raises `TrainingError`."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        url = sqlalchemy.URL.create("sqlite", database=str(path.absolute()))
        storage = optuna.storages.RDBStorage(url.render_as_string())
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED),
        )
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        reason = first_line(error)
        raise TrainingError(f"the search cannot be read: {path}: {reason}") from error
    try:
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials with a result, pruned ones included, in order."""
    return study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])


def best_trial(study: optuna.Study) -> tuple[int, float]:
    """The number (from 1) and accuracy of the best trial that was not pruned; of equals, the first.

    There is always one, because the first trials are not pruned.
    """
    complete = {
        number: float(trial.value or 0.0)
        for number, trial in enumerate(finished(study), 1)
        if trial.state == TrialState.COMPLETE
    }
    best = max(complete, key=lambda number: complete[number])
    return best, complete[best]
