"""What is known of tracks with one model and plan: from earlier runs, or predicted now."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

from tagger.decoders import decoder_versions
from tagger.model import ModelInfo, load_model
from tagger.screen import Screen
from tagger.state import State
from tagger.types import Failure, Prediction, PredictOptions, Track
from tagger.windows import WindowPlan


@dataclass(frozen=True)
class Known:
    """What earlier runs found out with this model and plan."""

    state: State
    info: ModelInfo
    options: PredictOptions

    @cached_property
    def plan(self) -> WindowPlan:
        """Which windows are heard."""
        return self.info.plan(self.options.windows)

    @cached_property
    def decoders(self) -> str:
        """What a failure was found with; with anything else, its track is tried again."""
        return f"{decoder_versions()}, {self.options.decode_timeout:g} s"

    def find(self, track: Track) -> Prediction | Failure | None:
        """What is known of a track as it is."""
        found = self.state.find_prediction(track, self.info.fingerprint, self.plan.key)
        return found or self.state.find_failure(track, self.info.fingerprint, self.decoders)

    def prediction(self, item: Track | Failure) -> Prediction | Failure:
        """What there must be once all is predicted."""
        if isinstance(item, Failure):
            return item
        changed = Failure(item.path, "another program changed it meanwhile; run again")
        return self.find(item) or changed

    def save(self, result: Prediction | Failure, track: Track) -> None:
        """Keep what was found out; a failure only if the next run would find the same."""
        if isinstance(result, Prediction):
            self.state.save_prediction(result, self.info.fingerprint, self.plan.key)
        elif result.lasting:
            self.state.save_failure(track, result.reason, self.info.fingerprint, self.decoders)


def predict_unknown(found: list[Track | Failure], known: Known, screen: Screen) -> None:
    """Predict the tracks that no earlier run did; a failure takes the place of its track."""
    info, options = known.info, known.options
    known.state.add_model(info.fingerprint, info.name, info.labels, multi_label=info.multi_label)
    tracks = [(place, item) for place, item in enumerate(found) if isinstance(item, Track)]
    unknown = [(place, track) for place, track in tracks if known.find(track) is None]
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
    wanted = [track for _, track in unknown]
    with closing(predict_tracks(wanted, model, known.plan, options)) as results:
        shown = screen.bar(results, len(unknown), "predicting")
        for (place, track), result in zip(unknown, shown, strict=True):
            known.save(result, track)
            if isinstance(result, Failure):
                found[place] = result
