"""Measure a checkpoint on labelled clips: `python training/evaluate.py --data DIR [--model NAME]`.

The clips go through the tagger's own prediction, so that the figure is that of `tag-genres`. In
float32, the default here, it is the same on every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tagger.cli import window_count
from tagger.errors import TaggerError
from tagger.inference import predict_tracks
from tagger.model import DEFAULT_MODEL, find_model, load_model
from tagger.types import DEVICES, PRECISIONS, Failure, PredictOptions, Track
from training.errors import TrainingError
from training.gtzan import Clip, find_clips
from training.scores import Scores, describe, score
from training.splits import PARTS, SPLIT_HELP, SPLITS, make_split


def evaluate(
    clips: Sequence[Clip], model_name: str, options: PredictOptions
) -> tuple[Scores, list[Failure]]:
    """Scores of a model on clips, and the clips that could not be decoded.

    Raises `CheckpointError`, and `TrainingError` if nothing could be predicted.
    """
    info = find_model(model_name, lambda message: click.echo(message, err=True))
    model = load_model(info, options.device, options.precision)
    tracks = [Track(clip.path.absolute(), clip.path.stat().st_size, 0) for clip in clips]
    truth, predicted, failures = [], [], []
    results = predict_tracks(tracks, model, model.info.plan(options.windows), options)
    for clip, result in zip(clips, results, strict=True):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        truth.append(clip.label)
        predicted.append(result.ranked[0][0])
    if not truth:
        raise TrainingError("no clip to evaluate on could be decoded")
    return score(truth, predicted, model.info.labels), failures


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="A folder of clips per label.",
)
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Name, folder or hub id.")
@click.option(
    "--split", type=click.Choice(SPLITS), default="filtered", show_default=True, help=SPLIT_HELP
)
@click.option(
    "--part",
    type=click.Choice([*PARTS, "all"]),
    default="valid",
    show_default=True,
    help="Which part of the split to measure on.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of a random split.")
@click.option(
    "--windows", default="8", show_default=True, callback=window_count, help="Per clip, or 'all'."
)
@click.option("--device", type=click.Choice(DEVICES), default="cpu", show_default=True)
@click.option("--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True)
def main(
    data: Path,
    model: str,
    split: str,
    part: str,
    seed: int,
    windows: int | None,
    device: str,
    precision: str,
) -> None:
    """Print the accuracy of a checkpoint on one part of labelled clips, and its confusions."""
    try:
        clips: Sequence[Clip] = find_clips(data)
        if part != "all":
            clips = make_split(clips, split, seed).part(part)
        if not clips:
            raise TrainingError(f"no clip of the {part} part is in {data}")
        options = PredictOptions(windows=windows, device=device, precision=precision)
        scores, failures = evaluate(clips, model, options)
    except TaggerError as error:
        raise click.ClickException(str(error)) from error
    for failure in failures:
        click.echo(f"left out: {failure.path}: {failure.reason}", err=True)
    click.echo(
        f"model              {model}, {windows or 'all'} windows a clip, {precision} on {device}"
    )
    click.echo(f"part               {part if part == 'all' else f'{part} of the {split} split'}")
    click.echo(describe(scores))


if __name__ == "__main__":
    main()
