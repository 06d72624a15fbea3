"""What is known around an incident: events beside one of its own, how it ran, the incidents before it and what became
of them. Each read is bounded, however large the database is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from store.bodies import unpacked
from store.database import Database
from store.event import Event
from store.incident import Kind, Status, Verdict
from store.queries import incident_name, incident_row
from store.repair import Attempt
from store.tables import ActRow, AttemptRow, EventRow, FingerprintRow, IncidentRow

_AROUND = 400  # events received before and after one, among which those close in time are looked for
_BODIES = 16
_COURSE = 2000  # newest events of an incident
_PAST = 400  # newest incidents of a project
_SETTLED = {Status.RESOLVED.value, Status.MUTED.value}


@dataclass(frozen=True)
class Beside:
    """An event close to another one, and what its incident is thought to be."""

    event: Event
    incident_id: str
    kind: Kind | None


@dataclass(frozen=True)
class Moment:
    """One event of an incident, as its row tells it."""

    at: datetime
    user: str | None
    environment: str | None
    release: str | None
    endpoint: str | None
    service: str | None
    over: datetime | None


@dataclass(frozen=True)
class PastIncident:
    """An incident, as far as it is compared with others."""

    id: str
    parts: tuple[str, ...]
    title: str


def beside(db: Database, event: Event, within: timedelta) -> list[Beside]:
    """Events of the same project that happened within a time of one that is kept, of those that were received around
    it, the nearest first. Its own copy is left out."""
    with db.read() as session:
        mine = session.exec(
            select(EventRow).where(EventRow.event_id == event.event_id).order_by(col(EventRow.id).desc())
        ).first()
        if mine is None or mine.id is None:
            return []
        statement = (
            columns(col(EventRow.body), col(EventRow.seen_at), col(EventRow.incident_id))
            .where(
                col(EventRow.id) > mine.id - _AROUND,
                col(EventRow.id) < mine.id + _AROUND,
                col(EventRow.project_id) == mine.project_id,
                col(EventRow.id) != mine.id,
                col(EventRow.body).is_not(None),
                col(EventRow.seen_at) >= event.timestamp - within,
                col(EventRow.seen_at) <= event.timestamp + within,
            )
            .order_by(col(EventRow.id))
        )
        rows = sorted(session.execute(statement), key=lambda row: abs(row[1] - event.timestamp))[:_BODIES]
        kinds = _kinds(session, [row[2] for row in rows])
        return [
            Beside(Event.model_validate_json(unpacked(body)), f"INC-{number}", kinds.get(number))
            for body, _, number in rows
            if body is not None
        ]


def course(db: Database, incident_id: str) -> list[Moment]:
    """The newest events of an incident, newest first. Raises NotFound."""
    with db.read() as session:
        number = incident_row(session, incident_id).id
        told = ("seen_at", "user_key", "environment", "release", "transaction", "service", "over_at")
        statement = columns(*(col(getattr(EventRow, name)) for name in told)).where(
            col(EventRow.incident_id) == number
        )
        return [
            Moment(*row)
            for row in session.execute(statement.order_by(col(EventRow.number).desc()).limit(_COURSE))
        ]


def before(db: Database, incident_id: str) -> tuple[PastIncident, list[PastIncident]]:
    """An incident, and the newest others of its project, newest first. Raises NotFound."""
    with db.read() as session:
        own = incident_row(session, incident_id)
        statement = (
            columns(col(IncidentRow.id), col(IncidentRow.title))
            .where(col(IncidentRow.project_id) == own.project_id, col(IncidentRow.merged_into).is_(None))
            .where(col(IncidentRow.id) != own.id)
            .order_by(col(IncidentRow.id).desc())
            .limit(_PAST)
        )
        rows = [(own.id or 0, own.title), *((row[0], row[1]) for row in session.execute(statement))]
        wanted = col(FingerprintRow.incident_id).in_([number for number, _ in rows])
        told = columns(col(FingerprintRow.incident_id), col(FingerprintRow.parts)).where(wanted)
        parts = {row[0]: tuple(row[1]) for row in session.execute(told.order_by(col(FingerprintRow.id)))}
        first, *rest = (PastIncident(f"INC-{number}", parts.get(number, ()), title) for number, title in rows)
        return first, rest


def outcome(db: Database, incident_id: str) -> str:
    """What became of an incident, in words. Raises NotFound."""
    with db.read() as session:
        row = incident_row(session, incident_id)
        statement = select(ActRow).where(ActRow.subject == incident_name(row)).order_by(col(ActRow.id).desc())
        acts = [act for act in session.exec(statement.limit(50)) if act.what in ("status", "lane")]
        said = next((act for act in acts if act.what == "status" and act.after == row.status), None)
        parts = [f"{row.status}{_by(said)}" if row.status in _SETTLED else row.status]
        if row.lane_set_by is not None:
            parts.append(f"{row.lane}{_by(next((act for act in acts if act.what == 'lane'), None))}")
        repaired = _repaired(session, row.id or 0)
        return "; ".join([*parts, repaired] if repaired else parts)


def _repaired(session: Session, number: int) -> str | None:
    """What the last repair came to."""
    statement = select(AttemptRow.body).where(AttemptRow.incident_id == number)
    body = session.exec(statement.order_by(col(AttemptRow.number).desc())).first()
    if body is None:
        return None
    attempt = Attempt.model_validate_json(body)
    drafts: Sequence[str] = [f"draft {draft.title!r} {draft.state}" for draft in attempt.drafts]
    if drafts:
        return drafts[-1]
    return f"repair {attempt.ended.value.replace('_', ' ')}" if attempt.ended else None


def _by(act: ActRow | None) -> str:
    if act is None:
        return ""
    return f" by {act.who}" + (f" ({act.reason[:120]})" if act.reason else "")


def _kinds(session: Session, numbers: Sequence[int]) -> dict[int, Kind]:
    statement = select(IncidentRow.id, IncidentRow.verdict).where(col(IncidentRow.id).in_(set(numbers)))
    return {
        number: Verdict.model_validate(verdict).kind
        for number, verdict in session.exec(statement)
        if number is not None and verdict
    }
