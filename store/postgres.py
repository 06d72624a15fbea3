"""PostgreSQL as the database: for several hosts, and for more than one machine's disk holds.

The rules are those of SQLite, kept by other means. Whoever writes takes an advisory lock first and holds it to the
end of the transaction, so that what is read before it is written cannot change in between; readers see one state and
cannot write. A writer that stops half-way (a paused machine, a cut network) is thrown out by the server, and its
lock is free again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from psycopg.abc import Buffer
from psycopg.types.string import StrDumper
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError

from store.errors import Unavailable

DRIVER = "postgresql+psycopg"
CONNECT = 10  # seconds that a new connection may take
PATIENCE = 30  # seconds that a statement waits for somebody else's lock
IDLE = 15  # seconds after which the server ends a transaction whose owner says nothing
WRITING = 0x6E69676874  # the advisory lock of whoever writes: "night"
POOL = 5  # connections that are kept open; more are made when more threads ask

_ARGUMENTS = {
    "connect_timeout": CONNECT,
    "application_name": "nightdesk",
    "client_encoding": "utf8",  # else what a server without an encoding sends would be bytes
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds after which a cut network is an error and not silence
}
_LARGE = ("events", "facets", "moves")  # tables that a purge empties


class _Text(StrDumper):
    """PostgreSQL keeps no NUL in a text: it becomes the sign for what cannot be shown, as it does on a screen. So
    hostile text is kept, and looked for in vain, instead of being an error."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


class Postgres:
    """One database of a server. Implements `store.database.Backend`."""

    name = "postgresql"

    def __init__(self, url: URL) -> None:
        self.url = url.set(drivername=DRIVER)
        self.shown = url.set(drivername="postgresql").render_as_string(hide_password=True)

    def prepare(self) -> None:
        """Nothing: the database has to be there."""

    def engine(self, *, read_only: bool) -> Engine:
        """An engine whose writing transactions hold the lock of whoever writes from their start."""
        level = "REPEATABLE READ" if read_only else "READ COMMITTED"
        engine = create_engine(
            self.url,
            connect_args=_ARGUMENTS,
            isolation_level=level,
            pool_pre_ping=True,  # after a restart of the server the next one to ask gets a new connection
            pool_size=POOL,
            max_overflow=-1,
        )
        engine.dialect.use_insertmanyvalues_wo_returning = True  # rows of a list go in one statement

        @event.listens_for(engine, "connect")
        def connected(connection: Any, _record: object) -> None:
            encoding = connection.info.parameter_status("server_encoding")
            if encoding != "UTF8":
                raise Unavailable(_ENCODED.format(self.shown, encoding))
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{PATIENCE}s'")
                cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE}s'")
            connection.commit()
            connection.adapters.register_dumper(str, _Text)
            connection.read_only = read_only

        if not read_only:

            @event.listens_for(engine, "begin")
            def begun(connection: Connection) -> None:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITING})")

        return engine

    def turn(self) -> AbstractContextManager[None]:
        """The server lets writers in one by one, in the order in which they came."""
        return nullcontext()

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        """Nothing to prepare: a migration is one transaction, and the lock of whoever writes keeps others out."""
        yield

    def compact(self, writer: Engine) -> None:
        """Give the room of what was deleted back to the disk: the large tables are made anew, one by one."""
        with writer.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            for table in _LARGE:
                connection.execute(text(f"VACUUM (FULL, ANALYZE) {table}"))

    def size(self, reader: Engine) -> int:
        """Bytes of the database on the server's disk."""
        with reader.connect() as connection:
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())

    def worded(self, error: DatabaseError) -> Unavailable | None:
        """What the server says so that a person knows what to do; None for a mistake in our own statements."""
        state = getattr(error.orig, "sqlstate", None) or ""
        said = " ".join(str(error.orig).split())
        for state_begins, sentence, retry in _STATES:
            if state.startswith(state_begins):
                return Unavailable(sentence.format(self.shown), retry=retry)
        for words, sentence, retry in _WORDS if not state else ():
            if words in said:
                return Unavailable(sentence.format(self.shown), retry=retry)
        if error.connection_invalidated or (type(error.orig).__name__ == "OperationalError" and not state):
            return Unavailable(f"The database {self.shown} does not answer: {said[:300]}", retry=True)
        return None


_ENCODED = (
    "The database {} is encoded in {}, which cannot hold every text; make one with "
    "`createdb -E UTF8 -T template0`."
)
_REFUSED = "The server refuses the user or the password of {}; correct the setting `database`."

# what a SQLSTATE begins with, what to say, whether to try again
_STATES = (
    ("55P03", "The database {} is being written by another process; try again.", True),
    ("25P03", "The database {} ended a transaction that stood still; try again.", True),
    ("57P", "The database {} is being stopped or started; try again.", True),
    ("53100", "The disk of the server of {} is full; make room.", True),
    ("53300", "The server of {} has no connection left; raise `max_connections`, or run fewer workers.", True),
    ("42501", "The user of {} may not do this; it has to own the database.", False),
    ("25006", "The database {} cannot be written: its server is a standby, or read-only.", False),
    ("28", _REFUSED, False),
)  # fmt: skip

# an error of connecting comes without a SQLSTATE: words of it, what to say, whether to try again
_WORDS = (
    ("authentication failed", _REFUSED, False),
    ("no password supplied", "The server of {} asks for a password; give it in the setting `database`.", False),
    ("does not exist", "The database {}, or its user, does not exist; make it with `createdb`, or correct the setting "
     "`database`.", False),
    ("resolve", "The host of {} is not known; correct the setting `database`.", False),
    ("translate host name", "The host of {} is not known; correct the setting `database`.", False),
    ("refused", "Nothing listens at {}; start PostgreSQL, or correct the setting `database`.", True),
)  # fmt: skip
