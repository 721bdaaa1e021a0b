"""A random walk of runs, undos, other programs' edits and moves ends with the right genres."""

from __future__ import annotations

import os
import random
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import taglib
from helpers.containers import SUFFIX, packets
from helpers.known import Recorder, song
from helpers.stub_model import Model
from helpers.tagged import tag_with_mutagen

from tagger.app.request import TagRequest
from tagger.app.tag import tag_library
from tagger.app.undo import UndoRequest, undo_tags
from tagger.state.store import State
from tagger.tags.genre_tag import read_genres
from tagger.types import Action
from tagger.writing.by_hand import write_edit
from tagger.writing.edits import Edit
from tagger.writing.moved import same_genres
from tagger.writing.writer import Writer

W, F, U, P = Action.WRITTEN, Action.FAILED, Action.UNCHANGED, Action.WOULD_WRITE
KINDS = ["flac", "flac", "mp3", "mp3", "m4a", "vorbis", "wav", "wma", "wavpack", "dsf"]
NAMES = ["Drum & Bass", "Folk, World, & Country", "Hip-Hop", "Musica", "Jazz", "R&B", "Ope\u0301ra"]
Genres = tuple[str, ...]


@dataclass
class Entry:
    """A change that is in effect."""

    run: int
    before: Genres
    after: Genres


@dataclass
class Song:
    path: Path
    start: Genres
    audio: str
    now: Genres = ()
    title: str = ""
    entries: list[Entry] = field(default_factory=list)  # in effect, the last one last


class Walk:
    """A library, a state, and a model of what must happen to them."""

    def __init__(self, home: Path, seed: int, model: Model) -> None:
        self.home, self.file, self.model = home, home / "state.db", model
        self.random, self.number = random.Random(seed), 0
        self.undone: dict[int, dict[int, Entry]] = {}  # by undo run and song
        self.seen: Counter[str] = Counter()
        self.songs = []
        for number, kind in enumerate(KINDS):
            start = [("Polka",), ("Ska", "Polka"), ()][number % 3]
            name = f"{number} \u00fc{SUFFIX[kind]}"
            path = song(home / "Music" / "Artist" / f"Album {number % 2}" / name, *start, kind=kind)
            self.songs.append(Song(path, start, packets(path), start))

    def next(self) -> int:
        self.number += 1
        return self.number

    def some(self, most: int = 4) -> list[int]:
        return self.random.sample(range(len(self.songs)), self.random.randint(1, most))

    # what other programs and people do

    def retitle(self) -> None:
        for number in self.some():
            each = self.songs[number]
            each.title = f"Title {self.next()} " + "x" * self.random.choice([0, 3000])
            if self.random.random() < 0.5:
                tag_with_mutagen(each.path, title=[each.title])
                continue
            with taglib.File(each.path, save_on_exit=True) as file:
                genres = list(file.tags.get("GENRE", []))
                self.random.shuffle(genres)
                file.tags |= {"TITLE": [each.title], "RATING": ["5"], "GENRE": genres}

    def touch(self) -> None:
        for number in self.some():
            os.utime(self.songs[number].path, (1, 10**6 + self.next()))
            self.songs[number].path.chmod(self.random.choice([0o600, 0o644, 0o664]))

    def rename(self) -> None:
        for number in self.some():
            each = self.songs[number]
            folder = self.home / "Music" / self.random.choice(["A", "Artist/Album 0", "B/C/D"])
            folder.mkdir(parents=True, exist_ok=True)
            form = self.random.choice(["NFC", "NFD"])
            stem = unicodedata.normalize(form, f"{self.next():03} \u00fc\u00e9")
            each.path = each.path.rename(folder / f"{stem}{each.path.suffix}")

    def rename_folder(self) -> None:
        folder = self.random.choice(self.songs).path.parent
        new = folder.rename(folder.with_name(f"Album {self.next()}"))
        for each in self.songs:
            if each.path.is_relative_to(folder):
                each.path = new / each.path.relative_to(folder)

    def swap(self) -> None:
        """Two files of a kind swap their names."""
        number = self.random.choice([0, 2])
        first, second = self.songs[number : number + 2]
        temporary = first.path.with_name("x")
        first.path.rename(temporary)
        second.path.rename(first.path)
        temporary.rename(second.path)
        first.path, second.path = second.path, first.path

    def set_genre(self) -> None:
        (number,) = self.some(1)
        each = self.songs[number]
        each.now = (f"By hand {self.next()}",)
        tag_with_mutagen(each.path, genre=list(each.now))

    # what we do

    def run(self) -> None:
        """A run that only reports, over all files: none is predicted again."""
        self.model.given.clear()
        request = TagRequest([self.home / "Music"], csv=self.home / "g.csv", state=self.file)
        summary = tag_library(request, Recorder())
        assert summary.actions == {Action.PREDICTED: len(self.songs)}
        assert self.model.given == [] or self.number == 0

    def write(self) -> None:
        genres = tuple(self.random.sample(NAMES, self.random.choice([1, 1, 2])))
        with State(self.file) as state:
            run = state.begin_run("tag", "small", [self.home / "Music"])
            for number in self.some(6):
                each = self.songs[number]
                outcome = write_edit(Edit(2, each.path, genres, True), Writer(state, run))
                if outcome.action is U:
                    assert same_genres(genres, each.now)
                    continue
                assert outcome.action is W, outcome.reason
                each.entries.append(Entry(run, each.now, genres))
                each.now = genres
        self.next()

    def undo_last(self, *, force: bool = False) -> bool:
        runs = {entry.run for each in self.songs for entry in each.entries}
        if runs:
            self.undo(max(runs), force=force)
        return bool(runs)

    def undo_any(self) -> None:
        runs = sorted({entry.run for each in self.songs for entry in each.entries})
        if runs:
            self.undo(self.random.choice(runs))

    def undo(self, run: int, *, force: bool = False) -> None:
        by, actions = self.call(run, force=force)
        self.undone[by] = {}
        for number, each in enumerate(self.songs):
            entry = next((entry for entry in each.entries if entry.run == run), None)
            if entry is None:
                assert each.path not in actions
                continue
            is_last = entry is each.entries[-1]
            if is_last and (force or same_genres(each.now, entry.after)):
                wanted = W
            else:
                wanted = U if is_last and same_genres(each.now, entry.before) else F
            # A file whose genre somebody set and that moved may not be found, which is safe.
            got = actions.pop(each.path, None)
            assert got is wanted or (got is None and wanted is F), (each, run, actions)
            self.seen[wanted.value] += 1
            if wanted is not F:
                each.entries.remove(entry)
            if wanted is W:
                each.now = entry.before
                self.undone[by][number] = entry
        assert set(actions.values()) <= {F}

    def redo(self) -> None:
        """Undo the last undo."""
        by = max(self.undone, default=0)
        if not by or not self.undone[by]:
            return
        entries = self.undone.pop(by)
        _, actions = self.call(by)
        for number, entry in entries.items():
            each = self.songs[number]
            is_last = not each.entries or each.entries[-1].run < entry.run
            is_last = is_last and each.entries == [e for e in each.entries if e.run < by]
            wanted = W if is_last and same_genres(each.now, entry.before) else F
            if is_last and wanted is F and same_genres(each.now, entry.after):
                wanted = U
            got = actions.pop(each.path, None)
            assert got is wanted or (got is None and wanted is F), (each, by, actions)
            self.seen[f"redo {wanted.value}"] += 1
            if wanted is W:
                each.now = entry.after
            if wanted is not F:
                each.entries.append(entry)
        assert set(actions.values()) <= {F}

    def call(self, run: int, *, force: bool = False) -> tuple[int, dict[Path, Action]]:
        """Undo a run, first as a dry run; the number of the undo, and the action for each file."""
        found = []
        for dry_run in (True, False):
            progress = Recorder()
            undo_tags(UndoRequest([run], state=self.file, dry_run=dry_run, force=force), progress)
            actions = {item.path: item.action for item in progress.outcomes}
            found.append({path: W if it is P else it for path, it in actions.items()})
        assert found[0] == found[1]
        with State(self.file) as state:
            return state.do("SELECT max(id) FROM runs").fetchone()[0], found[1]

    def verify(self) -> None:
        for each in self.songs:
            assert same_genres(read_genres(each.path), each.now), each
            with taglib.File(each.path) as file:
                assert same_genres(file.tags.get("GENRE", ()), each.now), each
                assert file.tags.get("TITLE", [""]) == [each.title], each


@pytest.fixture
def walk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Walk:
    return Walk(tmp_path, request.param, Model(monkeypatch))


def steps(walk: Walk, count: int) -> None:
    walk.run()
    choices = [walk.retitle, walk.touch, walk.rename, walk.rename_folder, walk.swap]
    choices += [walk.set_genre, walk.run, walk.write, walk.write, walk.write]
    choices += [walk.undo_last, walk.undo_last, walk.undo_any, walk.redo]
    walk.number = 1
    for _ in range(count):
        walk.random.choice(choices)()
        walk.verify()
    while walk.undo_last(force=True):
        walk.verify()
    for each in walk.songs:
        assert packets(each.path) == each.audio


@pytest.mark.parametrize("walk", range(2), indirect=True)
def test_a_walk_ends_with_the_right_genres(walk):
    steps(walk, 30)


@pytest.mark.slow
@pytest.mark.parametrize("walk", range(10, 15), indirect=True)
def test_a_long_walk_ends_with_the_right_genres(walk):
    steps(walk, 200)
    assert all(walk.seen[action.value] > 10 for action in (W, F)) and walk.seen["redo written"] > 5
