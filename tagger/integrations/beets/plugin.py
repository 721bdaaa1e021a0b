"""What beets calls: the command `beet tag-genres`, and a stage of its import."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from optparse import Values
from pathlib import Path
from typing import Any

import beets
from beets import ui
from beets.importer import ImportSession, ImportTask
from beets.library import Item, Library, ReadError
from beets.plugins import BeetsPlugin
from confuse import ConfigError

from tagger.app.config import MAY_BE_FILES
from tagger.app.given import decide_given
from tagger.app.request import TagRequest
from tagger.cli.console import Console
from tagger.cli.logfile import logged
from tagger.errors import TaggerError
from tagger.genres.provenance import FIELD, make_note
from tagger.integrations.beets.settings import options, read_settings
from tagger.types import Action, Outcome, TagInfo

NOTE = FIELD.lower()  # an attribute of items with what `--provenance` adds to a tag


class Plugin(BeetsPlugin):
    """Predicts the genres of items; beets stores them, and writes them as it writes all tags."""

    def __init__(self) -> None:
        super().__init__()
        if "genres" not in Item._fields:
            raise ui.UserError("tag-genres needs beets 2.7 or newer, which knows several genres")
        self.config.add({"auto": False})
        self.import_stages = [self.imported]

    def commands(self) -> list[ui.Subcommand]:
        """`beet tag-genres`, which takes all options that the config may have."""
        command = ui.Subcommand("tag-genres", help="predict genres from the sound")
        add = command.parser.add_option
        add("-p", "--pretend", action="store_true", help="show the changes, make none")
        for option in options():
            name = (option.name or "").replace("_", "-")
            action = "store_true" if option.is_flag else "append" if option.multiple else "store"
            add(f"--{name}", dest=name, action=action, help=option.help)
        command.func = self.command
        return [command]

    def command(self, lib: Library, opts: Values, args: list[str]) -> None:
        """Give the items of a query their genres; `--pretend` only shows them."""
        typed = {name: value for name, value in vars(opts).items() if value is not None}
        pretend = typed.pop("pretend", False)
        request = self._request(typed)
        counts: Counter[str] = Counter()
        items = list(lib.items(args))
        with self._albums_updated(() if pretend else items):
            for item, outcome in self._decided(items, request, Console()):
                name = outcome.action.value
                if outcome.action is Action.WOULD_WRITE and (unknown := _unknown_genres(item)):
                    self._log.warning(
                        "{.filepath} has the genre {}, which beets does not know; run "
                        "`beet update` to take it, or `beet write` to drop it",
                        item,
                        unknown,
                    )
                    name = Action.KEPT.value
                elif outcome.action is Action.WOULD_WRITE:
                    _set_genres(item, outcome, request)
                    ui.show_model_changes(item, fields=["genres"])
                    if not pretend:
                        item.try_sync(write=ui.should_write(), move=False)
                    name = "would change" if pretend else "changed"
                counts[name] += 1
        if counts:
            self._log.info(" · ".join(f"{name} {count}" for name, count in counts.items()))

    def imported(self, session: ImportSession, task: ImportTask) -> None:
        """With `auto`, give imported items their genres, before beets copies and writes files."""
        items = list(task.imported_items())
        try:
            if not self.config["auto"].get(bool):
                return
            request = self._request({})
            with self._albums_updated(items):
                for item, outcome in self._decided(items, request, Console(quiet=True)):
                    if outcome.action is Action.WOULD_WRITE:
                        _set_genres(item, outcome, request)
                        item.store()
        except (ConfigError, ui.UserError) as error:  # an import must not end for want of a genre
            self._log.warning("{}", error)

    def _request(self, typed: Mapping[str, Any]) -> TagRequest:
        """The request of the config's section and of the options that were typed."""
        section = {name: value for name, value in self.config.flatten().items() if name != "auto"}
        for (
            name,
            value,
        ) in typed.items():  # relative to the current folder
            section[name] = os.path.abspath(value) if name in MAY_BE_FILES else value
        try:
            return read_settings(section, Path(beets.config.user_config_path()))
        except TaggerError as error:
            raise ui.UserError(str(error)) from error

    def _decided(
        self, items: Iterable[Item], request: TagRequest, console: Console
    ) -> Iterator[tuple[Item, Outcome]]:
        """Each item with what the policy decides; reasons go to the log."""
        by_path = {Path(os.fsdecode(item.path)): item for item in items}
        if not by_path:
            return
        given = {path: _as_tag(item) for path, item in by_path.items()}
        try:
            with logged(request.state):
                for outcome in decide_given(given, request, console):
                    failed = outcome.action is Action.FAILED
                    log = self._log.warning if failed else self._log.debug
                    log("{0.path}: {0.action.value}: {0.reason}", outcome)
                    yield by_path[outcome.path], outcome
        except TaggerError as error:
            raise ui.UserError(str(error)) from error

    @contextmanager
    def _albums_updated(self, items: Iterable[Item]) -> Iterator[None]:
        """Give albums the new genres of their first item, as `beet update` does.

        An album whose genres are not those of its first item keeps them.
        """
        albums = {item.album_id: item.get_album() for item in items if item.album_id}
        followers = [
            album
            for album in albums.values()
            if album and (first := album.items().get()) and album.genres == first.genres
        ]
        try:
            yield
        finally:  # after Ctrl-C too, since some items are changed
            for album in followers:
                first = album.items().get()
                if first and album.genres != first.genres:
                    album.genres = first.genres
                    album.store(inherit=False)


def _as_tag(item: Item) -> TagInfo:
    return TagInfo(
        genres=tuple(item.genres),
        note=item.get(NOTE, "", with_album=False),
        album=item.album,
        album_artist=item.albumartist,
        artist=item.artist,
        compilation=bool(item.comp),
    )


def _unknown_genres(item: Item) -> str:
    """The genres in the file if another program set them since beets read them, else ""."""
    try:
        found = Item.from_path(item.path).genres
    except ReadError:
        return ""
    # Where beets writes no tags, its genres may differ from those of the file for ever.
    is_risky = ui.should_write() or not item.genres
    return "; ".join(found) if is_risky and set(found) != set(item.genres) else ""


def _set_genres(item: Item, outcome: Outcome, request: TagRequest) -> None:
    """Set the genres of an item, and our note about them if it is wanted."""
    item.genres = list(outcome.genres)
    is_mixed = request.policy.on_existing == "append" and outcome.existing
    if request.writing.provenance and not is_mixed:  # else a person's genres would count as ours
        model, confidence = " + ".join(request.model), outcome.ranked[0][1]
        item[NOTE] = make_note(outcome.genres, model=model, fingerprint="", confidence=confidence)
