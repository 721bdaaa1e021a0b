"""The folder of a run: protect the files in it, and store what `--resume` needs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tagger.models.checkpoint import first_unusable
from training.app.console import is_first
from training.errors import TrainingError
from training.options import FEATURES, OPTIONS, RUN, STUDY, VALID_FEATURES, FinetuneOptions

CHECKPOINT_FILES = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"}
RESULT_FILES = {"metrics.json", "learning-curve.png", "confusion.png", "clips.json"}


def check_output(options: FinetuneOptions) -> None:
    """Make room for a new run. Raises `TrainingError` if anything in the folder would be lost."""
    folder = options.out
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder", folder)
    if first_unusable([str(folder.absolute())]):  # TensorBoard cannot write there
        raise TrainingError(f"{folder} is not UTF-8, or holds control characters", folder)
    foreign = {path.name for path in folder.glob("*")} - CHECKPOINT_FILES - RESULT_FILES - {RUN}
    if foreign:
        raise TrainingError(f"{folder} holds {min(foreign)}; name a new or an empty folder", folder)
    run = folder / RUN
    searching = (run / STUDY).exists() and (run / OPTIONS).exists()
    if searching or any(run.glob("**/checkpoint-*")):
        raise TrainingError(
            f"{folder} holds an unfinished run: continue it with --resume, or delete {run}",
            folder,
        )
    if is_first():
        clear_run(run)


def clear_run(folder: Path) -> None:
    """Remove the files of an earlier run, except features, which the next run may reuse."""
    for path in sorted(folder.glob("**/*"), reverse=True):  # the content of a folder comes first
        if not path.is_dir():
            if path.name not in (FEATURES, VALID_FEATURES):
                path.unlink()
        else:
            with suppress(OSError):  # it holds features
                path.rmdir()


def start_run(options: FinetuneOptions, command: str) -> str:
    """Store the command and the options of a new run; return the command that started the run.

    The command of a `--resume` is not stored, since it does not say how the checkpoint was made.
    """
    folder = options.out / RUN
    folder.mkdir(parents=True, exist_ok=True)
    started = folder / "command.txt"
    if not started.exists():
        started.write_text(command + "\n", encoding="utf-8")
    if not (folder / OPTIONS).exists():
        options.dump(folder / OPTIONS)
    return started.read_text(encoding="utf-8").rstrip("\n")
