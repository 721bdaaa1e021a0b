"""What other programs show of a file: players, taggers and the libraries below them.

`shown_by("MPD", path, ...)` is what one of `PROGRAMS` shows of each file. A test is skipped,
with the name, where the program is not installed; with `REQUIRE_PROGRAMS=1`, as in CI, it fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest

from helpers.mpd import by_mpd, mpd_version


class Shown(NamedTuple):
    """What a program shows of a file; without a title, it knows no tag of this kind of file."""

    genres: tuple[str, ...] = ()
    title: str = ""
    artist: str = ""


@dataclass(frozen=True)
class Program:
    """How a program is asked: what it needs (a command or a module), what shows, its version."""

    needs: str
    show: Callable[[Sequence[Path]], list[Shown]]
    version: Callable[[], str]

    @property
    def is_here(self) -> bool:
        module = self.needs.partition(".")[0]  # of a name with a dot, `find_spec` imports a package
        return shutil.which(self.needs) is not None or find_spec(module) is not None


def need(name: str, is_here: bool) -> None:
    """Skip the test, with the name, if a program is not here; fail if all have to be."""
    if not is_here:
        required = os.environ.get("REQUIRE_PROGRAMS") == "1"
        (pytest.fail if required else pytest.skip)(f"{name} is not installed")


def shown_by(name: str, *paths: Path) -> list[Shown]:
    need(name, PROGRAMS[name].is_here)
    return PROGRAMS[name].show([path.absolute() for path in paths])


def genres_by(name: str, path: Path) -> list[str]:
    return list(shown_by(name, path)[0].genres)


# --- libraries ------------------------------------------------------------------------------------


def by_taglib(path: Path) -> Shown:
    import taglib

    try:
        with taglib.File(path) as media:
            tags = media.tags
    except OSError:  # not a kind that it knows
        return Shown()
    return Shown(tuple(tags.get("GENRE", ())), *("".join(tags.get(k, ())) for k in TITLE_ARTIST))


TITLE_ARTIST = ("TITLE", "ARTIST")


def by_mutagen(path: Path) -> Shown:
    import mutagen

    tags = getattr(mutagen.File(path), "tags", None) or {}
    if "TCON" in tags:
        genres = tags["TCON"].genres
    else:
        genres = next((tags[k] for k in ("\xa9gen", "WM/Genre", "GENRE") if _has(tags, k)), [])

    def first(*keys: str) -> str:
        return next((str(tags[key][0]) for key in keys if _has(tags, key)), "")

    title = first("TIT2", "\xa9nam", "Title")
    return Shown(
        tuple(map(str, genres)), title, first("TPE1", "\xa9ART", "Author", "Artist", "ARTIST")
    )


def _has(tags: object, key: str) -> bool:
    try:
        return key in tags  # type: ignore[operator]
    except ValueError:  # not a key that this kind of tag can have
        return False


def by_beets(path: Path) -> Shown:
    from beets.library import Item, ReadError

    try:
        item = Item.from_path(bytes(path))
    except ReadError:  # not a kind that it knows
        return Shown()
    return Shown(tuple(item.genres), item.title, item.artist)


# --- commands -------------------------------------------------------------------------------------


def output(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=60)
    return done.stdout.decode("utf-8", "replace")


def by_ffprobe(path: Path) -> Shown:
    command = ["ffprobe", "-v", "quiet", "-of", "json", "-show_format", "-show_streams"]
    seen = json.loads(output(*command, path) or "{}")
    parts = [*seen.get("streams", ()), seen.get("format", {})]
    tags = {key.lower(): value for part in parts for key, value in part.get("tags", {}).items()}
    return _of_tags(tags)


def _of_tags(tags: Mapping[str, str]) -> Shown:
    genres = (tags["genre"],) if "genre" in tags else ()
    return Shown(genres, tags.get("title", ""), tags.get("artist", ""))


def by_gstreamer(paths: Sequence[Path]) -> list[Shown]:
    """Several genres are one string to it, joined by a comma."""
    found: dict[str, dict[str, str]] = {str(path): {} for path in paths}
    # In one of twenty AIFFs it ends before it has read tags behind the audio, or waits for ever.
    for _ in range(8):
        # It does not know DSDIFF, and would wait for its timeout.
        asked = [path for path in found if not found[path] and not path.endswith(".dff")]
        if not asked:
            break
        tags: dict[str, str] = {}
        for line in output("gst-discoverer-1.0", "-v", "-t", "4", *asked).splitlines():
            key, colon, value = line.strip().partition(": ")
            if line.startswith("Done discovering "):
                tags = found[unquote(line.removeprefix("Done discovering file://"))]
            elif colon and key in ("genre", "title", "artist"):
                tags.setdefault(key, value)
    return [_of_tags(tags) for tags in found.values()]


def by_exiftool(paths: Sequence[Path]) -> list[Shown]:
    """With `-a`, as it shows only the last of several values otherwise."""
    fields = ["-Genre", "-Title", "-Artist", "-Author"]
    found = []
    for seen in json.loads(output("exiftool", "-j", "-a", "-G4", *fields, *paths)):
        rows = [(key.partition(":")[2], value) for key, value in seen.items()]
        values = [value for name, value in rows if name == "Genre"]
        genres = [g for value in values for g in (value if isinstance(value, list) else [value])]
        tags = dict(rows)
        artist = tags.get("Artist", tags.get("Author", ""))
        found.append(Shown(tuple(map(str, genres)), str(tags.get("Title", "")), str(artist)))
    return found


def by_mediainfo(paths: Sequence[Path]) -> list[Shown]:
    seen = json.loads(output("mediainfo", "--Output=JSON", *paths))
    found = []
    for file in seen if isinstance(seen, list) else [seen]:
        general: dict[str, str] = file["media"]["track"][0]
        genre = (general["Genre"],) if "Genre" in general else ()
        found.append(Shown(genre, general.get("Title", ""), general.get("Performer", "")))
    return found


def by_kid3(paths: Sequence[Path]) -> list[Shown]:
    """Of several tags, the one that it shows first."""
    commands: list[str] = []
    for path in paths:
        steps = {"cd": [str(path.parent)], "select": [path.name], "get": ["all"]}
        for method, values in steps.items():  # without spaces it answers in one line
            step = json.dumps({"method": method, "params": values}, separators=(",", ":"))
            commands += ["-c", step]
    found = []
    for line in output("kid3-cli", *commands).splitlines():
        result = json.loads(line)["result"]
        if result is None:
            continue  # of cd and select
        seen = result["taggedFile"]
        tag = next((seen[name] for name in ("tag2", "tag3", "tag1") if name in seen), {})
        rows = [(row["name"], row["value"]) for row in tag.get("frames", ()) if row["value"]]
        genres = [value for name, value in rows if name == "Genre"]
        genres = [part for value in genres for part in value.split("|")]  # how it shows several
        found.append(
            Shown(tuple(genres), dict(rows).get("Title", ""), dict(rows).get("Artist", ""))
        )
    return found


def by_quod_libet(path: Path) -> Shown:
    lines = output("operon", "list", "-t", "-c", "tag,value", path).splitlines()
    pairs = [line.partition(":")[::2] for line in lines]
    rows = [(tag, value.replace("\\:", ":")) for tag, value in pairs]
    genres = tuple(value for tag, value in rows if tag == "genre")
    title = dict(rows).get("title", "")
    title = "" if title == path.stem else title  # it takes the name for want of one
    return Shown(genres, title, dict(rows).get("artist", ""))


def by_minidlna(paths: Sequence[Path]) -> list[Shown]:
    """What a server with a library of these files alone stores in its database."""
    with tempfile.TemporaryDirectory(prefix="minidlna") as home:
        media, names = Path(home, "media"), [f"{i}{path.suffix}" for i, path in enumerate(paths)]
        media.mkdir()
        for name, path in zip(names, paths, strict=True):
            shutil.copy(path, media / name)
        _scan(Path(home), media)
        with contextlib.closing(sqlite3.connect(Path(home, "files.db"))) as database:
            query = "SELECT path, genre, title, artist FROM details WHERE path IS NOT NULL"
            rows = {Path(row[0]).name: row[1:] for row in database.execute(query)}
    return [_of_minidlna(name, rows.get(name)) for name in names]


def _scan(home: Path, media: Path) -> None:
    """Run minidlna, with its database in `home`, until it has read all in `media`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # free when this is closed
    config, log = home / "minidlna.conf", home / "minidlna.log"
    config.write_text(
        f"media_dir=A,{media}\ndb_dir={home}\nlog_dir={home}\nport={port}\n"
        "inotify=no\nnetwork_interface=lo\n"
    )
    command = ["minidlnad", "-S", "-f", config, "-P", home / "pid"]
    log.touch()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while "Finished parsing playlists" not in (said := log.read_text("utf-8", "replace")):
            assert server.poll() is None and time.monotonic() < end, said
            time.sleep(0.05)
    finally:
        server.kill()
        server.wait()


def _of_minidlna(name: str, row: tuple[str | None, ...] | None) -> Shown:
    if row is None:
        return Shown()
    genre, title, artist = row
    shown = "" if title in (None, Path(name).stem) else title  # it takes the name for want of one
    return Shown((genre,) if genre else (), shown or "", artist or "")


# --- all of them ----------------------------------------------------------------------------------


def each(show: Callable[[Path], Shown]) -> Callable[[Sequence[Path]], list[Shown]]:
    return lambda paths: [show(path) for path in paths]


def said(*command: str, word: int) -> Callable[[], str]:
    """A version among the words that a command prints about itself."""

    def version() -> str:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout.split()[word].strip("v.,")

    return version


def installed(name: str) -> Callable[[], str]:
    def version() -> str:
        from importlib.metadata import version as version_of

        return version_of(name)

    return version


PROGRAMS = {
    "TagLib": Program("taglib", each(by_taglib), installed("pytaglib")),
    "mutagen": Program("mutagen", each(by_mutagen), installed("mutagen")),
    "FFmpeg": Program("ffprobe", each(by_ffprobe), said("ffprobe", "-version", word=2)),
    "MPD": Program("mpd", lambda paths: [Shown(*row) for row in by_mpd(paths)], mpd_version),
    "GStreamer": Program(
        "gst-discoverer-1.0", by_gstreamer, said("gst-launch-1.0", "--version", word=2)
    ),
    "beets": Program("beets", each(by_beets), installed("beets")),
    "Quod Libet": Program("operon", each(by_quod_libet), said("operon", "--version", word=2)),
    "Kid3": Program("kid3-cli", by_kid3, said("dpkg-query", "-W", "kid3-cli", word=1)),
    "MediaInfo": Program("mediainfo", by_mediainfo, said("mediainfo", "--version", word=-1)),
    "exiftool": Program("exiftool", by_exiftool, said("exiftool", "-ver", word=0)),
    "minidlna": Program("minidlnad", by_minidlna, said("minidlnad", "-V", word=-1)),
}
