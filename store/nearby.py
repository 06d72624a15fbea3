"""What happened near an event: what the same user had met shortly before, what else was reported at that time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, select

from store.bodies import unpacked
from store.database import Database
from store.event import Event
from store.tables import EventRow, IncidentRow, ProjectRow

_MOST = 8


@dataclass(frozen=True)
class Reported:
    """An event that was reported before, as its incident tells it."""

    at: datetime
    incident_id: str
    transaction: str | None
    title: str


def met_before(db: Database, event: Event, within: timedelta) -> list[Reported]:
    """What else the user of an event had met in its project before it, the newest first; nothing for an event
    without a user."""
    with db.read() as session:
        mine = select(EventRow.user_key, EventRow.seen_at, EventRow.project_id).join(
            ProjectRow, col(ProjectRow.id) == col(EventRow.project_id)
        )
        known = session.exec(
            mine.where(EventRow.event_id == event.event_id, ProjectRow.name == event.project)
        ).first()
        if known is None or known[0] is None:
            return []
        user, seen, project = known
        statement = (
            select(EventRow.seen_at, EventRow.incident_id, EventRow.transaction, IncidentRow.title)
            .join(IncidentRow, col(IncidentRow.id) == col(EventRow.incident_id))
            .where(
                EventRow.project_id == project,
                EventRow.user_key == user,
                col(EventRow.seen_at) >= seen - within,
                col(EventRow.seen_at) < seen,
            )
            .order_by(col(EventRow.seen_at).desc())
            .limit(_MOST)
        )
        return [
            Reported(at, f"INC-{number}", transaction, title)
            for at, number, transaction, title in session.exec(statement)
        ]


def around(db: Database, event: Event, within: timedelta, most: int = 60) -> list[Event]:
    """Other events of the same project of which the body is kept, at most so far before or after an event, the nearest
    first: what other incidents, alerts and clusters reported at that time."""
    with db.read() as session:
        mine = select(EventRow.project_id, EventRow.incident_id).join(
            ProjectRow, col(ProjectRow.id) == col(EventRow.project_id)
        )
        known = session.exec(
            mine.where(EventRow.event_id == event.event_id, ProjectRow.name == event.project)
        ).first()
        if known is None:
            return []
        project, incident = known
        statement = (
            select(EventRow.body)
            .where(
                EventRow.project_id == project,
                EventRow.incident_id != incident,
                col(EventRow.body).is_not(None),
                col(EventRow.seen_at) >= event.timestamp - within,
                col(EventRow.seen_at) <= event.timestamp + within,
            )
            .order_by(col(EventRow.id).desc())
            .limit(most * 4)
        )
        found = [Event.model_validate_json(unpacked(body)) for body in session.exec(statement) if body]
    return sorted(found, key=lambda each: abs(each.timestamp - event.timestamp))[:most]
