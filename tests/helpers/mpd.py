"""A Music Player Daemon for the tests: it shows the tags of any file on request."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

CONFIG = """
music_directory "{home}"
bind_to_address "{home}/socket"
log_file "{home}/log"
database {{
    plugin "simple"
    path "{home}/database"
}}
audio_output {{
    type "null"
    name "nothing"
}}
"""


def by_mpd(paths: Sequence[Path]) -> list[tuple[tuple[str, ...], str, str]]:
    """Genres, title and artist of each file.

    Through a local socket the daemon shows files outside of its library too.
    """
    found = []
    with contextlib.closing(_connect(_daemon())) as connection:
        connection.settimeout(30)
        with connection.makefile("rw", encoding="utf-8", newline="\n") as stream:
            assert stream.readline().startswith("OK MPD")
            for path in paths:
                name = str(path).replace("\\", "\\\\").replace('"', '\\"')
                stream.write(f'lsinfo "file://{name}"\n')
                stream.flush()
                rows = [tuple(line.split(": ", 1)) for line in _answer(stream)]
                genres = tuple(row[1] for row in rows if row[0] == "Genre")
                single = dict(reversed(rows))  # the first counts
                found.append((genres, single.get("Title", ""), single.get("Artist", "")))
    return found


def mpd_version() -> str:
    return subprocess.run(["mpd", "--version"], stdout=subprocess.PIPE, text=True).stdout.split()[3]


def _answer(stream: Iterator[str]) -> Iterator[str]:
    for line in stream:
        if line.startswith(("OK", "ACK")):  # ACK: there is nothing in the file that it knows
            return
        yield line.rstrip("\n")


@cache
def _daemon() -> Path:
    """The socket of a daemon that ends with this process."""
    home = Path(tempfile.mkdtemp(prefix="mpd"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    config = home / "mpd.conf"
    config.write_text(CONFIG.format(home=home))
    process = subprocess.Popen(
        ["mpd", "--no-daemon", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    atexit.register(process.wait)
    atexit.register(process.terminate)
    end = time.monotonic() + 30
    while True:
        try:
            _connect(home / "socket").close()
            return home / "socket"
        except OSError:
            assert process.poll() is None and time.monotonic() < end, "mpd does not start"
            time.sleep(0.05)


def _connect(address: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(address))
    except OSError:
        connection.close()
        raise
    return connection
