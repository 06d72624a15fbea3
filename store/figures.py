"""The product's own figures: how much was kept and done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlmodel import func, select

from store.database import Database
from store.incident import Lane, Status
from store.queries import lane_counts
from store.repair import Attempt
from store.tables import AttemptRow, EventRow

_UNSETTLED = (Status.OPEN, Status.REGRESSED)


@dataclass(frozen=True)
class Figures:
    """Numbers of events ever kept, of open incidents by lane, of repairs by how they ended."""

    events: int
    incidents: dict[Lane, int]
    repairs: dict[str, int]  # the word of `Ended`, or "running"


def figures(db: Database) -> Figures:
    """Count everything."""
    with db.read() as session:
        events = session.exec(select(func.count()).select_from(EventRow)).one()
        bodies = session.exec(select(AttemptRow.body)).all()
    ends = Counter(_end(Attempt.model_validate_json(body)) for body in bodies)
    return Figures(events=events, incidents=lane_counts(db, status=_UNSETTLED), repairs=dict(ends))


def _end(attempt: Attempt) -> str:
    return attempt.ended.value if attempt.ended else "running"
