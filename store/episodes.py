"""Alerts that are over: what their sender says of it ends the events that told of them, and triage looks again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import update
from sqlmodel import Session, col, select

from store.acts import request_triage
from store.database import Database
from store.event import Value
from store.incident import Fingerprint
from store.queries import incident_row
from store.tables import EventRow, FingerprintRow


class Ended(Value):
    """Something that a fingerprint stands for is over since a moment."""

    fingerprint: Fingerprint
    at: datetime


def end(db: Database, project_id: int, ended: Sequence[Ended]) -> list[str]:
    """Note it with the events that began until then and were not over yet. The incidents that this changed, which want
    triage: their tasks are written with it. What nobody has reported before changes nothing."""
    numbers: set[int] = set()
    with db.write() as session:
        for one in ended:
            numbers |= _end(session, project_id, one)
        request_triage(session.connection(), numbers)
    return [f"INC-{number}" for number in sorted(numbers)]


def _end(session: Session, project_id: int, one: Ended) -> set[int]:
    known = select(FingerprintRow.id).where(
        FingerprintRow.project_id == project_id, FingerprintRow.mechanism == one.fingerprint.mechanism,
        FingerprintRow.key == one.fingerprint.key,
    )  # fmt: skip
    number = session.exec(known).first()
    if number is None:
        return set()
    open_rows = (
        col(EventRow.project_id) == project_id,
        col(EventRow.fingerprint_id) == number,
        col(EventRow.over_at).is_(None),
        col(EventRow.seen_at) <= one.at,
    )
    touched = set(session.exec(select(EventRow.incident_id).where(*open_rows).distinct()))
    if touched:
        session.execute(update(EventRow).where(*open_rows).values(over_at=one.at))
    return touched


def behaviour(db: Database, incident_id: str, event_id: str) -> tuple[datetime | None, Sequence[datetime]]:
    """When the event of an incident was over, and when its incident was reported within the hour before the event, the
    event included. Raises NotFound."""
    with db.read() as session:
        number = incident_row(session, incident_id).id
        mine = session.exec(
            select(EventRow.over_at, EventRow.seen_at)
            .where(EventRow.incident_id == number, EventRow.event_id == event_id)
            .limit(1)
        ).first()
        if mine is None:
            return None, ()
        over, at = mine
        hour = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        times = session.exec(
            select(EventRow.seen_at)
            .where(
                EventRow.incident_id == number,
                col(EventRow.seen_at) > datetime.fromtimestamp(hour.timestamp() - 3600, UTC),
                col(EventRow.seen_at) <= at,
            )
            .order_by(col(EventRow.seen_at))
            .limit(1000)
        )
        return over, list(times)
