"""Patches that were handed in to be judged: kept in the transaction that makes the task, so that nothing is forgotten.

One task stands for all of an incident that have not ended; they are done one after the other. The same one handed in
twice is one.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from sqlmodel import Session, col, func, select

from store.database import Database
from store.errors import OverLimit
from store.queries import incident_name, incident_row
from store.repair import Submission
from store.tables import SubmissionRow, TaskKind, TaskRow
from store.tasks import Task

WAITING = 20  # patches of an incident that may wait to be judged, each for minutes


def hand_in(db: Database, wanted: Submission) -> tuple[Submission, bool]:
    """Keep a submission (its `id` is given here) and have it done. The one there is, and whether it is new: one that
    has a verdict is found again, one that could not be judged is judged anew. Raises NotFound, and OverLimit where
    WAITING others have no verdict yet."""
    with db.write() as session:
        incident = incident_row(session, wanted.incident_id)
        number = incident.id or 0
        places = (SubmissionRow.incident_id == number, SubmissionRow.digest == _digest(wanted))
        row = session.exec(select(SubmissionRow).where(*places)).first()
        if row is not None:
            known = _value(row)
            if known.ended_at is not None and known.validation is None and known.asked is None:
                known = known.model_copy(update={"ended_at": None, "said": ""})
                row.body, row.ended = _body(known), False
                _have_done(session, number)
            return known, False
        open_ones = (SubmissionRow.incident_id == number, col(SubmissionRow.ended).is_(False))
        if session.exec(select(func.count()).where(*open_ones)).one() >= WAITING:
            raise OverLimit(
                f"{WAITING} patches for {incident_name(incident)} wait to be judged: wait for their verdicts."
            )
        mine = select(func.max(SubmissionRow.number)).where(SubmissionRow.incident_id == number)
        place = (session.exec(mine).one() or 0) + 1
        name = incident_name(incident)
        made = wanted.model_copy(update={"id": f"{name}-p{place}", "incident_id": name})
        session.add(
            SubmissionRow(
                id=made.id, incident_id=number, number=place, digest=_digest(wanted),
                body=_body(made),
            )
        )  # fmt: skip
        session.flush()
        _have_done(session, number)
    return made, True


def take(db: Database, incident_id: str, holder: str) -> Submission | None:
    """The oldest of an incident that has not ended, which only this run of a worker may write from now on; None where
    there is none."""
    with db.write() as session:
        number = incident_row(session, incident_id).id
        open_ones = (SubmissionRow.incident_id == number, col(SubmissionRow.ended).is_(False))
        statement = select(SubmissionRow).where(*open_ones).order_by(col(SubmissionRow.number))
        row = session.exec(statement).first()
        if row is None:
            return None
        row.holder = holder
        return _value(row)


def keep(db: Database, submission: Submission, holder: str) -> bool:
    """Keep how far it has come. False, and nothing is kept, where another run may write it by now."""
    with db.write() as session:
        row = session.get(SubmissionRow, submission.id)
        if row is None or row.holder != holder:
            return False
        row.body, row.ended = _body(submission), submission.ended_at is not None
        return True


def finish(db: Database, task: Task, *, said: str = "") -> None:
    """The task is done. What was handed in since has a task of its own; with `said`, all that have not ended are given
    up for that reason."""
    with db.write() as session:
        row = session.get(TaskRow, task.id)
        if row is not None:
            session.delete(row)
            session.flush()
        number = incident_row(session, task.incident_id).id or 0
        open_ones = (SubmissionRow.incident_id == number, col(SubmissionRow.ended).is_(False))
        left = session.exec(select(SubmissionRow).where(*open_ones)).all()
        for each in left if said else ():
            known = _value(each)
            ended = known.model_copy(update={"said": said, "ended_at": datetime.now(UTC)})
            each.body, each.ended, each.holder = _body(ended), True, None
        if left and not said:
            _have_done(session, number)


def of_incident(db: Database, incident_id: str) -> list[Submission]:
    """Every submission of an incident, oldest first. Raises NotFound."""
    with db.read() as session:
        number = incident_row(session, incident_id).id
        statement = select(SubmissionRow).where(SubmissionRow.incident_id == number)
        rows = session.exec(statement.order_by(col(SubmissionRow.number)))
        return [_value(row) for row in rows]


def submission(db: Database, name: str) -> Submission | None:
    """The submission of this id ("INC-42-p1")."""
    with db.read() as session:
        row = session.get(SubmissionRow, name)
        return None if row is None else _value(row)


def _body(value: Submission) -> str:
    """As plain ASCII: a diff of a file in an old encoding has half characters."""
    return json.dumps(value.model_dump(), default=datetime.isoformat)


def _value(row: SubmissionRow) -> Submission:
    return Submission.model_validate(json.loads(row.body))


def _have_done(session: Session, number: int) -> None:
    """See to it that a task stands for what an incident has that is not done."""
    places = (TaskRow.kind == TaskKind.JUDGE.value, TaskRow.incident_id == number)
    if session.exec(select(TaskRow).where(*places)).first() is None:
        subject = f"INC-{number} patches"
        now = datetime.now(UTC)
        session.add(TaskRow(kind=TaskKind.JUDGE.value, incident_id=number, subject=subject, created_at=now))


def _digest(wanted: Submission) -> str:
    """By what two are the same: what is asked for in a review by its comment, a patch by itself and what judges it."""
    told: list[object]
    if wanted.asked is not None:
        told = ["asked", wanted.asked.repo, wanted.asked.source]
    else:
        commits = sorted(wanted.commits.items())
        told = ["patch", wanted.repo, wanted.diff, wanted.attempt_id, wanted.keep, commits]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
