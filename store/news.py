"""Which incidents have changed since one looked last, by the newest row numbers: four look-ups by primary key."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from store.database import Database
from store.queries import incident_name, resolved
from store.tables import ActRow, AttemptRow, EventRow, IncidentRow, ProjectRow, StepRow, TriageRow

_AT_ONCE = 500  # incidents that one look tells of; whoever is told of so many asks for the list


@dataclass(frozen=True)
class Mark:
    """How far one has read: the highest numbers of acts, steps, triages and events."""

    acts: int
    steps: int
    triages: int
    events: int


def changed(db: Database, since: Mark | None) -> tuple[Mark, dict[str, str]]:
    """The mark as it is now, and the incidents that have changed since the one before (id -> project's name).
    Without one: nothing has."""
    with db.read() as session:
        now = Mark(*(_highest(session, row) for row in (ActRow, StepRow, TriageRow, EventRow)))
        if since is None or now == since:
            return now, {}
        names = {row.id: row.name for row in session.exec(select(ProjectRow))}
        found = {}
        for number in sorted(_numbers(session, since))[-_AT_ONCE:]:
            row = session.get(IncidentRow, number)
            if row is not None:
                answering = resolved(session, row)
                found[incident_name(answering)] = names[answering.project_id]
        return now, found


def _highest(session: Session, row: type[ActRow] | type[StepRow] | type[TriageRow] | type[EventRow]) -> int:
    return session.exec(select(func.max(row.id))).one() or 0


def _numbers(session: Session, since: Mark) -> set[int]:
    acts = session.exec(select(ActRow.subject).where(col(ActRow.id) > since.acts).distinct())
    numbers = {int(name[4:]) for name in acts if name.startswith("INC-") and name[4:].isdigit()}
    steps = (
        select(AttemptRow.incident_id)
        .join(StepRow, col(StepRow.attempt_id) == col(AttemptRow.id))
        .where(col(StepRow.id) > since.steps)
    )
    triages = select(TriageRow.incident_id).where(col(TriageRow.id) > since.triages)
    events = select(EventRow.incident_id).where(col(EventRow.id) > since.events)
    for statement in (steps, triages, events):
        numbers.update(session.exec(statement.distinct()))
    return numbers
