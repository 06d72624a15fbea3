"""The engine, and the two ways into it: `read()` and `write()`.

What is the same on SQLite and on PostgreSQL stands here, what differs in `sqlite` and `postgres`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlmodel import Session, select

import store.host_tables  # noqa: F401 - its tables are of every database
from store import migrations
from store.errors import Unavailable
from store.grouping import Grouped, Joint, Work, attempt
from store.postgres import Postgres
from store.sqlite import Sqlite
from store.tables import KeyRow, ProjectRow

DEFAULT_PROJECT = "default"

P = TypeVar("P")
T = TypeVar("T")


class Backend(Protocol):
    """What SQLite and PostgreSQL do in their own ways."""

    @property
    def name(self) -> str:
        """SQLAlchemy's name of the dialect."""
        ...

    def prepare(self) -> None:
        """What has to be there before the first connection. Raises Unavailable."""
        ...

    def engine(self, *, read_only: bool) -> Engine:
        """An engine for readers, which see one state and cannot write, or for whoever writes, one at a time."""
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Held by whoever writes, so that nobody waits for ever."""
        ...

    def migrating(self, connection: Connection) -> AbstractContextManager[None]:
        """Held around a migration."""
        ...

    def compact(self, writer: Engine) -> None:
        """Give the room of what was deleted back to the disk."""
        ...

    def size(self, reader: Engine) -> int:
        """Bytes on disk."""
        ...

    def worded(self, error: DatabaseError) -> Unavailable | None:
        """An error in a sentence that says what to do; None where the mistake is in our own statements."""
        ...


class Database:
    """One database. Safe to use from several threads; transactions are short and never nested."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._writing = threading.Lock()
        self._writer = backend.engine(read_only=False)
        self._reader = backend.engine(read_only=True)
        self._grouped = Grouped(self._commit_all)
        self.changes = (
            0  # transactions of `write()` that were committed here: what was read before may be old
        )

    @classmethod
    def open(cls, url: str) -> Self:
        """Open "sqlite:///path" or "postgresql://user@host/name", bring its schema to head; a file is made where it is
        absent.

        Raises Unavailable, with one sentence, where that cannot be: another kind of URL, a folder that cannot be
        written, a server that does not answer, a database of another program, a schema of a newer version."""
        backend = backend_of(url)
        backend.prepare()
        database = cls(backend)
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
        with in_words(self.backend), Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that holds the write lock from its start; committed at the end, rolled back on an
        error.

        Raises Unavailable (`retry` where another process held the lock for too long). Not to be nested."""
        with (
            self._writing,
            self.backend.turn(),
            in_words(self.backend),
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
            self.backend.turn(),
            in_words(self.backend),
            self._writer.connect() as connection,
            connection.begin(),
        ):
            attempt(batch, connection)

    def migrate(self) -> None:
        """Bring the schema to head. Does nothing, and takes no write lock, where it is there already."""
        with in_words(self.backend):
            with self._reader.connect() as connection:
                if migrations.is_current(connection):
                    return
            with (
                self._writing,
                self._writer.connect() as connection,
                self.backend.migrating(connection),
                connection.begin(),
            ):
                if not migrations.is_current(connection):
                    self._upgrade(connection)

    def _upgrade(self, connection: Connection) -> None:
        revision, _ = migrations.revisions(connection)
        try:
            migrations.upgrade(connection)
        except DatabaseError as error:
            if self.backend.worded(error) is not None:
                raise
            raise Unavailable(
                f"The database is not as its schema {revision} says ({' '.join(str(error.orig).split())[:200]}): "
                "a migration was left half done by hand. Nothing was changed; restore a backup."
            ) from error

    def compact(self) -> None:
        """Give the room of what was deleted back to the disk. Nobody else writes meanwhile."""
        with self._writing, self.backend.turn(), in_words(self.backend):
            self.backend.compact(self._writer)

    def size(self) -> int:
        """Bytes on disk."""
        with in_words(self.backend):
            return self.backend.size(self._reader)

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
            project = ProjectRow(name=DEFAULT_PROJECT, created_at=now)
            session.add(project)
            session.flush()
            session.add(KeyRow(project_id=project.id or 0, key=secrets.token_hex(16), created_at=now))


def backend_of(url: str) -> Backend:
    """What a URL names. Raises Unavailable, without repeating a password, where it names none."""
    wanted = "The database must be a file, as in sqlite:///nightdesk.sqlite, or PostgreSQL, as in postgresql://user@host/name"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Unavailable(f"{wanted}; what was given is not a URL.") from error
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg") and parsed.database:
        return Postgres(parsed)
    if parsed.drivername != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise Unavailable(f"{wanted}, not {parsed.render_as_string(hide_password=True)}.")
    return Sqlite(Path(parsed.database or ""))


@contextmanager
def in_words(backend: Backend) -> Iterator[None]:
    """Say what a database says so that a person knows what to do. Mistakes in our own statements stay what they
    are."""
    try:
        yield
    except DatabaseError as error:
        raise (backend.worded(error) or error) from error
