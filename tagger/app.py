"""One function a command: the only place where the parts meet."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from tagger.apply import read_outcome, undo_change, write_outcome
from tagger.decoders import decoder_versions
from tagger.errors import LibraryError, StateError
from tagger.genres import Policy, rank_genres
from tagger.library import NO_SUCH_PATH, find_tracks
from tagger.model import DEFAULT_MODEL, ModelInfo, find_model, load_model
from tagger.report import check_target, write_csv
from tagger.state import State
from tagger.types import Action, Failure, Outcome, Prediction, PredictOptions, Track
from tagger.windows import WindowPlan

T = TypeVar("T")


class Screen(Protocol):
    """How a command talks to a person while it works."""

    def say(self, message: str) -> None:
        """Show one line."""
        ...

    def detail(self, message: str) -> None:
        """Show one line to those who asked for more."""
        ...

    def bar(self, items: Iterable[T], total: int, label: str) -> Iterable[T]:
        """Pass the items on, and show how many of `total` have come."""
        ...


@dataclass(frozen=True, slots=True)
class TagRequest:
    """What `tag-genres PATH...` is asked to do."""

    paths: Sequence[Path]
    model: str = DEFAULT_MODEL
    write_tags: bool = False
    dry_run: bool = False
    csv: Path = Path("genres.csv")
    all_probabilities: bool = False
    state: Path | None = None
    policy: Policy = field(default_factory=Policy)
    options: PredictOptions = field(default_factory=PredictOptions)


@dataclass(slots=True)
class Summary:
    """What became of the tracks of a run."""

    run: int = 0
    state: Path | None = None  # as asked for
    actions: Counter[Action] = field(default_factory=Counter)
    genres: Counter[str] = field(default_factory=Counter)  # best genre of each predicted track
    untaggable: int = 0
    failures: list[Outcome] = field(default_factory=list)  # the first few, to be shown

    @property
    def how_to_undo(self) -> str:
        """The command that takes the tags of the run back; nothing if it wrote none."""
        if not self.actions[Action.WRITTEN]:
            return ""
        named = f" --state {shlex.quote(str(self.state))}" if self.state else ""
        return f"undo with: tag-genres undo --run {self.run}{named}"

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.actions[outcome.action] += 1
        if outcome.prediction is not None:
            self.genres[rank_genres(outcome.prediction)[0][0]] += 1
            self.untaggable += outcome.action is Action.PREDICTED and bool(outcome.reason)
        if outcome.action is Action.FAILED and len(self.failures) < 5:
            self.failures.append(outcome)


def predict(
    paths: Path | str | Iterable[Path | str],
    *,
    model: str = DEFAULT_MODEL,
    options: PredictOptions | None = None,
) -> list[Prediction | Failure]:
    """Predictions for files and folders, in order; what cannot be predicted is a `Failure`.

    Nothing is written, and no earlier run is looked at. Raises `CheckpointError` or `DeviceError`.
    On a GPU the decoders run in new processes: call it under `if __name__ == "__main__":`.
    """
    from tagger.inference import predict_tracks

    options = options or PredictOptions()
    given = [paths] if isinstance(paths, (str, Path)) else paths
    found = list(find_tracks(Path(path).expanduser() for path in given))
    loaded = load_model(find_model(model), options.device, options.precision)
    tracks = [item for item in found if isinstance(item, Track)]
    predicted = predict_tracks(tracks, loaded, loaded.info.plan(options.windows), options)
    return [next(predicted) if isinstance(item, Track) else item for item in found]


def tag_library(request: TagRequest, screen: Screen) -> Summary:
    """Predict what is not known yet, write genres if asked, and report on every track.

    Raises `LibraryError` if there is no track, and whatever model and state raise.
    """
    check_target(request.csv)
    info = find_model(request.model, screen.say)
    plan = info.plan(request.options.windows)
    found = list(screen.bar(find_tracks(request.paths), 0, "scanning"))
    if all(isinstance(item, Failure) and item.reason == NO_SUCH_PATH for item in found):
        names = ", ".join(str(path) for path in request.paths)
        why = NO_SUCH_PATH if found else "no audio file in it"
        raise LibraryError(f"{names}: {why}; name a folder that holds music, or a file")
    with State(request.state or default_state()) as state:
        state.add_model(info.fingerprint, info.name, info.labels)
        known = _Known(state, info, plan)
        _predict_unknown(found, known, request.options, screen)
        summary = Summary(state=request.state)
        if request.write_tags and not request.dry_run:
            summary.run = state.begin_run("tag", info.name)
        outcomes = _outcomes(found, known, request, summary, screen)
        labels = info.labels if request.all_probabilities else ()
        try:
            write_csv(outcomes, request.csv, model=info.name, labels=labels)
        except BaseException:  # a full disk or Ctrl-C: what was written so far can be undone too
            if summary.how_to_undo:
                screen.say(summary.how_to_undo)
            raise
    return summary


def undo_run(
    run: int | None, state_path: Path | None, screen: Screen, *, dry_run: bool
) -> tuple[int, list[Outcome]]:
    """Put back what a run wrote (default: the last of which something is left); its number, and
    an outcome per file.

    Raises `StateError` if there is no such run, or nothing to undo.
    """
    with State(state_path or default_state()) as state:
        chosen = state.last_run() if run is None else run
        if chosen is None:
            raise StateError(
                "nothing to undo: no tag that a run of this state file wrote still stands"
            )
        if not state.has_run(chosen):
            raise StateError(f"no run {chosen} that wrote tags is in {state.path}")
        changes = state.changes(chosen)
        if not changes:
            raise StateError(f"nothing to undo: run {chosen} wrote nothing that still stands")
        by = 0 if dry_run else state.begin_run("undo")
        bar = screen.bar(changes, len(changes), "undoing")
        return chosen, [undo_change(change, state, by, dry_run=dry_run) for change in bar]


def default_state() -> Path:
    """The state file in the user's state folder."""
    import platformdirs

    return platformdirs.user_state_path("tag-genres") / "state.sqlite3"


@dataclass(frozen=True, slots=True)
class _Known:
    """What earlier runs found out with this model and plan."""

    state: State
    info: ModelInfo
    plan: WindowPlan
    decoders: str = field(default_factory=decoder_versions)

    def prediction(self, track: Track) -> Prediction | None:
        return self.state.find_prediction(track, self.info.fingerprint, self.plan.key)

    def failure(self, track: Track) -> Failure | None:
        return self.state.find_failure(track, self.info.fingerprint, self.decoders)

    def save(self, result: Prediction | Failure, track: Track) -> None:
        if isinstance(result, Prediction):
            self.state.save_prediction(result, self.info.fingerprint, self.plan.key)
        elif result.lasting:
            self.state.save_failure(track, result.reason, self.info.fingerprint, self.decoders)


def _predict_unknown(
    found: list[Track | Failure], known: _Known, options: PredictOptions, screen: Screen
) -> None:
    """Predict the tracks that no earlier run did; a failure takes the place of its track."""
    tracks = [(place, item) for place, item in enumerate(found) if isinstance(item, Track)]
    unknown = [
        (place, track)
        for place, track in tracks
        if known.prediction(track) is None and known.failure(track) is None
    ]
    info = known.info
    what = f"{info.name} ({'bundled, ' if info.is_bundled else ''}{len(info.labels)} labels)"
    earlier = len(tracks) - len(unknown)
    counted = f"{len(tracks):,} track{'s' * (len(tracks) != 1)}"
    if earlier:
        counted += f", {earlier:,} known from earlier runs"
    if not unknown:
        screen.say(f"{what} · {counted}")
        return
    from tagger.inference import predict_tracks

    model = load_model(info, options.device, options.precision)
    screen.say(f"{what} on {model.device}, {model.precision} · {counted}")
    results = predict_tracks([track for _, track in unknown], model, known.plan, options)
    for (place, track), result in zip(
        unknown, screen.bar(results, len(unknown), "predicting"), strict=True
    ):
        known.save(result, track)
        if isinstance(result, Failure):
            found[place] = result


def _outcomes(
    found: list[Track | Failure],
    known: _Known,
    request: TagRequest,
    summary: Summary,
    screen: Screen,
) -> Iterator[Outcome]:
    """One outcome per track and failure, in order; genres are written on the way."""
    label = "writing" if request.write_tags else "reporting"
    for item in screen.bar(found, len(found), label):
        outcome = _outcome(item, known, request, summary.run)
        summary.add(outcome)
        best = rank_genres(outcome.prediction)[0][0] if outcome.prediction else ""
        detail = "; ".join(outcome.genres) or outcome.reason or best
        screen.detail(f"{outcome.action.value}: {outcome.path}: {detail}")
        yield outcome


def _outcome(item: Track | Failure, known: _Known, request: TagRequest, run: int) -> Outcome:
    if isinstance(item, Track):
        prediction = known.prediction(item)
        if prediction is None:
            failure = known.failure(item)
            item = failure or Failure(item.path, "another run changed it meanwhile; run again")
        elif request.write_tags or request.dry_run:
            return write_outcome(
                prediction, request.policy, known.state, run, dry_run=request.dry_run
            )
        else:
            return read_outcome(prediction)
    return Outcome(item.path, Action.FAILED, item.reason)
