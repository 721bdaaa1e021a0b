"""The folder of a run: what must not be lost in it, and what a later `--resume` needs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tagger.models.checkpoint import first_unusable
from training.app.console import is_first
from training.errors import TrainingError
from training.options import FEATURES, JUDGED_FEATURES, OPTIONS, RUN, STUDY, FinetuneOptions

CHECKPOINT_FILES = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"}
RESULT_FILES = {"metrics.json", "learning-curve.png", "confusion.png"}


def check_output(options: FinetuneOptions) -> None:
    """Make room for a new run. Raises `TrainingError` if anything in the folder would be lost."""
    folder = options.out
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder} is no folder", folder)
    if first_unusable([str(folder.absolute())]):  # TensorBoard cannot write there
        raise TrainingError(f"{folder} is not UTF-8, or holds control characters", folder)
    foreign = {path.name for path in folder.glob("*")} - CHECKPOINT_FILES - RESULT_FILES - {RUN}
    if foreign:
        raise TrainingError(f"{folder} holds {min(foreign)}; give a new or an empty folder", folder)
    run = folder / RUN
    searching = (run / STUDY).exists() and (run / OPTIONS).exists()
    if searching or any(run.glob("**/checkpoint-*")):
        raise TrainingError(
            f"{folder} holds a run that was not finished: go on with --resume, or delete {run}",
            folder,
        )
    if is_first():
        clear_run(run)


def clear_run(folder: Path) -> None:
    """Remove what an earlier run left, but for features: the next one may need the same."""
    for path in sorted(folder.glob("**/*"), reverse=True):  # what is in a folder comes before it
        if not path.is_dir():
            if path.name not in (FEATURES, JUDGED_FEATURES):
                path.unlink()
        else:
            with suppress(OSError):  # it holds features
                path.rmdir()


def begin_run(options: FinetuneOptions, command: str) -> str:
    """Write down what the run is, unless that was done; returns the command that started it.

    That of `--resume` says nothing of how the checkpoint was made.
    """
    folder = options.out / RUN
    folder.mkdir(parents=True, exist_ok=True)
    started = folder / "command.txt"
    if not started.exists():
        started.write_text(command + "\n", encoding="utf-8")
    if not (folder / OPTIONS).exists():
        options.dump(folder / OPTIONS)
    return started.read_text(encoding="utf-8").rstrip("\n")
