"""Reads that span incidents: how often lately, what repairs came to, what was heard last, what one change did."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_
from sqlmodel import Session, col, func, select

from store.database import Database
from store.incident import Occurrence
from store.queries import attempt_value, incident_name, incident_row, resolved
from store.repair import Attempt
from store.tables import AttemptRow, EventRow, IncidentRow, ProjectRow

_NEWEST = 200  # events of one incident that its line is drawn from
_SHA = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class RepairState:
    """What the last repair of an incident has come to. `ended` is a word of `Ended`, None while it is under way."""

    ended: str | None
    reproduced: bool
    patched: bool
    drafted: bool


def lately(db: Database, incident_ids: Collection[str]) -> dict[str, list[datetime]]:
    """When the newest events of each of these incidents were seen, oldest first; at most a few hundred each."""
    found: dict[str, list[datetime]] = {name: [] for name in incident_ids}
    numbers = [int(name.removeprefix("INC-")) for name in found]
    with db.read() as session:
        newest = (
            col(EventRow.number) > col(IncidentRow.event_count) - _NEWEST
        )  # events are numbered from 1 in each
        statement = (
            select(EventRow.incident_id, EventRow.seen_at)
            .join(IncidentRow, col(IncidentRow.id) == col(EventRow.incident_id))
            .where(col(IncidentRow.id).in_(numbers), newest)
        )
        for number, at in session.exec(statement):
            found[f"INC-{number}"].append(at)
    return {name: sorted(times) for name, times in found.items()}


def repairs_of(db: Database, incident_ids: Collection[str]) -> dict[str, RepairState]:
    """What the last repair of each of these incidents has come to; those without one are not in the answer."""
    numbers = [int(name.removeprefix("INC-")) for name in incident_ids]
    parts = [
        func.json_extract(AttemptRow.body, "$.ended"),
        *(func.json_type(AttemptRow.body, f"$.{part}") for part in ("reproducer", "patch", "drafts[0]")),
    ]
    with db.read() as session:
        last = (
            select(AttemptRow.incident_id, func.max(AttemptRow.number).label("number"))
            .where(col(AttemptRow.incident_id).in_(numbers))
            .group_by(col(AttemptRow.incident_id))
            .subquery()
        )
        same = and_(
            col(AttemptRow.incident_id) == last.c.incident_id, col(AttemptRow.number) == last.c.number
        )
        rows = session.execute(select(col(AttemptRow.incident_id), *parts).join(last, same))
        return {
            f"INC-{number}": RepairState(ended, *(kind not in (None, "null") for kind in kinds))
            for number, ended, *kinds in rows
        }


def newest(db: Database, incident_id: str, limit: int) -> list[Occurrence]:
    """The events of an incident that came last, newest first, body or not. Raises NotFound."""
    with db.read() as session:
        row = incident_row(session, incident_id)
        statement = (
            select(EventRow.event_id, EventRow.seen_at, EventRow.release, EventRow.environment)
            .where(EventRow.incident_id == row.id)
            .order_by(col(EventRow.number).desc())
            .limit(limit)
        )
        name = incident_name(row)
        return [
            Occurrence(incident_id=name, event_id=event, seen_at=at, release=release, environment=environment)
            for event, at, release, environment in session.exec(statement)
        ]


def last_events(db: Database) -> dict[str, datetime | None]:
    """When an event of each project was seen last; None where none ever came."""
    with db.read() as session:
        found: dict[str, datetime | None] = {}
        for project in session.exec(select(ProjectRow).order_by(col(ProjectRow.id))):
            seen = select(func.max(IncidentRow.last_seen)).where(IncidentRow.project_id == project.id)
            found[project.name] = session.exec(seen).one()
        return found


def attempts_naming(db: Database, commit: str, limit: int = 100) -> list[Attempt]:
    """The last repairs of incidents in which a commit is a candidate change or a base, newest first."""
    if not _SHA.fullmatch(commit):
        return []
    with db.read() as session:
        return _latest(
            session, [col(AttemptRow.body).contains(f'"commit":"{commit}', autoescape=True)], limit
        )


def _latest(session: Session, wanted: Sequence[ColumnElement[bool]], limit: int) -> list[Attempt]:
    rows = session.exec(
        select(AttemptRow)
        .where(*wanted)
        .order_by(col(AttemptRow.incident_id).desc(), col(AttemptRow.number).desc())
        .limit(limit)
    )
    found: dict[str, Attempt] = {}
    for row in rows:
        answering = incident_name(resolved(session, session.get_one(IncidentRow, row.incident_id)))
        value = attempt_value(session, row).model_copy(update={"incident_id": answering})
        found.setdefault(answering, value)
    return sorted(found.values(), key=lambda attempt: attempt.started_at, reverse=True)
