"""Bring a database forward on purpose: looked over first, and with a copy beside it to go back to.

Opening a database migrates it as well; this is for whoever wants to see it done, and to have the copy. On PostgreSQL a
migration is one transaction, and copies of older schemas are the business of `pg_dump`: none is made here.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from store import migrations
from store.copying import copy_rows
from store.database import Database, backend_of, in_words
from store.errors import Unavailable
from store.postgres import Postgres
from store.sqlite import Sqlite


@dataclass(frozen=True)
class Upgrade:
    """Which schema a database has and which one is the newest; `backup` is the copy that was made first."""

    current: str | None  # None: there is no database yet
    target: str | None
    backup: Path | None = None

    @property
    def due(self) -> bool:
        """Whether the database is behind."""
        return self.current != self.target


def stands_at(url: str) -> Upgrade:
    """Look, and change nothing. Raises Unavailable for what is no database of ours or of a newer version."""
    backend = backend_of(url)
    if isinstance(backend, Sqlite) and not backend.path.exists():
        with create_engine("sqlite://").connect() as empty:
            return Upgrade(None, migrations.revisions(empty)[1])
    engine = _looking(backend) if isinstance(backend, Sqlite) else backend.engine(read_only=True)
    try:
        with in_words(backend), engine.connect() as connection:
            migrations.is_current(connection)
            return Upgrade(*migrations.revisions(connection))
    finally:
        engine.dispose()


def bring_forward(url: str, backups: Path) -> Upgrade:
    """Check the database, copy a file into the folder of backups, migrate it. Where nothing is due, nothing is done.

    Raises Unavailable where it is damaged, or the copy has no room; the database is then as it was."""
    found = stands_at(url)
    if not found.due:
        return found
    backup, backend = None, backend_of(url)
    if found.current is not None and isinstance(backend, Sqlite):
        backup = _copy(backend.path, backups, found.current)
    Database.open(url).close()
    return Upgrade(found.current, found.target, backup)


def snapshot(url: str, copy: Path) -> None:
    """Copy a database that is in use, as it is at one moment, into a file of SQLite. Raises Unavailable."""
    backend = backend_of(url)
    if isinstance(backend, Postgres):
        _pour(url, f"sqlite:///{copy}")
        return
    assert isinstance(backend, Sqlite)  # noqa: S101 - there is no third
    try:
        with closing(_read_only(backend.path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise Unavailable(f"The database {backend.path} cannot be copied: {error}.") from error


def put_back(copy: Path, url: str) -> None:
    """Fill an empty database on PostgreSQL from such a file, which is brought to the newest schema first. Raises
    Unavailable."""
    _pour(f"sqlite:///{copy}", url)


def _pour(source: str, target: str) -> None:
    with closing(Database.open(source)) as full, closing(Database.open(target)) as empty:
        copy_rows(full, empty)


def _copy(path: Path, backups: Path, revision: str) -> Path:
    size = path.stat().st_size
    copy = backups / f"{path.stem}-{revision}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.sqlite"
    try:
        backups.mkdir(parents=True, exist_ok=True, mode=0o700)
        if shutil.disk_usage(backups).free < 2 * size:
            raise Unavailable(
                f"The copy needs {2 * size >> 20} MiB free below {backups}; make room and try again."
            )
        with closing(_read_only(path)) as source, closing(sqlite3.connect(copy)) as target:
            said = source.execute("PRAGMA integrity_check").fetchone()[0]
            if said != "ok":
                raise Unavailable(f"The database {path} is damaged ({said[:200]}); restore a backup.")
            source.backup(target)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"The database {path} cannot be copied to {copy}: {error}.") from error
    copy.chmod(0o600)
    return copy


def _looking(backend: Sqlite) -> Engine:
    """For a file that must not be touched, not even by making a write-ahead log."""
    return create_engine("sqlite://", creator=lambda: _read_only(backend.path), poolclass=NullPool)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30, check_same_thread=False
    )
