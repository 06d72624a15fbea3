"""How much went well and how much did not, minute by minute: for each endpoint of a project, and for each incident.

Counts are added up as they come, so asking is as cheap after a million requests as after ten. Minutes older than
`KEPT` are of no use for a baseline and go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col

from store.acts import plain
from store.database import Database
from store.event import Served
from store.tables import MinuteRow

NOW = timedelta(minutes=10)  # what "now" is
BASELINE = timedelta(hours=24)  # what it is compared with: the time before that
KEPT = timedelta(days=8)
_TABLE: Table = MinuteRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Rates:
    """Good and bad ends now and before. `minutes_before` is how much of the baseline there is."""

    good_now: int = 0
    bad_now: int = 0
    good_before: int = 0
    bad_before: int = 0
    minutes_before: int = 0


def count(connection: Connection, counts: Mapping[tuple[int, str, int], tuple[int, int]]) -> None:
    """Add good and bad ends to (project, endpoint, minute), inside the caller's transaction."""
    if not counts:
        return
    rows = [
        {"project_id": project, "endpoint": endpoint, "minute": minute, "good": good, "bad": bad}
        for (project, endpoint, minute), (good, bad) in sorted(counts.items())
    ]
    connection.execute(_added(connection.dialect.name), rows)


@cache
def _added(dialect: str) -> Any:
    """The statement, made once: to make it takes a millisecond, which is more than to run it."""
    made: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect](_TABLE)
    return made.on_conflict_do_update(
        index_elements=["project_id", "endpoint", "minute"],
        set_={"good": _TABLE.c.good + made.excluded.good, "bad": _TABLE.c.bad + made.excluded.bad},
    )


def count_served(db: Database, parcels: Sequence[tuple[int, Sequence[Served]]]) -> None:
    """Keep what senders told of requests that ended, each parcel under the number of its project."""
    sums: dict[tuple[int, str, int], list[int]] = defaultdict(lambda: [0, 0])
    for project, told in parcels:
        for one in (each for each in told if each.good or each.bad):
            place = sums[project, plain(one.endpoint), minute_of(one.at)]
            place[0] += one.good
            place[1] += one.bad
    if sums:
        db.submit(_count_all, {place: (good, bad) for place, (good, bad) in sums.items()})


def rates(db: Database, project: int, endpoint: str, now: datetime) -> Rates:
    """What is known of an endpoint, or of an incident by its name ("INC-42"), at a moment."""
    since, start = minute_of(now - NOW), minute_of(now - BASELINE)
    columns = [func.coalesce(func.sum(column), 0) for column in (_TABLE.c.good, _TABLE.c.bad)]
    mine = (col(MinuteRow.project_id) == project, col(MinuteRow.endpoint) == endpoint)
    with db.read() as session:
        recent = select(*columns).where(*mine, _TABLE.c.minute > since, _TABLE.c.minute <= minute_of(now))
        before = select(*columns, func.min(_TABLE.c.minute)).where(
            *mine, _TABLE.c.minute > start, _TABLE.c.minute <= since
        )
        good_now, bad_now = session.execute(recent).one()
        good_before, bad_before, first = session.execute(before).one()
    return Rates(good_now, bad_now, good_before, bad_before, 0 if first is None else since - first + 1)


def forget(db: Database, now: datetime) -> int:
    """Let go of minutes that are too old to be compared with; how many."""
    with db.write() as session:
        gone = delete(_TABLE).where(_TABLE.c.minute < minute_of(now - KEPT))
        return int(session.connection().execute(gone).rowcount)


def minute_of(moment: datetime) -> int:
    """Minutes since 1970."""
    return int(moment.timestamp() // 60)


def _count_all(
    connection: Connection, parts: Sequence[Mapping[tuple[int, str, int], tuple[int, int]]]
) -> list[None]:
    for part in parts:
        count(connection, part)
    return [None] * len(parts)
