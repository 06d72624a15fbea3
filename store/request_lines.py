"""Lines of access logs, kept for days: which request an error was in, and what else was served around it.

An error knows its request from the inside, a line of an access log from the outside: who asked, how it ended, how long
it took. The two are tied by the id of the request; without one by method and path, a moment apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select
from sqlmodel import col
from sqlmodel import select as find

from store.acts import plain
from store.database import Database
from store.event import Event, RequestLine, Served
from store.statements import table
from store.tables import ProjectRow, RequestRow

KEPT = timedelta(days=2)
MOST = 50_000  # newest lines of a project
NEAR = timedelta(milliseconds=250)  # by which the clocks of an application and its server may differ
LONGEST = timedelta(seconds=60)  # from an error to the line of its request
_AROUND = 1000  # lines of that time that are looked at
_SHOWN = 3
_CLOSE = timedelta(seconds=2)  # with whole seconds and a little time to answer
_ID_HEADERS = ("x-request-id", "x-correlation-id", "request-id", "x-amzn-trace-id")
_ID_TAGS = ("request_id", "requestId", "correlation_id")


@dataclass(frozen=True)
class Kept:
    """A line as it is kept."""

    at: datetime
    line: RequestLine


@dataclass(frozen=True)
class Tied:
    """A line that tells of the request in which an error was, and by what it is known to."""

    at: datetime
    line: RequestLine
    because: str


def keep(db: Database, parcels: Sequence[tuple[int, Sequence[Served]]]) -> None:
    """Keep the lines among what ended, each under the number of its project; when this returns they are on disk."""
    rows = [
        {"project_id": project, "at": one.at, **{name: _plain(said) for name, said in one.line}}
        for project, told in parcels
        for one in told
        if one.line is not None
    ]
    if rows:
        db.submit(_keep_all, rows)


def between(db: Database, project: str, start: datetime, end: datetime) -> list[Kept]:
    """The lines of a time of a project, by its name, oldest first; a thousand at most."""
    return _lines(db, project, start, end)


def tied(db: Database, event: Event) -> list[Tied]:
    """The lines of the request in which an event happened, the nearest first."""
    first, last = event.timestamp - LONGEST, event.timestamp + LONGEST
    if ids := list(_ids(event)):
        same = _lines(db, event.project, first, last, col(RequestRow.request_id).in_(ids))
        if same:
            return [Tied(one.at, one.line, "the same request id") for one in same[:_SHOWN]]
    if event.request is None or not event.request.url:
        return []
    asked = col(RequestRow.method) == event.request.method
    near = _lines(db, event.project, event.timestamp - _CLOSE, event.timestamp + _CLOSE, asked)
    slow = _lines(db, event.project, first, last, asked, col(RequestRow.seconds) > 0.5)
    path = _path(event.request.url)
    found = {one: _apart(one, event.timestamp) for one in (*near, *slow) if _path(one.line.path) == path}
    close = [one for one, apart in found.items() if apart <= NEAR]
    close.sort(key=lambda one: (not _same_place(one, event), one.line.status < 500, found[one]))
    return [Tied(one.at, one.line, _because(one, found[one], event)) for one in close[:_SHOWN]]


def forget(db: Database, now: datetime) -> int:
    """Let go of lines that are old or too many; how many."""
    with db.write() as session:
        connection, gone = session.connection(), 0
        gone += connection.execute(delete(table(RequestRow)).where(col(RequestRow.at) < now - KEPT)).rowcount
        counts = select(col(RequestRow.project_id), func.count()).group_by(col(RequestRow.project_id))
        for project, number in connection.execute(counts).all():
            if number > MOST:
                mine = select(col(RequestRow.id)).where(col(RequestRow.project_id) == project)
                last = connection.execute(
                    mine.order_by(col(RequestRow.id).desc()).offset(MOST).limit(1)
                ).scalar()
                old = (col(RequestRow.project_id) == project, col(RequestRow.id) <= last)
                gone += connection.execute(delete(table(RequestRow)).where(*old)).rowcount
        return gone


def _keep_all(connection: Connection, parts: Sequence[Sequence[dict[str, object]]]) -> list[None]:
    connection.execute(insert(table(RequestRow)), [row for part in parts for row in part])
    return [None] * len(parts)


def _plain(said: object) -> object:
    return plain(said) if isinstance(said, str) else said


def _kept(row: RequestRow) -> Kept:
    fields = {name: getattr(row, name) for name in RequestLine.model_fields}
    return Kept(row.at, RequestLine(**fields))


def _lines(
    db: Database, project: str, start: datetime, end: datetime, *more: ColumnElement[bool]
) -> list[Kept]:
    with db.read() as session:
        statement = (
            find(RequestRow)
            .join(ProjectRow, col(ProjectRow.id) == col(RequestRow.project_id))
            .where(ProjectRow.name == project, col(RequestRow.at) >= start, col(RequestRow.at) <= end, *more)
            .order_by(col(RequestRow.at), col(RequestRow.id))
            .limit(_AROUND)
        )
        return [_kept(row) for row in session.exec(statement)]


def _ids(event: Event) -> Iterator[str]:
    headers = event.request.headers if event.request else {}
    yield from (value for name, value in headers.items() if name.lower() in _ID_HEADERS and value)
    yield from (event.tags[name] for name in _ID_TAGS if event.tags.get(name))
    if event.trace_id:
        yield event.trace_id


def _path(address: str) -> str:
    try:
        return urlsplit(address).path.rstrip("/") or "/"
    except ValueError:
        return address.partition("?")[0]


def _apart(one: Kept, moment: datetime) -> timedelta:
    """How far a moment is from a request. A server stamps its line when the request came or when it ended, many to the
    whole second; how long it took says the rest."""
    lasted = timedelta(seconds=one.line.seconds or 0)
    second = timedelta(seconds=0 if one.at.microsecond else 1)
    return max(one.at - lasted - moment, moment - one.at - second - lasted, timedelta(0))


def _same_place(one: Kept, event: Event) -> bool:
    """Whether the process or container that wrote the line is the one that the event names."""
    places = [place for place in (event.server_name, event.service) if place]
    return bool(one.line.writer) and any(place in (one.line.writer or "") for place in places)


def _because(one: Kept, apart: timedelta, event: Event) -> str:
    there = " in the same container" if _same_place(one, event) else ""
    return f"the same method and path{there}, {apart / timedelta(milliseconds=1):.0f} ms apart"
