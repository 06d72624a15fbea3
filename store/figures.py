"""The product's own figures: how much was kept and done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import JSON, cast, type_coerce
from sqlmodel import col, func, select

from store.database import Database
from store.incident import Lane, Status
from store.queries import lane_counts
from store.tables import AttemptRow, IncidentRow, TaskKind, TaskRow

_UNSETTLED = (Status.OPEN, Status.REGRESSED)


@dataclass(frozen=True)
class Figures:
    """Numbers of events ever counted, of open incidents by lane, of repairs by how they ended, of what waits."""

    events: int  # also those that a purge has taken away
    incidents: dict[Lane, int]
    repairs: dict[str, int]  # the word of `Ended`, or "running"
    waiting: dict[TaskKind, int]


def figures(db: Database) -> Figures:
    """Count everything; nothing is read whole, for it is asked for every few seconds."""
    body = col(AttemptRow.body)
    known = cast(body, JSON) if db.backend.name == "postgresql" else type_coerce(body, JSON)
    with db.read() as session:
        events = session.exec(select(func.coalesce(func.sum(IncidentRow.event_count), 0))).one()
        ends = Counter(session.exec(select(known["ended"].as_string())))
        kinds = Counter(session.exec(select(TaskRow.kind)))
    return Figures(
        events=int(events),
        incidents=lane_counts(db, status=_UNSETTLED),
        repairs={end or "running": number for end, number in ends.items()},
        waiting={kind: kinds[kind.value] for kind in TaskKind},
    )
