"""Every row of one project or of all, as JSON objects: what an export is made of.

Events were redacted before they were kept. Keys stay here unless they are asked for; addresses of repositories
go without the credentials that may stand in them. Counts and facets are not told: they follow from the events.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from store.bodies import unpacked
from store.git import without_credentials
from store.queries import project_row
from store.tables import (
    ActRow,
    AttemptRow,
    BranchRow,
    EventRow,
    ExposureRow,
    FeedbackRow,
    FingerprintRow,
    FlagChangeRow,
    IncidentRow,
    KeyRow,
    MoveRow,
    ProjectRow,
    ReleaseRow,
    RepositoryRow,
    Row,
    SourceMapRow,
    StepRow,
    SubmissionRow,
    TriageRow,
    WatchRow,
)

KEYS = "keys"
TABLES: dict[str, type[Row]] = {
    "projects": ProjectRow,
    KEYS: KeyRow,
    "repositories": RepositoryRow,
    "releases": ReleaseRow,
    "source_maps": SourceMapRow,
    "flag_changes": FlagChangeRow,
    "incidents": IncidentRow,
    "fingerprints": FingerprintRow,
    "events": EventRow,
    "triages": TriageRow,
    "attempts": AttemptRow,
    "steps": StepRow,
    "submissions": SubmissionRow,
    "acts": ActRow,
    "moves": MoveRow,
    "branches": BranchRow,
    "watches": WatchRow,
    "feedback": FeedbackRow,
    "exposures": ExposureRow,
}
_AT_ONCE = 500


def rows(session: Session, name: str, project: str | None) -> Iterator[dict[str, Any]]:
    """The rows of a table in the order in which they were made. Raises NotFound for an unknown project."""
    table: Any = TABLES[name]
    statement = select(table)
    if project is not None:
        statement = statement.where(_of(session, name, table, project))
    keys = [col(getattr(table, column.name)) for column in table.__table__.primary_key]
    found = session.exec(statement.order_by(*keys).execution_options(yield_per=_AT_ONCE))
    for row in found:
        yield {key: _plain(value) for key, value in row.model_dump(mode="python").items()} | _safe(row)


def artifacts_of(row: dict[str, Any]) -> list[str]:
    """The hashes of the artifacts that a row is about: a source map's; an event's raw payload and capsule."""
    if isinstance(row.get("artifact"), str):
        return [row["artifact"]]
    return referred(unpacked(base64.b64decode(row["body"]))) if row.get("body") else []


def referred(body: bytes) -> list[str]:
    """Those that an event as JSON refers to."""
    event = json.loads(body)
    found = [event.get("raw"), (event.get("capsule") or {}).get("artifact")]
    return [digest for digest in found if isinstance(digest, str)]


def _of(session: Session, name: str, table: Any, ref: str) -> ColumnElement[bool]:
    """The condition by which a row is one of the project's."""
    project = project_row(session, ref)
    incidents = select(IncidentRow.id).where(IncidentRow.project_id == project.id)
    if name == "projects":
        return col(ProjectRow.id) == project.id
    if name == "steps":
        return col(StepRow.attempt_id).in_(
            select(AttemptRow.id).where(col(AttemptRow.incident_id).in_(incidents))
        )
    if name == "acts":
        own = [f"INC-{number}" for number in session.exec(incidents)]
        named = f"project:{project.name}"
        return col(ActRow.subject).in_([*own, named]) | col(ActRow.subject).startswith(
            f"repository:{project.name}/"
        )
    if name == "moves":
        return col(MoveRow.from_id).in_(incidents)
    if "project_id" in table.model_fields:
        return col(table.project_id) == project.id
    return col(table.incident_id).in_(incidents)


def _safe(row: Row) -> dict[str, Any]:
    """What of a row is told otherwise than it is kept: addresses, which may carry credentials."""
    if isinstance(row, RepositoryRow):
        return {"url": without_credentials(row.url)}
    if isinstance(row, ActRow) and row.what == "repository":
        return {"before": _bare(row.before), "after": _bare(row.after)}
    return {}


def _bare(told: Any) -> Any:
    return {**told, "url": without_credentials(str(told.get("url")))} if isinstance(told, dict) else told


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
