"""What repairs and triages used of a model, and which artifacts they refer to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import col, select

from store.database import Database
from store.incident import Step, Triage
from store.repair import Attempt
from store.tables import AttemptRow, StepRow, TriageRow


def model_steps(db: Database, since: datetime | None = None) -> list[Step]:
    """Steps with a record of a model, begun at or after `since`; the newest first."""
    found = []
    for step in _newest_first(db):
        if since is not None and step.started_at < since:
            break
        if isinstance(step.details.get("model"), dict):
            found.append(step)
    return found


def artifacts_referred_to(db: Database) -> set[str]:
    """The artifacts that repairs and triages refer to: transcripts of a model, files of proofs."""
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
        asked = col(TriageRow.body).contains('"model":{', autoescape=True)
        triages = session.exec(select(TriageRow.body).where(asked).order_by(col(TriageRow.id).desc())).all()
    steps = [Step.model_validate_json(body) for body in bodies]
    once = {
        step.model_dump_json(): step  # an opinion that is remembered stands in each triage since
        for body in triages
        for step in Triage.model_validate_json(body).steps
    }
    yield from sorted((*steps, *once.values()), key=lambda step: step.started_at, reverse=True)
