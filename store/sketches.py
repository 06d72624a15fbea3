"""Counts of the fields of payloads, day by day and entry by entry: how `shapes` are kept.

Counted are the events whose bodies are sampled, so a storm costs a few rows, and of requests that went well those that
an application tells of. So it can be said later what share of an entry's payloads lack a field, and since when; days
older than `KEPT` go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from store.acts import plain
from store.database import Database
from store.event import Event, Served
from store.shapes import FieldDay, Presence, entry_of, shapes_of
from store.tables import SketchRow

KEPT = timedelta(days=180)
_KEY = ("project_id", "entry", "day", "digest")
_TABLE: Table = SketchRow.__table__  # type: ignore[attr-defined]


def count(connection: Connection, events: Sequence[tuple[int, Event]]) -> None:
    """Count the events, each with the number of its project, inside the caller's transaction. Events that look alike
    in all their fields are one row: there is one row to write for an event and not one for each field."""
    rows = _Rows()
    for project, event in events:
        entry, shapes = entry_of(event), shapes_of(event)
        if entry is not None:
            rows.add(project, entry, event.timestamp, shapes, count=1)
    rows.write(connection)


def count_served(db: Database, parcels: Sequence[tuple[int, Sequence[Served]]]) -> None:
    """Count what senders told of the payloads of requests that went well, each parcel under the number of its
    project."""
    rows = _Rows()
    for project, told in parcels:
        for one in told:
            rows.add(project, one.endpoint, one.at, one.shapes, good=one.alike)
    if rows.found:
        db.submit(_write_all, rows)


class _Rows:
    """Rows in the making, one for those that look alike."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, str, int, str], dict[str, Any]] = {}

    def add(
        self,
        project: int,
        entry: str,
        at: datetime,
        shapes: Sequence[tuple[str, str]],
        count: int = 0,
        good: int = 0,
    ) -> None:
        """Count so many of an entry that look so; nothing where they have no fields."""
        if not shapes:
            return
        said = plain("\n".join(f"{field} {shape}" for field, shape in shapes))
        key = (project, plain(entry), _day(at), sha256(said.encode()).hexdigest()[:16])
        row = self.found.setdefault(key, dict(zip(_KEY, key, strict=True), shapes=said, count=0, good=0))
        row["count"] += count
        row["good"] += good

    def write(self, connection: Connection) -> None:
        """Add them to what is there."""
        if self.found:
            connection.execute(
                _added(connection.dialect.name), [self.found[key] for key in sorted(self.found)]
            )


def _write_all(connection: Connection, parts: Sequence[_Rows]) -> list[None]:
    for part in parts:
        part.write(connection)
    return [None] * len(parts)


@cache
def _added(dialect: str) -> Any:
    made: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect](_TABLE)
    more = {name: _TABLE.c[name] + made.excluded[name] for name in ("count", "good")}
    return made.on_conflict_do_update(index_elements=list(_KEY), set_=more)


def presences(db: Database, project: int, entry: str, names: Collection[str]) -> list[Presence]:
    """How the fields with one of these names were there in an entry's payloads; one that no payload had is not
    known."""
    days: dict[int, Counter[str]] = {}  # day -> how often each field, and `field shape` where that says more
    well: dict[int, Counter[str]] = {}
    mine = (_TABLE.c.project_id == project, _TABLE.c.entry == plain(entry))
    with db.read() as session:
        for day, shapes, *numbers in session.execute(
            select(_TABLE.c.day, _TABLE.c.shapes, _TABLE.c.count, _TABLE.c.good).where(*mine)
        ):
            for seen, number in zip((days, well), numbers, strict=True):
                _count_lines(seen.setdefault(day, Counter()), shapes, number)
    fields = sorted({one for seen in (*days.values(), *well.values()) for one in seen if " " not in one})
    wanted = [field for field in fields if field.rpartition(".")[2] in names]
    return [
        Presence(entry, field, known, _siblings(field, fields), tuple(_in_order(field, well)))
        for field in wanted
        if (known := tuple(_in_order(field, days)))
    ]


def _count_lines(seen: Counter[str], shapes: str, number: int) -> None:
    if number:
        for line in shapes.split("\n"):
            seen[line.rpartition(" ")[0]] += number
            seen[line] += number


def _siblings(field: str, fields: Sequence[str]) -> tuple[str, ...]:
    record, _, own = field.rpartition(".")
    names = (one.removeprefix(f"{record}.") for one in fields if one.startswith(f"{record}."))
    return tuple(name for name in names if name.isidentifier() and name != own)


def _in_order(field: str, days: Mapping[int, Counter[str]]) -> Iterator[FieldDay]:
    record = field.rpartition(".")[0]
    for day, seen in sorted(days.items()):
        if of := seen[f"{record} object"]:
            at = date(1970, 1, 1) + timedelta(days=day)
            yield FieldDay(at, of, min(seen[field], of), seen[f"{field} null"])


def forget(db: Database, now: datetime) -> int:
    """Let go of days that say nothing of today; how many rows."""
    with db.write() as session:
        gone = delete(_TABLE).where(_TABLE.c.day < _day(now - KEPT))
        return int(session.connection().execute(gone).rowcount)


def _day(moment: datetime) -> int:
    """Days since 1970."""
    return int(moment.astimezone(UTC).timestamp() // 86_400)
