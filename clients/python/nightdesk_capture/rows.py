"""Rows that were read: of SQLAlchemy, of Django, and of sqlite3 and psycopg where they are used as they are.

A statement is noted with its columns and the rows that were really fetched, in the order in which they came. Its
parameters are not: they would say who was looked for, and order is enough to serve the rows again.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, Callable, Dict, Iterable, List

from nightdesk_capture.exchanges import Wrap
from nightdesk_capture.peek import derives
from nightdesk_capture.trail import AT, BY, DESCRIBED, FIRST, ROOM, SQL, current, row_read, rows_read

_MAPPERS = ("sqlalchemy", "django")  # what is read through these is noted there


def hook_sqlalchemy(module: Any, wrap: Wrap) -> None:
    """Where SQLAlchemy fetches from a driver's cursor, whichever that is."""

    def fetching(fetch: Any) -> Any:
        def hooked(self: Any, result: Any, cursor: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            described = _described(cursor)
            rows = fetch(self, result, cursor, *args, **words)
            context = getattr(result, "context", None)  # one for each execution
            _note("sqlalchemy", context, getattr(context, "statement", None), described, rows)
            return rows

        return hooked

    for name in ("fetchone", "fetchmany", "fetchall"):
        wrap(module.engine.cursor.CursorFetchStrategy, name, fetching)


def hook_django(module: Any, wrap: Wrap) -> None:
    """Django's own wrapper of a driver's cursor."""
    cursor_class = module.db.backends.utils.CursorWrapper

    def executing(execute: Any) -> Any:
        def hooked(self: Any, sql: Any, params: Any = None) -> Any:
            __tracebackhide__ = True
            self._nightdesk_sql, self._nightdesk_read = sql, None
            return execute(self, sql, params)

        return hooked

    def fetching(name: str) -> Any:
        def hooked(self: Any, *args: Any) -> Any:
            __tracebackhide__ = True
            described = _described(self.cursor)
            with self.db.wrap_database_errors:
                rows = getattr(self.cursor, name)(*args)
            _note("django", self, getattr(self, "_nightdesk_sql", None), described, rows)
            return rows

        return hooked

    wrap(cursor_class, "execute", executing)
    for name in ("fetchone", "fetchmany", "fetchall"):
        if name not in vars(cursor_class):  # it goes by `__getattr__` there
            setattr(cursor_class, name, fetching(name))


def hook_sqlite3(module: Any, wrap: Wrap) -> None:
    """Connections that the application makes itself: with cursors that note."""
    if not isinstance(module.connect, type(sys.exit)):  # somebody else has put theirs there
        return
    cursor_class, plain_class, execute = noting(module.Cursor), module.Cursor, module.Cursor.execute
    cursor_of = module.Connection.cursor

    class Connection(module.Connection):  # type: ignore[misc]
        """A connection whose cursors note what is read."""

        def cursor(self, factory: Any = None) -> Any:
            return cursor_of(self, factory or (cursor_class if _is_noted() else plain_class))

        def execute(self, sql: Any, *args: Any) -> Any:
            __tracebackhide__ = True
            if not _is_noted():
                return execute(cursor_of(self, plain_class), sql, *args)
            made = cursor_of(self, cursor_class)
            made._nightdesk_sql = sql
            return execute(made, sql, *args)

    Connection.__module__, Connection.__qualname__ = "sqlite3", "Connection"

    def connecting(connect: Any) -> Any:
        def hooked(*args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            if len(args) < 6 and "factory" not in words and not _is_mapped():
                words["factory"] = Connection
            return connect(*args, **words)

        return hooked

    wrap(module, "connect", connecting)
    wrap(module.dbapi2, "connect", lambda original: module.connect)


def hook_psycopg(module: Any, wrap: Wrap) -> None:
    """Connections of psycopg and psycopg2 that the application makes itself."""

    def connecting(connect: Any) -> Any:
        def hooked(*args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            connection = connect(*args, **words)
            try:
                if not _is_mapped():
                    connection.cursor_factory = noting(connection.cursor_factory or module.extensions.cursor)
            except Exception:  # then its rows are not noted
                return connection
            return connection

        return hooked

    wrap(module, "connect", connecting)


@lru_cache(maxsize=16)
def noting(base: Any) -> Any:
    """A driver's class of cursors, with notes of what is read."""
    by = base.__module__.partition(".")[0]

    execute, fetchone, fetchmany, fetchall = base.execute, base.fetchone, base.fetchmany, base.fetchall
    following: Any = getattr(base, "__next__", None)

    class Noting(base):  # type: ignore[misc]
        """A cursor that notes what is read."""

        _nightdesk_sql: Any = None
        _nightdesk_read: Any = None  # what was read of it so far

        def execute(self, sql: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            self._nightdesk_sql, self._nightdesk_read = sql, None
            return execute(self, sql, *args, **words)

        def fetchone(self) -> Any:
            __tracebackhide__ = True
            row = fetchone(self)
            _note(by, self, self._nightdesk_sql, None, row)
            return row

        def fetchmany(self, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            rows = fetchmany(self, *args, **words)
            _note(by, self, self._nightdesk_sql, None, rows)
            return rows

        def fetchall(self) -> Any:
            __tracebackhide__ = True
            rows = fetchall(self)
            _note(by, self, self._nightdesk_sql, None, rows)
            return rows

        def __next__(self) -> Any:
            __tracebackhide__ = True
            row = following(self)
            try:
                row_read(self._nightdesk_read, row)
            except Exception:  # nothing was read of it before
                _note(by, self, self._nightdesk_sql, None, row)
            return row

        def _each(self) -> Any:
            for row in super().__iter__():
                _note(by, self, self._nightdesk_sql, None, row)
                yield row

    if following is None:  # iterating makes a generator there
        del Noting.__next__
        Noting.__iter__ = Noting._each
    Noting.__module__ = base.__module__
    Noting.__name__, Noting.__qualname__ = base.__name__, base.__qualname__
    return Noting


def _is_noted() -> bool:
    """Whether what runs here is noted; a cursor that is made where it is not costs nothing."""
    try:
        return current().is_noted
    except Exception:  # then neither can its rows be
        return False


def _is_mapped(depth: int = 2) -> bool:
    """Whether a connection is made by a library that has a hook of its own; also where nobody knows."""
    try:
        return str(sys._getframe(depth).f_globals.get("__name__", "")).startswith(_MAPPERS)
    except Exception:  # it is a connection as it would be without us
        return True


def _described(cursor: Any) -> Any:
    """What a cursor says of its columns; a fetch may close it, so it is asked before."""
    try:
        return cursor.description
    except Exception:  # it has none
        return None


def _note(by: str, holder: Any, sql: Any, described: Any, rows: Any) -> None:
    """Rows, or one row, or None where there is none left. `holder` is what lives as long as one execution."""
    try:
        note = getattr(holder, "_nightdesk_read", None)
        if note is None:
            trail = current()
            if trail.is_noted and described is None:
                described = holder.description
            note = trail.reading(by, sql, described)
            holder._nightdesk_read = note
        if type(rows) is list:
            rows_read(note, rows)
        elif rows is not None:
            row_read(note, rows)
    except Exception:  # the rows are the caller's in any case
        return


# --- as they are sent -----------------------------------------------------------------------------------------------


def told(notes: Iterable[List[Any]], value: Callable[[Any, str], Any], most: int) -> List[Dict[str, Any]]:
    """The statements as a capsule has them; `value` encodes one value at a place, `most` rows of each."""
    found: List[Dict[str, Any]] = []
    for note in list(notes):
        rows = [list(row.values()) if derives(row, dict) else list(row) for row in note[FIRST : FIRST + most]]
        columns = [str(column[0]) for column in note[DESCRIBED] or ()]
        made = {
            "by": note[BY],
            "sql": str(note[SQL]),
            "columns": columns,
            "rows": [
                [
                    value(item, f"/statements/{len(found)}/rows/{at}/{name}")
                    for name, item in zip(columns, row)
                ]
                for at, row in enumerate(rows)
            ],
            "at": round(note[AT], 3),
        }
        size = len(note) - FIRST + max(0, -note[ROOM])
        if size > len(rows):
            made["size"] = size
        found.append(made)
    return found
