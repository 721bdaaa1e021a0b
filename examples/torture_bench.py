"""What `torture.py` works on: copies of music, a state file, and tag-genres in child processes."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av  # noqa: F401 -- imported before forking, so that no child has to
import pandas  # noqa: F401

import tagger.app.undo  # noqa: F401
from tagger.app.request import TagRequest
from tagger.cli.tag import main as tag_genres
from tagger.errors import TagError
from tagger.files.atomic import SCRATCH_PREFIX
from tagger.files.scan import find_tracks
from tagger.models.find import find_model
from tagger.state.store import State
from tagger.tags.genre_tag import read_fields
from tagger.types import GenreFields, Prediction, Track

TRACEBACK = 70  # exit code of a child that ended with an exception which is not ours


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder, in memory if possible: kills work there too, and fsync costs nothing."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="torture-", dir=parent) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Bench:
    """A folder to work in: the originals, a copy of them, and an initial state file."""

    folder: Path
    originals: dict[str, bytes]
    fields: dict[str, GenreFields]

    @property
    def music(self) -> Path:
        """The copies that the runs change."""
        return self.folder / "music"

    @property
    def state(self) -> Path:
        """The state file of the runs."""
        return self.folder / "state.sqlite3"

    @property
    def report(self) -> Path:
        """The report of the runs."""
        return self.folder / "genres.csv"

    def reset(self) -> None:
        """Restore the originals, with their times, and the state that holds only predictions."""
        for path in self.folder.glob("state.sqlite3*"):
            path.unlink()
        shutil.rmtree(self.music, ignore_errors=True)
        shutil.copytree(self.folder / "originals", self.music)
        shutil.copy(self.folder / "template.sqlite3", self.state)

    def contents(self) -> dict[str, bytes]:
        """The content of every file now."""
        return {path.name: path.read_bytes() for path in sorted(self.music.iterdir())}

    def tag(self) -> list[object]:
        """The arguments that tag every file."""
        options = ["--write-tags", "--on-existing", "replace", "--min-confidence", 0]
        return [self.music, *options, "--csv", self.report, "--state", self.state, "--quiet"]

    def undo(self) -> list[object]:
        """The arguments that undo that."""
        return ["undo", "--state", self.state, "--quiet"]


def make_bench(music: Path, folder: Path) -> Bench:
    """Copy the files that can be tagged, and make up a prediction for each."""
    originals = folder / "originals"
    originals.mkdir()
    fields = {}
    for path in sorted(music.iterdir()):
        try:
            fields[path.name] = read_fields(path)
        except TagError:
            continue
        shutil.copy2(path, originals / path.name)
    bench = Bench(folder, {n: (originals / n).read_bytes() for n in fields}, fields)
    shutil.copytree(originals, bench.music)
    template = folder / "template.sqlite3"
    make_up_predictions(template, bench.music)
    return bench


def make_up_predictions(state_path: Path, music: Path) -> None:
    """Predictions of the bundled model for every track, as if an earlier run had made them."""
    request = TagRequest([music])
    info = find_model(request.model[0])
    plan = info.plan(request.options.windows).key
    shares = tuple(0.55 if label == "jazz" else 0.05 for label in info.labels)
    with State(state_path) as state, state.transaction():
        for track in find_tracks([music]):
            if isinstance(track, Track):
                prediction = Prediction(track, info.labels, shares, 1.0, 8, 60.0)
                state.save_prediction(prediction, info.fingerprint, plan)
    with State(state_path) as state:
        state.do("PRAGMA wal_checkpoint(TRUNCATE)")  # so that this file holds everything


def start(arguments: Sequence[object], before: Callable[[], None] = lambda: None) -> int:
    """Start tag-genres in a child and return its process id. `before` is called in the child."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = TRACEBACK
    try:
        with open(os.devnull, "w") as devnull:
            os.dup2(devnull.fileno(), 1)
            os.dup2(devnull.fileno(), 2)
        before()
        tag_genres([str(word) for word in arguments], standalone_mode=False)
        code = 0
    except SystemExit as exit:
        code = int(exit.code or 0)
    finally:
        os._exit(code)


def finish(child: int) -> int:
    """Wait for a child and return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def undo_all(bench: Bench) -> int:
    """Undo run after run until none is left; the worst exit code of those that did something."""
    worst = 0
    while (code := finish(start(bench.undo()))) != 1:  # 1: nothing to undo
        worst = max(worst, abs(code))
        if code not in (0, 3) or worst == 3:
            break
    return worst


def wrong_files(bench: Bench, allowed: Sequence[dict[str, bytes]]) -> Iterator[str]:
    """Files whose content is none of the allowed versions."""
    contents = bench.contents()
    for name in bench.originals:
        if contents.get(name) not in [version[name] for version in allowed]:
            yield f"{name} is neither old nor new"


def leftovers(bench: Bench) -> Iterator[str]:
    """Scratch files that should have been removed."""
    for path in [*bench.music.iterdir(), *bench.folder.iterdir()]:
        if path.name.startswith(SCRATCH_PREFIX):
            yield f"{path.name} was left behind"


def check_restored(bench: Bench) -> Iterator[str]:
    """Genre fields that differ from the originals."""
    for name, fields in bench.fields.items():
        try:
            now: GenreFields | None = read_fields(bench.music / name)
        except TagError:
            now = None
        if now != fields:
            yield f"{name}: undo did not restore its genre"
