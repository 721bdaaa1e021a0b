"""The folder of a run: protect the files in it, and store what `--resume` needs."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tagger.models.checkpoint import first_unusable
from tagger.writing.interrupts import uninterrupted
from training.clips.archives import is_archive, unpack
from training.clips.artists import read_tags
from training.clips.clip import Clip
from training.clips.split import PARTS, Split
from training.errors import TrainingError
from training.options import (
    DECODED,
    FEATURES,
    OPTIONS,
    RUN,
    SPLIT,
    STUDY,
    VALID_FEATURES,
    FinetuneOptions,
)

CHECKPOINT_FILES = {"config.json", "model.safetensors", "preprocessor_config.json", "README.md"}
RESULT_FILES = {"metrics.json", "learning-curve.png", "confusion.png", "clips.json"}


def check_output(folder: Path, *, overwrite: bool) -> None:
    """Raise `TrainingError` if a new run could not write, or if anything there would be lost.

    With `overwrite`, a finished model or an unfinished run may be lost, but no other file.
    """
    whole = folder.absolute()
    there = next(place for place in (whole, *whole.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise TrainingError(f"{folder if there == whole else there} is not a folder", folder)
    if not os.access(there, os.W_OK | os.X_OK):
        raise TrainingError(f"{folder} cannot be written: no permission in {there}", folder)
    if first_unusable([str(folder.absolute())]):  # TensorBoard cannot write there
        raise TrainingError(f"{folder} is not UTF-8, or holds control characters", folder)
    foreign = {path.name for path in folder.glob("*")} - CHECKPOINT_FILES - RESULT_FILES - {RUN}
    if foreign:
        raise TrainingError(f"{folder} holds {min(foreign)}; name a new or an empty folder", folder)
    run = folder / RUN
    searching = (run / STUDY).exists() and (run / OPTIONS).exists()
    if not overwrite and (searching or any(run.glob("**/checkpoint-*"))):
        raise TrainingError(
            f"{folder} holds an unfinished run: continue it with --resume, or start again with "
            "--overwrite",
            folder,
        )
    if not overwrite and any((folder / name).exists() for name in CHECKPOINT_FILES | RESULT_FILES):
        raise TrainingError(
            f"{folder} holds a finished model: name another folder, or replace it with --overwrite",
            folder,
        )


def clear_run(folder: Path) -> None:
    """Remove the files of an earlier run, except what the next run may reuse.

    Those are features and decoded clips, which say what they were made of.
    """
    for path in sorted(folder.glob("**/*"), reverse=True):  # the content of a folder comes first
        if not path.is_dir():
            if path.name not in (FEATURES, VALID_FEATURES, DECODED):
                path.unlink()
        else:
            with suppress(OSError):  # it holds some of them
                path.rmdir()


def start_run(options: FinetuneOptions, split: Split, command: str, *, resume: bool) -> str:
    """Store command, split and options of a new run; return the command that started the run.

    The files of an earlier run are removed, but an earlier model stays until the new one is
    complete. The command of a `--resume` is not stored, since it does not say how the checkpoint
    was made.
    """
    folder = options.out / RUN
    if not resume:
        clear_run(folder)
    folder.mkdir(parents=True, exist_ok=True)
    started = folder / "command.txt"
    if not started.exists():
        started.write_text(command + "\n", encoding="utf-8")
    if not (folder / OPTIONS).exists():
        text = json.dumps(asdict(split), default=str)
        (folder / SPLIT).write_text(text + "\n", encoding="utf-8")
        options.dump(folder / OPTIONS)  # the last, as `--resume` looks for it
    return started.read_text(encoding="utf-8").rstrip("\n")


def split_to_resume(options: FinetuneOptions) -> Split | None:
    """The split that an unfinished run started with, whatever was added to its data since.

    None for a run of an earlier version, which stored no split. Raises `TrainingError` if a clip
    is gone or has other audio.
    """
    path = options.out / RUN / SPLIT
    if not path.exists():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        for part in (*PARTS, "left_out"):
            stored[part] = tuple(Clip(**row | {"path": Path(row["path"])}) for row in stored[part])
        split = Split(**stored)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"the split of the run cannot be read: {path}: {error}") from error
    if is_archive(options.data):
        unpack(options.data)  # the cache may have been emptied
    used = [clip for part in PARTS for clip in split.part(part)]
    now = read_tags(used)
    if lost := [old.path for old, new in zip(used, now, strict=True) if old.audio != new.audio]:
        raise TrainingError(
            f"{len(lost)} of the {len(used)} clips of the run in {options.out} are gone or changed,"
            f" the first is {lost[0]}: bring them back, or start again with --overwrite"
        )
    return split


def forget_run(folder: Path) -> None:
    """Remove what `start_run` stored, if the run has stored nothing else: its data is unusable."""
    run = folder / RUN
    stored = {run / OPTIONS, run / SPLIT, run / "command.txt", run / DECODED}
    if set(run.iterdir()) <= stored:
        for path in stored:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # features of an earlier run, or an earlier model
            run.rmdir()
            folder.rmdir()


def publish(staged: Path, folder: Path) -> None:
    """Move the complete files of a run to their folder, in place of those of an earlier model.

    Then delete what `--resume` needs, also the decoded clips. Ctrl-C waits: the model is complete
    or as before.
    """
    with suppress(KeyboardInterrupt), uninterrupted():
        made = {path.name for path in staged.iterdir()}
        for name in (CHECKPOINT_FILES | RESULT_FILES) - made:
            (folder / name).unlink(missing_ok=True)
        for name in sorted(made):
            (staged / name).replace(folder / name)
        staged.rmdir()
        for checkpoint in (folder / RUN).glob("**/checkpoint-*"):
            shutil.rmtree(checkpoint)
        for path in (folder / RUN).glob(f"{Path(DECODED).stem}.*"):  # also what a kill has left
            path.unlink()
        (folder / RUN / OPTIONS).unlink()
        (folder / RUN / SPLIT).unlink(missing_ok=True)  # a run of an earlier version has none
