"""SQLite as the database: one file, shared by several processes (server, command line, assistants over stdio).

What makes that work, all of it measured: the busy timeout is set before anything else, the journal is a write-ahead
log, a writing transaction takes its lock at the start instead of failing half-way, and each process writes from one
thread at a time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, OperationalError

from store.errors import Unavailable
from store.turns import turn

BUSY_TIMEOUT = 30_000  # milliseconds that a statement waits for another process's transaction


class Sqlite:
    """One file. Implements `store.database.Backend`."""

    name = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder. Raises Unavailable."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"The folder {self.path.parent} cannot be made: {error.strerror}.") from error

    def engine(self, *, read_only: bool) -> Engine:
        """An engine whose transactions begin as ours have to; the driver's own idea of when to start one is switched
        off."""
        engine = create_engine(
            URL.create("sqlite", database=str(self.path)),
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
            connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

        return engine

    def turn(self) -> AbstractContextManager[None]:
        """Processes take turns to write."""
        return turn(self.path)

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        """Foreign keys are off while tables are made anew."""
        _set_foreign_keys(connection, on=False)
        try:
            yield
        finally:
            _set_foreign_keys(connection, on=True)

    def compact(self, writer: Engine) -> None:
        """Give the room of what was deleted back to the disk."""
        connection = writer.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.close()
        finally:
            connection.close()

    def size(self, reader: Engine) -> int:
        """Bytes on disk, with the write-ahead log."""
        parts = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(part.stat().st_size for part in parts if part.exists())

    def worded(self, error: DatabaseError) -> Unavailable | None:
        """What SQLite says so that a person knows what to do; None for a mistake in our own statements."""
        said = str(error.orig)
        if isinstance(error, OperationalError):
            if "locked" in said or "busy" in said:
                return Unavailable(
                    f"The database {self.path} is being written by another process; try again.", retry=True
                )
            if "readonly" in said or "unable to open" in said:
                return Unavailable(
                    f"The database {self.path} cannot be written; check the owner and rights of its folder."
                )
            if "full" in said or "disk I/O" in said:
                return Unavailable(f"The disk that holds {self.path} is full or failing: {said}.", retry=True)
        if type(error.orig) is sqlite3.DatabaseError:
            return Unavailable(
                f"The file {self.path} is damaged or not a database ({said}); restore a backup or move it away."
            )
        return None


def _set_foreign_keys(connection: Connection, *, on: bool) -> None:
    """Past SQLAlchemy, because inside a transaction (and it starts one with the first statement) this has no
    effect."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()
