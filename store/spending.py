"""The steps of repairs and triages in which a model was asked: what they used, and which transcripts they refer to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlmodel import col, select

from store.database import Database
from store.incident import Step, Triage
from store.tables import StepRow, TriageRow


def model_steps(db: Database, since: datetime | None = None) -> list[Step]:
    """Steps with a record of a model, begun at or after `since`; the newest first."""
    found = []
    for step in _newest_first(db):
        if since is not None and step.started_at < since:
            break
        if isinstance(step.details.get("model"), dict):
            found.append(step)
    return found


def transcripts(db: Database) -> set[str]:
    """The artifacts that steps refer to."""
    named = (step.details["model"].get("transcript") for step in model_steps(db))
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
