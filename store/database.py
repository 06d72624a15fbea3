"""The engine, and the two ways into it: `read()` and `write()`.

SQLite is shared by several processes (server, command line, assistants over stdio). What makes that work, all
of it measured: the busy timeout is set before anything else, the journal is a write-ahead log, a writing
transaction takes its lock at the start instead of failing half-way, and each process writes from one thread
at a time.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlmodel import Session, select

from store import migrations
from store.errors import Unavailable
from store.grouping import Grouped, Joint, Work, attempt
from store.tables import KeyRow, ProjectRow
from store.turns import turn

BUSY_TIMEOUT = 30_000  # milliseconds that a statement waits for another process's transaction
DEFAULT_PROJECT = "default"

P = TypeVar("P")
T = TypeVar("T")


class Database:
    """One SQLite file. Safe to use from several threads; transactions are short and never nested."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = threading.Lock()
        self._writer = _engine(path, "BEGIN IMMEDIATE", read_only=False)
        self._reader = _engine(path, "BEGIN", read_only=True)
        self._grouped = Grouped(self._commit_all)
        self.changes = (
            0  # transactions of `write()` that were committed here: what was read before may be old
        )

    @classmethod
    def open(cls, url: str) -> Self:
        """Open "sqlite:///path", make it where it is absent, bring its schema to head.

        Raises Unavailable, with one sentence, where that cannot be: another kind of URL, a folder that cannot
        be written, a file of another program, a schema of a newer version."""
        path = _path(url)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"The folder {path.parent} cannot be made: {error.strerror}.") from error
        database = cls(path)
        try:
            database.migrate()
            database._settle()
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A short transaction that sees one state and cannot write. Raises Unavailable."""
        with _in_words(self.path), Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that holds the write lock from its start; committed at the end, rolled back on an
        error.

        Raises Unavailable (`retry` where another process held the lock for too long). Not to be nested."""
        with (
            self._writing,
            turn(self.path),
            _in_words(self.path),
            Session(self._writer, autoflush=False, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session
        self.changes += 1

    def submit(self, joint: Joint[P, T], part: P) -> T:
        """Do a part of a writing transaction that is shared with others who wait at the same time: they are on disk
        by one sync, and those with the same `joint` are done by one call of it. Each is kept or rolled back on its
        own, and has its own answer or exception.

        `joint` is called again for each part alone where the parts cannot be kept together. Raises what it raises,
        and Unavailable as `write` does. Not to be nested."""
        return self._grouped.submit(joint, part)

    def submit_all(self, joint: Joint[P, T], parts: Sequence[P]) -> list[Work[T]]:
        """`submit` for several parts at once; each has its own `result()`."""
        return self._grouped.submit_all(joint, parts)

    def _commit_all(self, batch: Sequence[Work[Any]]) -> None:
        """Do the works of a batch, each in a savepoint of one transaction; their answers count once it is
        committed."""
        with (
            self._writing,
            turn(self.path),
            _in_words(self.path),
            self._writer.connect() as connection,
            connection.begin(),
        ):
            attempt(batch, connection)

    def migrate(self) -> None:
        """Bring the schema to head. Does nothing, and takes no write lock, where it is there already."""
        with _in_words(self.path):
            with self._reader.connect() as connection:
                if migrations.is_current(connection):
                    return
            with self._writing, self._writer.connect() as connection:
                _set_foreign_keys(connection, on=False)
                try:
                    with connection.begin():
                        if not migrations.is_current(connection):
                            migrations.upgrade(connection)
                finally:
                    _set_foreign_keys(connection, on=True)

    def compact(self) -> None:
        """Give the room of what was deleted back to the disk. Nobody else writes meanwhile."""
        with self._writing, turn(self.path), _in_words(self.path):
            connection = self._writer.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute("VACUUM")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                cursor.close()
            finally:
                connection.close()

    def close(self) -> None:
        """Let go of every connection. The last one to close folds the write-ahead log into the file."""
        self._reader.dispose()
        self._writer.dispose()

    def _settle(self) -> None:
        """See to it that the project `default` exists, with a key of its own that nobody else has."""
        with self.read() as session:
            if session.exec(select(ProjectRow.id)).first() is not None:
                return
        with self.write() as session:
            if session.exec(select(ProjectRow.id)).first() is not None:
                return
            now = datetime.now(UTC)
            session.add(ProjectRow(id=1, name=DEFAULT_PROJECT, created_at=now))
            session.flush()
            session.add(KeyRow(project_id=1, key=secrets.token_hex(16), created_at=now))


def _path(url: str) -> Path:
    """The file that a URL names. Raises Unavailable, without repeating a password, where it names none."""
    wanted = "The database must be a file, as in sqlite:///nightdesk.sqlite"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Unavailable(f"{wanted}; what was given is not a URL.") from error
    if parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise Unavailable(f"{wanted}, not {parsed.render_as_string(hide_password=True)}.")
    return Path(parsed.database or "")


def _engine(path: Path, begin: str, *, read_only: bool) -> Engine:
    """An engine whose transactions start with `begin`; the driver's own idea of when to start one is switched
    off."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT / 1000},
        max_overflow=-1,  # as many readers as there are threads: none waits for a connection
    )

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        else:
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _set_foreign_keys(connection: Connection, *, on: bool) -> None:
    """Past SQLAlchemy, because inside a transaction (and it starts one with the first statement) this has no
    effect."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Say what SQLite says so that a person knows what to do. Mistakes in our own statements stay what they
    are."""
    try:
        yield
    except DatabaseError as error:
        raise (_worded(path, error) or error) from error


def _worded(path: Path, error: DatabaseError) -> Unavailable | None:
    said = str(error.orig)
    if isinstance(error, OperationalError):
        if "locked" in said or "busy" in said:
            return Unavailable(
                f"The database {path} is being written by another process; try again.", retry=True
            )
        if "readonly" in said or "unable to open" in said:
            return Unavailable(
                f"The database {path} cannot be written; check the owner and rights of its folder."
            )
        if "full" in said or "disk I/O" in said:
            return Unavailable(f"The disk that holds {path} is full or failing: {said}.", retry=True)
    if type(error.orig) is sqlite3.DatabaseError:
        return Unavailable(
            f"The file {path} is damaged or not a database ({said}); restore a backup or move it away."
        )
    return None
