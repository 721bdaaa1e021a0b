"""The SQLite file behind the state: opened, checked, migrated, and locked by one run.

Every error of SQLite becomes a `StateError` that says what to do.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tagger.errors import DamagedState, StateError
from tagger.state.migrations import MIGRATIONS

Self = TypeVar("Self", bound="Database")

APPLICATION = 0x74616767  # "tagg": marks our databases among those of other programs
MAGIC = b"SQLite format 3\0"
# Of a database: its application, its version, and how many tables and indices it has.
IDENTITY = (
    "SELECT * FROM pragma_application_id, pragma_user_version, (SELECT count(*) FROM sqlite_master)"
)
APPLICATION_AT = 68  # byte of the header: https://www.sqlite.org/fileformat.html
COMPANIONS = ("-journal", "-wal", "-shm")  # files that SQLite keeps next to a database
POLL_SECONDS, WAIT_SECONDS = 0.5, 60
# Writes outside a transaction do not wait for the disk, which may take longer than predicting a
# track. A kill loses none of them, a power failure only those that can be computed again.
NO_SYNC = "PRAGMA synchronous = NORMAL"

VERSION = len(MIGRATIONS)


def is_foreign(application: int, tables: int) -> bool:
    """Whether a database belongs to another program; an empty one belongs to nobody."""
    return application != APPLICATION and bool(tables or application)


class Database:
    """An open state file; a context manager.

    `ours` says that a file at this path is ours whatever it contains. Raises `DamagedState` for a
    damaged file of ours, and `StateError` for one that cannot be used; neither changes the file.
    """

    def __init__(self, path: Path, *, ours: bool = False) -> None:
        # The real path: a link to the file must not lead to a second lock.
        self.path = path = Path(os.path.realpath(path))
        self._ours = ours
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._check_kind()
            self._db = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StateError(self._advice(error)) from error
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _check_kind(self) -> None:
        """Refuse what is not a database: SQLite would overwrite a file of a few bytes."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            header = file.read(100)
        if header and not header.startswith(MAGIC):
            if self._ours:
                raise DamagedState(self._advice("it is damaged"))
            raise StateError(self._advice("it is not a state file"))
        owner = header[APPLICATION_AT : APPLICATION_AT + 4]
        self._ours |= owner == APPLICATION.to_bytes(4, "big")

    def _prepare(self) -> None:
        # All refusals come before the first write: it may be another program's file.
        owner, version, tables = self.do(IDENTITY).fetchone()
        if is_foreign(owner, tables):
            raise StateError(self._advice("it is the database of another program"))
        if version > VERSION:
            raise StateError(
                f"a newer version of tag-genres made {self.path}; "
                "upgrade, or name another file with --state"
            )
        if (found := self.do("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise DamagedState(self._advice(found.splitlines()[-1]))
        self._keep_wal()
        self.do(NO_SYNC)
        if version < VERSION:
            self._migrate()
        with self.transaction():  # report a read-only file now, not after an hour
            pass

    def _keep_wal(self) -> None:
        """Switch to WAL; SQLite does not wait for that while another run has the file open."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                self.do("PRAGMA journal_mode = WAL")
                return
            except StateError as error:
                if "locked" not in str(error.__cause__) or time.monotonic() > end:
                    raise
            time.sleep(POLL_SECONDS)

    def _migrate(self) -> None:
        with self.transaction():
            # Another run may have migrated the file while this one waited.
            version = self.do("PRAGMA user_version").fetchone()[0]
            for script in MIGRATIONS[version:]:
                for statement in script.split(";"):
                    self.do(statement)
            self.do(f"PRAGMA application_id = {APPLICATION}")
            self.do(f"PRAGMA user_version = {max(version, VERSION)}")

    def __enter__(self: Self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._db.close()

    def do(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Run one statement of SQL."""
        with self._advised():
            return self._db.execute(statement, tuple(values))

    def rows(self, statement: str, values: Iterable[Any] = ()) -> list[Any]:
        """All rows of a query; afterwards no lock is held on the file."""
        with self._advised():
            return self._db.execute(statement, tuple(values)).fetchall()

    def do_many(self, statement: str, rows: Iterable[Iterable[Any]]) -> None:
        """Run one statement of SQL with each of the rows as they arrive."""
        with self._advised():
            self._db.executemany(statement, map(tuple, rows))

    @contextmanager
    def _advised(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # locked, read-only, full
            raise StateError(self._advice(error)) from error
        except sqlite3.Error as error:
            damaged = self._ours and type(error) is sqlite3.DatabaseError
            raise (DamagedState if damaged else StateError)(self._advice(error)) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all that the block does, or nothing; once done, it survives a power failure."""
        self.do("PRAGMA synchronous = FULL")
        self.do("BEGIN IMMEDIATE")
        try:
            yield
            self.do("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.rollback()
            raise
        finally:
            self.do(NO_SYNC)

    def locked(self, notify: Callable[[str], None]) -> AbstractContextManager[None]:
        """Work with this file as the only run; see the function `locked`."""
        return locked(self.path, notify)

    def _advice(self, error: Exception | str) -> str:
        return _advice(self.path, error)


@contextmanager
def locked(path: Path, notify: Callable[[str], None]) -> Iterator[None]:
    """Let one run at a time work with a state file, so that two never do the same work.

    The lock is SQLite's own, on an empty file beside the state, and ends with the process. If
    another run holds it, `notify` is called with a message.
    """
    try:
        with closing(
            sqlite3.connect(f"{os.path.realpath(path)}-lock", timeout=0, isolation_level=None)
        ) as lock:
            if not _acquire(lock):
                notify(f"another run is using {path}; waiting until it is done")
                while not _acquire(lock):
                    time.sleep(POLL_SECONDS)
            yield
    except sqlite3.Error as error:
        raise StateError(_advice(path, error)) from error


def _acquire(lock: sqlite3.Connection) -> bool:
    """Take the lock if it is free, and return whether it is ours."""
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return False
        raise
    return True


def _advice(path: Path, error: Exception | str) -> str:
    return f"the state file {path} cannot be used ({error}); name another with --state"


def set_aside(path: Path) -> Path:
    """Rename a damaged state file and SQLite's files beside it; return its new path."""
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    numbered = chain([""], (f"-{number}" for number in count(2)))
    names = (path.with_name(f"{path.name}.damaged-{now}{number}") for number in numbered)
    aside = next(name for name in names if not any(map(os.path.lexists, _with_companions(name))))
    try:
        # The state file last: a new one must never find the companions of the old one beside it.
        for old, new in zip(_with_companions(path), _with_companions(aside), strict=True):
            if os.path.lexists(old):
                os.rename(old, new)
    except OSError as error:
        raise StateError(
            f"the state file {path} is damaged and cannot be moved aside ({error.strerror}); "
            "name another with --state"
        ) from error
    return aside


def _with_companions(path: Path) -> list[str]:
    return [f"{path}{end}" for end in (*COMPANIONS, "")]
