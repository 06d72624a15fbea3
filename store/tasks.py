"""What is to be done, kept beside what it is about: an incident to triage, a repair to make.

A task is written in the transaction that makes it necessary, and goes in the one that keeps its result. So
nothing is forgotten when a process dies in between, and the durable engine may lose everything it knows: it
is told again. Where a task stands is the engine's business and not kept here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import Session, col, delete, func, select

from store.acts import note_act
from store.database import Database
from store.errors import NotAllowed
from store.incident import Step
from store.queries import attempt_value, incident_name, incident_row
from store.repair import Attempt, Ended
from store.tables import AttemptRow, IncidentRow, ProjectRow, StepRow, SwitchRow, TaskKind, TaskRow

__all__ = [
    "BOUNDS", "Task", "TaskKind", "await_forge", "bound_of", "cancel_repair", "drop", "finish_repair", "is_open",
    "is_waiting", "new_attempt", "of_incident", "pause", "paused", "request_repair", "resume", "seconds_spent",
    "settle", "waiting",
]  # fmt: skip

BOUNDS = ("causes", "minimise")  # the steps that a repair can be asked to end with, the sooner first
_PAUSED = "paused"
_NEWEST = 20_000  # steps that are looked through for what was spent: more than a day has


@dataclass(frozen=True)
class Task:
    """One thing to do. `name` is the same for ever and no other task's; `subject` is the incident's name, or
    the attempt's id."""

    id: int
    kind: TaskKind
    incident_id: str
    subject: str

    @property
    def name(self) -> str:
        """What the engine calls it: "triage-17", or the attempt's id."""
        return self.subject if self.kind is TaskKind.REPAIR else f"{self.kind.value}-{self.id}"


def waiting(db: Database, kind: TaskKind | None = None) -> list[Task]:
    """Everything that is not done yet, oldest first, whether somebody is at it or not."""
    with db.read() as session:
        statement = select(TaskRow).order_by(col(TaskRow.id))
        if kind is not None:
            statement = statement.where(TaskRow.kind == kind.value)
        return [_task(row) for row in session.exec(statement)]


def of_incident(db: Database, incident_id: str, kind: TaskKind) -> Task | None:
    """What of this kind is still to be done for an incident. Raises NotFound for an unknown one."""
    with db.read() as session:
        row = _of_incident(session, incident_row(session, incident_id).id or 0, kind)
        return None if row is None else _task(row)


def is_waiting(db: Database, subject: str) -> bool:
    """Whether the work on this subject is not done yet. A draft that waits for its forge is none: the repair has
    ended."""
    with db.read() as session:
        places = (TaskRow.subject == subject, TaskRow.kind != TaskKind.DRAFT.value)
        return session.exec(select(TaskRow.id).where(*places)).first() is not None


def request_repair(db: Database, incident_id: str, until: str | None = None) -> tuple[Attempt, bool]:
    """Have an incident repaired, to the end or up to a step. The attempt, and whether it is new: one at a time is made
    of an incident, and one that was to end sooner goes on where more is asked for.

    Raises NotFound; NotAllowed while repairs are paused."""
    with db.write() as session:
        incident = incident_row(session, incident_id)
        under_way = _of_incident(session, incident.id or 0, TaskKind.REPAIR)
        if under_way is not None:
            if under_way.until != until:
                under_way.until = BOUNDS[-1] if until and under_way.until else None
            return attempt_value(session, session.get_one(AttemptRow, under_way.subject)), False
        if session.get(SwitchRow, _PAUSED) is not None:
            raise NotAllowed("All repairs are paused; `nightdesk resume` lets them go on.")
        attempt = new_attempt(session, incident_id)
        now = datetime.now(UTC)
        row = TaskRow(
            kind=TaskKind.REPAIR.value, incident_id=incident.id or 0, subject=attempt.id, created_at=now,
            until=until,
        )  # fmt: skip
        session.add(row)
    return attempt, True


def bound_of(db: Database, attempt_id: str) -> str | None:
    """The step that a repair under way is to end with; None: it goes to its end."""
    with db.read() as session:
        places = (TaskRow.subject == attempt_id, TaskRow.kind == TaskKind.REPAIR.value)
        return session.exec(select(TaskRow.until).where(*places)).first()


def finish_repair(db: Database, attempt_id: str) -> None:
    """The workflow of a repair is over: nothing of it waits any more. One that was to end at a step ends as
    undetermined; where more was asked for after its last step, that is a repair of its own. Twice is the same as
    once."""
    with db.write() as session:
        places = (TaskRow.subject == attempt_id, TaskRow.kind == TaskKind.REPAIR.value)
        row = session.exec(select(TaskRow).where(*places)).first()
        kept = session.get(AttemptRow, attempt_id)
        if row is None or kept is None:
            return
        attempt = attempt_value(session, kept)
        session.delete(row)
        session.flush()
        if attempt.ended is not None:
            return
        update = {"ended": Ended.UNDETERMINED, "finished_at": datetime.now(UTC)}
        kept.body = attempt.model_copy(update=update).model_dump_json(exclude={"steps"})
        if row.until is None and any(step.name in BOUNDS for step in attempt.steps):
            again, now = new_attempt(session, attempt.incident_id), datetime.now(UTC)
            session.add(TaskRow(kind=row.kind, incident_id=row.incident_id, subject=again.id, created_at=now))


def new_attempt(session: Session, incident_id: str) -> Attempt:
    """Begin the record of a repair, inside the caller's transaction; its id is the incident's with a running
    number ("INC-42-1"). Raises NotFound."""
    row = incident_row(session, incident_id)
    last = session.exec(select(func.max(AttemptRow.number)).where(AttemptRow.incident_id == row.id)).one()
    number = (last or 0) + 1
    name = incident_name(row)
    attempt = Attempt(id=f"{name}-{number}", incident_id=name, started_at=datetime.now(UTC))
    body = attempt.model_dump_json(exclude={"steps"})
    session.add(AttemptRow(id=attempt.id, incident_id=row.id or 0, number=number, body=body))
    session.flush()
    return attempt


def await_forge(db: Database, attempt_id: str) -> None:
    """Have the drafts of an attempt opened later: the forge does not answer now. Once is enough."""
    with db.write() as session:
        incident = incident_row(session, attempt_id.rpartition("-")[0])
        row = _of_incident(session, incident.id or 0, TaskKind.DRAFT)
        if row is None:
            now, number = datetime.now(UTC), incident.id or 0
            row = TaskRow(kind=TaskKind.DRAFT.value, incident_id=number, subject=attempt_id, created_at=now)
            session.add(row)
        row.subject = attempt_id


def is_open(db: Database, task: Task) -> bool:
    """Whether this very task is still to be done: a list of tasks is old as soon as it is read."""
    with db.read() as session:
        return session.get(TaskRow, task.id) is not None


def settle(db: Database, task: Task) -> None:
    """Say that a task is done. Twice is the same as once; a newer one for the same incident stays."""
    with db.write() as session:
        drop(session, task)


def drop(session: Session, task: Task) -> None:
    """Take a task away, inside the transaction that keeps its result."""
    session.execute(
        delete(TaskRow).where(col(TaskRow.id) == task.id).execution_options(synchronize_session=False)
    )


def cancel_repair(db: Database, attempt_id: str, by: str, said: str) -> bool:
    """Give a repair up: it ends as cancelled, and whoever is at work on it stops. False where it had ended."""
    with db.write() as session:
        places = (TaskRow.subject == attempt_id, TaskRow.kind == TaskKind.REPAIR.value)
        row = session.exec(select(TaskRow).where(*places)).first()
        if row is None:
            return False
        kept = session.get_one(AttemptRow, attempt_id)
        attempt = attempt_value(session, kept)
        if attempt.ended is None:
            update = {"ended": Ended.CANCELLED, "said": said, "finished_at": datetime.now(UTC)}
            kept.body = attempt.model_copy(update=update).model_dump_json(exclude={"steps"})
            kept.holder = None  # what is at work on it writes nothing more
        session.delete(row)
        note_act(session, by, "cancel", attempt_id, None, None, said)
        return True


def pause(db: Database, by: str) -> bool:
    """Hold all repairs back, those at work too. False where they were paused already."""
    with db.write() as session:
        if session.get(SwitchRow, _PAUSED) is not None:
            return False
        session.add(SwitchRow(name=_PAUSED, at=datetime.now(UTC), by=by))
        note_act(session, by, "pause", "repairs", False, True)
        return True


def resume(db: Database, by: str) -> bool:
    """Let repairs go on where they were. False where they were not paused."""
    with db.write() as session:
        row = session.get(SwitchRow, _PAUSED)
        if row is None:
            return False
        session.delete(row)
        note_act(session, by, "pause", "repairs", True, False)
        return True


def paused(db: Database) -> bool:
    """Whether all repairs are held back."""
    with db.read() as session:
        return session.get(SwitchRow, _PAUSED) is not None


def seconds_spent(db: Database, since: datetime) -> dict[str, float]:
    """How long the steps of repairs took that were begun since a moment, for each repository that a failure was placed
    in ("repository:NAME"), or project where it was not ("project:NAME")."""
    spent: defaultdict[str, float] = defaultdict(float)
    with db.read() as session:
        names = {row.id: row.name for row in session.exec(select(ProjectRow))}
        statement = select(StepRow.body, IncidentRow.repo, IncidentRow.project_id).where(
            AttemptRow.id == StepRow.attempt_id, AttemptRow.incident_id == IncidentRow.id
        )
        for body, repo, project in session.exec(statement.order_by(col(StepRow.id).desc()).limit(_NEWEST)):
            step = Step.model_validate_json(body)
            if step.started_at >= since:
                owner = f"repository:{repo}" if repo else f"project:{names[project]}"
                spent[owner] += step.took
    return dict(spent)


def _of_incident(session: Session, number: int, kind: TaskKind) -> TaskRow | None:
    statement = select(TaskRow).where(TaskRow.incident_id == number, TaskRow.kind == kind.value)
    return session.exec(statement).first()


def _task(row: TaskRow) -> Task:
    return Task(row.id or 0, TaskKind(row.kind), f"INC-{row.incident_id}", row.subject)
