"""Who is at work on this folder: a row for each worker, renewed while it lives.

A worker that ends in any way stops renewing, and three seconds later the others know. Kept in the engine's own
file, by plain `sqlite3`: who only asks needs no engine.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

FILE = "work.sqlite"  # in the data folder; the engine's too
LEASE = 3.0  # seconds after the last sign of life
BEAT = 1.0  # seconds between two
STARTING = 30.0  # seconds that a worker which is being started may take to its first sign of life

QUEUES, ONE = "queues", "one"  # takes whatever waits; is there for one repair at a terminal

_TABLE = (
    "CREATE TABLE IF NOT EXISTS nightdesk_workers "
    "(name TEXT PRIMARY KEY, takes TEXT NOT NULL, until REAL NOT NULL)"
)


def new_name() -> str:
    """A name no other worker has, here or on another machine; older workers sort first."""
    return f"{time.time_ns():x}-{os.getpid()}-{secrets.token_hex(4)}"


class Leases:
    """The workers of one folder. `clock` gives seconds; all processes have to share it."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self._clock = path, clock

    def renew(self, name: str, takes: str) -> None:
        """Say that a worker lives."""
        with self._writing() as connection:
            self._put(connection, name, takes, LEASE)

    def reserve(self, name: str) -> bool:
        """Keep a place for a worker that is about to be started. False where one that takes whatever waits is
        alive, or being started, already."""
        with self._writing() as connection:
            if QUEUES in self._alive(connection).values():
                return False
            self._put(connection, name, QUEUES, STARTING)
            return True

    def leave(self, name: str) -> None:
        """Say that a worker has ended."""
        with self._writing() as connection:
            connection.execute("DELETE FROM nightdesk_workers WHERE name = ?", (name,))

    def alive(self) -> dict[str, str]:
        """Each living worker with what it takes, the oldest first."""
        with self._writing() as connection:
            return self._alive(connection)

    def _alive(self, connection: sqlite3.Connection) -> dict[str, str]:
        rows = connection.execute(
            "SELECT name, takes FROM nightdesk_workers WHERE until > ? ORDER BY name", (self._clock(),)
        )
        return dict(rows.fetchall())

    def _put(self, connection: sqlite3.Connection, name: str, takes: str, seconds: float) -> None:
        now = self._clock()
        connection.execute("DELETE FROM nightdesk_workers WHERE until < ?", (now - 60,))
        connection.execute(
            "INSERT INTO nightdesk_workers VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET takes = excluded.takes, until = excluded.until",
            (name, takes, now + seconds),
        )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A short transaction that has the write lock from its start. Not synced: a lease outlives no crash."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with closing(sqlite3.connect(self._path, timeout=30, isolation_level=None)) as connection:
            connection.execute("PRAGMA busy_timeout=30000")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute(_TABLE)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
