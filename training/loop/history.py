"""The rows of the learning curve, one for each validation; the terminal shows the same values."""

from __future__ import annotations

from collections.abc import Mapping

from training.loop.plan import LoopSettings

NAMES = (
    "train_loss",
    "train_accuracy",
    *(
        f"valid_{name}"
        for name in ("loss", "accuracy", "balanced_accuracy", "remembered", "balanced_remembered")
    ),
    "valid_explained",
)


def epoch_row(metrics: Mapping[str, float], step: int, settings: LoopSettings) -> dict[str, float]:
    """What was measured when a run was validated after a step.

    - `train_loss`, `train_accuracy`: means over the crops learned from since the previous row, as
      the network predicted them just before it learned from them: single windows, augmented, and
      by the weights of each step. A mixed crop counts for the label that it has most of.
    - `valid_loss`, `valid_accuracy`, `valid_balanced_accuracy`: of the valid part as the tagger
      predicts it with the weights that would be saved now, at the temperature that would be fitted
      now (the loss: at temperature 1). If the initial network had learned from these clips, the
      latter two are called `valid_remembered` and `valid_balanced_remembered`.
    - `valid_explained`: with a bank, how much of the variance of the teachers' outputs the network
      predicts for sounds of the valid part (R2); its `train_accuracy` is how often network and
      teachers agree on the label, since no one knows that of a mixture.

    A run of an earlier version, or one without a valid part, has only some of them.
    """
    row = {"epoch": step / settings.epoch_steps, "step": float(step)}
    for name in NAMES:
        logged = f"eval_{name.removeprefix('valid_')}"
        if logged in metrics:
            row[name] = metrics[logged]
    return row


def epoch_line(row: Mapping[str, float], settings: LoopSettings) -> str:
    """A row for the terminal."""
    last = settings.steps / settings.epoch_steps
    left_out = {name for name in NAMES if "balanced" in name}
    if "valid_explained" in row:
        left_out.add("train_accuracy")  # there is no room for both
    parts = []
    for part in ("train", "valid"):
        shown = [
            f"{name.removeprefix(f'{part}_')} {row[name]:.3f}"
            for name in NAMES
            if name in row and name.startswith(part) and name not in left_out
        ]
        if shown:
            parts.append(" ".join([part, *shown]))
    # As short as 80 columns demand.
    return f"epoch {row['epoch']:.3g}/{last:.3g}: {', '.join(parts)}"


def history(logs: list[dict[str, float]], settings: LoopSettings) -> list[dict[str, float]]:
    """A row for each validation in the Trainer's logs."""
    return [
        epoch_row(log, int(log["step"]), settings)
        for log in logs
        if "eval_train_loss" in log or "eval_loss" in log
    ]
