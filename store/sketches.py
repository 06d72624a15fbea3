"""Counts of the fields of payloads, day by day and entry by entry: how `shapes` are kept.

Counted are the events whose bodies are sampled, so a storm costs a few rows. So it can be said later what share of an
entry's payloads lack a field, and since when; days older than `KEPT` go.
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
from store.event import Event
from store.shapes import FieldDay, Presence, entry_of, shapes_of
from store.tables import SketchRow

KEPT = timedelta(days=180)
_KEY = ("project_id", "entry", "day", "digest")
_TABLE: Table = SketchRow.__table__  # type: ignore[attr-defined]


def count(connection: Connection, events: Sequence[tuple[int, Event]]) -> None:
    """Count the events, each with the number of its project, inside the caller's transaction. Events that look alike
    in all their fields are one row: there is one row to write for an event and not one for each field."""
    rows: dict[tuple[int, str, int, str], dict[str, Any]] = {}
    for project, event in events:
        entry, shapes = entry_of(event), shapes_of(event)
        if entry is None or not shapes:
            continue
        said = plain("\n".join(f"{field} {shape}" for field, shape in shapes))
        key = (project, plain(entry), _day(event.timestamp), sha256(said.encode()).hexdigest()[:16])
        row = dict(zip(_KEY, key, strict=True), shapes=said, count=0)
        rows.setdefault(key, row)["count"] += 1
    if rows:
        connection.execute(_added(connection.dialect.name), [rows[key] for key in sorted(rows)])


@cache
def _added(dialect: str) -> Any:
    made: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect](_TABLE)
    new = _TABLE.c.count + made.excluded.count
    return made.on_conflict_do_update(index_elements=list(_KEY), set_={"count": new})


def presences(db: Database, project: int, entry: str, names: Collection[str]) -> list[Presence]:
    """How the fields with one of these names were there in an entry's payloads; one that no payload had is not
    known."""
    days: dict[int, Counter[str]] = {}  # day -> how often each field, and `field shape` where that says more
    mine = (_TABLE.c.project_id == project, _TABLE.c.entry == plain(entry))
    with db.read() as session:
        for day, shapes, number in session.execute(
            select(_TABLE.c.day, _TABLE.c.shapes, _TABLE.c.count).where(*mine)
        ):
            seen = days.setdefault(day, Counter())
            for line in shapes.split("\n"):
                field, _, shape = line.rpartition(" ")
                seen[field] += number
                seen[f"{field} {shape}"] += number
    fields = sorted({one for seen in days.values() for one in seen if " " not in one})
    wanted = [field for field in fields if field.rpartition(".")[2] in names]
    return [
        Presence(entry, field, known, _siblings(field, fields))
        for field in wanted
        if (known := tuple(_in_order(field, days)))
    ]


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
