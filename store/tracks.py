"""What was done with each incident and when, for the product's own figures: plain records, read in bulk."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, func, select

from store.database import Database
from store.incident import Lane, Step
from store.repair import Attempt
from store.tables import ActRow, AttemptRow, EventRow, IncidentRow, StepRow, TriageRow, WatchRow

_TRIAGE = "triage"


@dataclass(frozen=True)
class Track:
    """One incident's way. `detected` is when we had its first event; `set_aside`: triage has called it noise at some
    time; `brought_back`: a person has taken it out of there since."""

    number: int
    lane: Lane
    detected: datetime
    triaged: datetime | None
    set_aside: bool
    brought_back: bool
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Tracks:
    """Every incident that was first seen since some time, and how often a merged fix is watched and has come back."""

    incidents: tuple[Track, ...]
    watched: int
    recurred: int


def tracks(db: Database, since: datetime | None = None) -> Tracks:
    """Read them; incidents that were merged into others are told with those."""
    with db.read() as session:
        first: dict[int, datetime] = dict(
            session.exec(select(EventRow.incident_id, EventRow.received_at).where(EventRow.number == 1)).all()
        )
        triaged: dict[int, datetime] = dict(
            session.exec(
                select(TriageRow.incident_id, func.min(TriageRow.at)).group_by(col(TriageRow.incident_id))
            ).all()
        )
        aside, back = _lanes(session)
        attempts = _attempts(session)
        statement = select(IncidentRow).where(col(IncidentRow.merged_into).is_(None))
        if since is not None:
            statement = statement.where(IncidentRow.last_seen >= since)
        found = []
        for row in session.exec(statement.order_by(col(IncidentRow.id))):
            number = row.id or 0
            detected = first.get(number, row.first_seen)
            if since is None or detected >= since:
                found.append(
                    Track(
                        number,
                        Lane(row.lane),
                        detected,
                        triaged.get(number),
                        number in aside,
                        number in back,
                        tuple(attempts.get(number, ())),
                    )
                )
        wanted = {track.number for track in found}
        watched = [row for row in session.exec(select(WatchRow)) if row.incident_id in wanted]
        return Tracks(tuple(found), len(watched), sum(row.recurred_at is not None for row in watched))


def _lanes(session: Session) -> tuple[set[int], set[int]]:
    """The incidents that triage has set aside, and those of them that a person has brought back."""
    aside: set[int] = set()
    back: set[int] = set()
    statement = select(ActRow.subject, ActRow.who, ActRow.after).where(ActRow.what == "lane")
    for subject, who, after in session.exec(statement.order_by(col(ActRow.id))):
        number = int(subject.removeprefix("INC-"))
        if who == _TRIAGE and after == Lane.NOISE.value:
            aside.add(number)
        elif who != _TRIAGE and after != Lane.NOISE.value and number in aside:
            back.add(number)
    return aside, back


def _attempts(session: Session) -> dict[int, list[Attempt]]:
    """The repairs of each incident with their steps, oldest first."""
    steps: dict[str, list[Step]] = defaultdict(list)
    for name, body in session.exec(select(StepRow.attempt_id, StepRow.body).order_by(col(StepRow.id))):
        steps[name].append(Step.model_validate_json(body))
    found: dict[int, list[Attempt]] = defaultdict(list)
    for row in session.exec(select(AttemptRow).order_by(col(AttemptRow.incident_id), col(AttemptRow.number))):
        attempt = Attempt.model_validate_json(row.body)
        found[row.incident_id].append(attempt.model_copy(update={"steps": tuple(steps.get(row.id, ()))}))
    return found
