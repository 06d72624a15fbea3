"""Who is at work: a row for each worker, renewed while it lives.

A worker that ends in any way stops renewing, and three seconds later the others know. The rows are beside the engine's
own: in its file, or in its schema on PostgreSQL. Who only asks needs no engine. Times are those of one clock that
nobody can set: of the machine since it was started, or of the database's server, whatever the clocks of hosts say.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import NullPool

from store.database import backend_of
from store.postgres import Postgres

if TYPE_CHECKING:
    from server.config import Config

FILE = "work.sqlite"  # in the data folder; the engine's too
SCHEMA = "nightdesk_work"  # in a database on PostgreSQL; the engine's too
LEASE = 3.0  # seconds after the last sign of life
BEAT = 1.0  # seconds between two
STARTING = 30.0  # seconds that a worker which is being started may take to its first sign of life

QUEUES, ONE = "queues", "one"  # takes whatever waits; is there for one repair at a terminal
LEAVING = "leaving"  # finishes what it is at, and takes nothing more

_LOCK = 0x6C65617365  # of PostgreSQL, for whoever looks at the rows and writes one: "lease"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_COLUMNS = "(name TEXT PRIMARY KEY, takes TEXT NOT NULL, until DOUBLE PRECISION NOT NULL, boot TEXT NOT NULL)"
_ALIVE = text("SELECT name, takes FROM nightdesk_leases WHERE until > :now AND boot = :boot")
_LEAVE = text("DELETE FROM nightdesk_leases WHERE name = :name")
_FORGET = text("DELETE FROM nightdesk_leases WHERE until < :now OR boot != :boot")
_PUT = text(
    "INSERT INTO nightdesk_leases VALUES (:name, :takes, :until, :boot) "
    "ON CONFLICT (name) DO UPDATE SET takes = excluded.takes, until = excluded.until, boot = excluded.boot"
)


def place_of(config: Config) -> Path | URL:
    """Where an installation keeps who is at work and where it stands: a file of its own, or its PostgreSQL. Raises
    Unavailable for a database that is none."""
    backend = backend_of(config.database_url)
    return backend.url if isinstance(backend, Postgres) else config.data / FILE


def new_name() -> str:
    """A name no other worker has, here or on another machine; older workers sort first."""
    return f"{time.time_ns():x}-{os.getpid()}-{secrets.token_hex(4)}"


def since_start() -> float:
    """Seconds since this machine was started, suspended or not: the same for all its processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Leases:
    """The workers of one installation: of a folder, by the path of the engine's file, or of a database on PostgreSQL.

    `clock` gives seconds; all processes on one file have to share it. PostgreSQL is asked for its own."""

    def __init__(self, place: Path | URL, clock: Callable[[], float] = since_start) -> None:
        self._place, self._clock = place, clock
        self._engine = _on_server(place) if isinstance(place, URL) else _on_file(place)
        self._ready = False

    @classmethod
    def of(cls, config: Config) -> Leases:
        """Those of an installation."""
        return cls(place_of(config))

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
            connection.execute(_LEAVE, {"name": name})

    def alive(self) -> dict[str, str]:
        """Each living worker with what it takes, the oldest first."""
        with self._writing() as connection:
            return self._alive(connection)

    def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
        self._engine.dispose()

    def _alive(self, connection: Connection) -> dict[str, str]:
        now, boot = self._now(connection)
        rows = connection.execute(_ALIVE, {"now": now, "boot": boot})
        return dict(sorted((str(name), str(takes)) for name, takes in rows))

    def _put(self, connection: Connection, name: str, takes: str, seconds: float) -> None:
        now, boot = self._now(connection)
        connection.execute(_FORGET, {"now": now - 60, "boot": boot})
        values = {"name": name, "takes": takes, "until": now + seconds, "boot": boot}
        connection.execute(_PUT, values)

    def _now(self, connection: Connection) -> tuple[float, str]:
        """The time, and since which start of what it is counted."""
        if isinstance(self._place, URL):
            return float(
                connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
            ), ""
        return self._clock(), _BOOT.read_text().strip() if _BOOT.is_file() else ""

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A short transaction that nobody else has at the same time."""
        if isinstance(self._place, Path):
            self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._engine.begin() as connection:
            if not self._ready:
                if isinstance(self._place, URL):
                    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
                connection.execute(text(f"CREATE TABLE IF NOT EXISTS nightdesk_leases {_COLUMNS}"))
            yield connection
        self._ready = True


def _on_file(path: Path) -> Engine:
    """Not synced: a lease outlives no crash. A connection for each call, so that the file may be lost at any time."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30}, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def connected(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=OFF"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _on_server(url: URL) -> Engine:
    """One connection that is kept; it waits a few seconds for an answer and no longer, for a worker that cannot say
    that it lives has to know."""
    engine = create_engine(
        url,
        connect_args={
            "connect_timeout": 5, "application_name": "nightdesk leases", "tcp_user_timeout": 5000,
            "options": f"-c search_path={SCHEMA} -c lock_timeout=5s -c idle_in_transaction_session_timeout=5s "
            "-c synchronous_commit=off",
        },
        pool_size=1,
        pool_pre_ping=True,
    )  # fmt: skip

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    return engine
