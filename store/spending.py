"""What repairs used of a model, and which artifacts they refer to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlmodel import col, select

from store.database import Database
from store.incident import Step
from store.repair import Attempt
from store.tables import AttemptRow, StepRow

_APART = timedelta(
    hours=1
)  # a step lands when it ends: those of other repairs that began later may stand before it


def model_steps(db: Database, since: datetime | None = None) -> list[Step]:
    """Steps with a record of a model, begun at or after `since`; the newest first."""
    found = []
    for step in _newest_first(db):
        if since is not None and step.started_at < since - _APART:
            break
        if since is not None and step.started_at < since:
            continue
        if isinstance(step.details.get("model"), dict):
            found.append(step)
    return found


def artifacts_of_repairs(db: Database) -> set[str]:
    """The artifacts that repairs refer to: transcripts of a model, files of proofs."""
    named = [step.details["model"].get("transcript") for step in model_steps(db)]
    with db.read() as session:
        proven = col(AttemptRow.body).contains('"proof_file":"', autoescape=True)
        bodies = session.exec(select(AttemptRow.body).where(proven)).all()
    named += [Attempt.model_validate_json(body).proof_file for body in bodies]
    return {digest for digest in named if isinstance(digest, str)}


def _newest_first(db: Database) -> Iterator[Step]:
    with db.read() as session:
        told = col(StepRow.body).contains('"model":{', autoescape=True)
        bodies = session.exec(select(StepRow.body).where(told).order_by(col(StepRow.id).desc())).all()
    for body in bodies:
        yield Step.model_validate_json(body)
