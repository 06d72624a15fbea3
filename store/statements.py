"""The statements by which `recording` reads and writes, made once: SQLAlchemy finds what it has compiled of them by
identity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, and_, bindparam, select, update
from sqlmodel import col

from store.tables import (
    BranchRow,
    EventRow,
    FacetRow,
    FingerprintRow,
    IncidentRow,
    MinuteRow,
    ProjectRow,
    ReleaseRow,
    Row,
)


@dataclass(slots=True)
class Counted:
    """An incident's row while the batch counts."""

    id: int
    project_id: int
    event_count: int
    user_count: int
    first_seen: datetime
    last_seen: datetime
    environments: list[str]
    releases: list[str]
    status: str
    split_by: str | None
    merged_into: int | None


def table(row: type[Row]) -> Table:
    """The table of a row's class."""
    found: Table = row.__table__  # type: ignore[attr-defined]
    return found


def _listed(name: str) -> Any:
    return bindparam(name, expanding=True)


# Statements are made once: SQLAlchemy finds what it has compiled of them by identity.
_events, _incidents, _releases = table(EventRow).c, table(IncidentRow).c, table(ReleaseRow).c
PROJECTS = select(table(ProjectRow).c.id, table(ProjectRow).c.name).where(
    table(ProjectRow).c.name.in_(_listed("names")) | table(ProjectRow).c.id.in_(_listed("ids"))
)
KNOWN = select(_events.project_id, _events.event_id, _events.incident_id).where(
    _events.event_id.in_(_listed("ids"))
)
PRINTS = select(table(FingerprintRow)).where(
    col(FingerprintRow.project_id).in_(_listed("projects")),
    col(FingerprintRow.mechanism).in_(_listed("mechanisms")),
    col(FingerprintRow.key).in_(_listed("keys")),
)
INCIDENTS = select(*(_incidents[name] for name in Counted.__slots__)).where(_incidents.id.in_(_listed("ids")))
FACETS = select(table(FacetRow)).where(
    col(FacetRow.incident_id).in_(_listed("ids")), col(FacetRow.value).in_(_listed("values"))
)
MINUTES = select(table(MinuteRow)).where(
    col(MinuteRow.endpoint).in_(_listed("names")), col(MinuteRow.minute).in_(_listed("minutes"))
)
BRANCH = select(col(BranchRow.target_id)).where(
    col(BranchRow.incident_id) == bindparam("id"), col(BranchRow.value) == bindparam("value")
)
COUNT = (
    update(table(IncidentRow))
    .where(_incidents.id == bindparam("row"))
    .values(
        event_count=bindparam("count"), user_count=bindparam("users"), first_seen=bindparam("first"),
        last_seen=bindparam("last"), environments=bindparam("places"), releases=bindparam("versions"),
        status=bindparam("state"),
    )
)  # fmt: skip
_others = table(EventRow).alias("others")
NEIGHBOURS = (  # an event, once for each event of the same entity around it, and once where there is none
    select(_events.id, _events.seen_at, _others.c.seen_at.label("near"))
    .select_from(
        table(EventRow).outerjoin(
            _others,
            and_(
                _others.c.incident_id == _events.incident_id,
                _others.c.number.between(bindparam("low"), bindparam("high")),
                _others.c.number != _events.number,
                _others.c.entity == _events.entity,
            ),
        )
    )
    .where(_events.incident_id == bindparam("incident"), _events.number == bindparam("number"))
)
DROP_BODY = update(table(EventRow)).where(_events.id == bindparam("row")).values(body=None)
ADD_BODY = (
    update(table(EventRow))
    .where(_events.incident_id == bindparam("incident"), _events.event_id == bindparam("event"))
    .values(body=bindparam("kept"))
)
RELEASE = select(_releases.id, _releases.first_seen).where(
    _releases.project_id == bindparam("project"),
    _releases.version == bindparam("version"),
    _releases.environment == bindparam("environment"),
)
RELEASE_SEEN = (
    update(table(ReleaseRow)).where(_releases.id == bindparam("row")).values(first_seen=bindparam("seen"))
)
