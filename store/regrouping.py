"""A person's word on grouping: two incidents are one, or one is several. Each leaves an act that can be undone.

Merging moves events, fingerprints and counts, and makes the one that went an alias of the one that stays.
Splitting makes a new incident of each further value; the rule stays, so that new events go the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, literal, select, update
from sqlmodel import Session, col
from sqlmodel import select as select_rows

from store.acts import note_act
from store.database import Database
from store.errors import BadPayload, OverLimit
from store.hyperloglog import Sketch
from store.queries import incident_name, incident_row
from store.recording import SHOWN_VALUES
from store.tables import (
    BranchRow,
    EventRow,
    FacetRow,
    FingerprintRow,
    IncidentRow,
    MoveRow,
    UserSketchRow,
)  # fmt: skip
from store.user_counts import EXACT

MOST_PARTS = 100  # incidents that one split may make
_COLUMNS: dict[str, Any] = {
    "release": EventRow.release,
    "environment": EventRow.environment,
    "fingerprint": EventRow.fingerprint_id,
    "transaction": EventRow.transaction,
}
SPLIT_BY = tuple(_COLUMNS)
_FACETS: dict[str, Any] = {
    "user": EventRow.user_key,
    "environment": EventRow.environment,
    "release": EventRow.release,
    "service": EventRow.service,
}
_TAKEN_OVER = (
    "project_id", "title", "culprit", "first_seen", "last_seen", "status", "lane", "lane_set_by", "priority", "why",
    "verdict", "location", "repo", "owner", "owner_set_by",
)  # fmt: skip


def merge(db: Database, into: str, part: str, by: str, reason: str = "") -> str:
    """Make `part` a piece of `into` and return the id of the one that stays. The other id answers with it from now
    on. Raises NotFound; BadPayload where they are one already or belong to two projects."""
    with db.write() as session:
        kept, gone = incident_row(session, into), incident_row(session, part)
        if kept.id == gone.id:
            raise BadPayload(f"{part[:40]} and {into[:40]} are one incident already, {incident_name(kept)}.")
        if kept.project_id != gone.project_id:
            raise BadPayload("Incidents of two projects cannot be merged; each belongs to its own.")
        prints = list(
            session.exec(select_rows(FingerprintRow.id).where(FingerprintRow.incident_id == gone.id))
        )
        last = session.exec(select_rows(func.max(EventRow.id))).one()
        before = {"incident": gone.id, "fingerprints": prints, "last_event": last or 0}
        act = note_act(session, by, "merge", incident_name(kept), before, {"into": kept.id}, reason)
        session.flush()
        moved = select(literal(act.id), col(EventRow.id), col(EventRow.incident_id))
        session.execute(
            insert(MoveRow).from_select(
                ["act_id", "event_id", "from_id"], moved.where(col(EventRow.incident_id) == gone.id)
            )
        )
        move_all(session, gone, kept)
        return incident_name(kept)


def split(db: Database, ref: str, column: str, by: str, reason: str = "") -> list[str]:
    """Make a new incident of each further value that the events have in `column` (one of SPLIT_BY), and return
    their ids; none where all events have the same. The value of the first event stays.

    Raises NotFound; BadPayload where it is split already; OverLimit where it would fall into too many."""
    with db.write() as session:
        row = incident_row(session, ref)
        if row.split_by is not None and column != "fingerprint":
            raise BadPayload(
                f"{incident_name(row)} is split by {row.split_by} already; undo that first, or split its parts."
            )
        values = _values(session, row, column)
        if len(values) > MOST_PARTS:
            raise OverLimit(
                f"{incident_name(row)} would fall into {len(values)} parts; {MOST_PARTS} are allowed."
            )
        if len(values) < 2:
            return []
        parts = {value: _part(session, row, column, value) for value in values[1:]}
        made = {str(value or ""): part.id for value, part in parts.items()}
        rule = {"by": column, "made": made}
        note_act(session, by, "split", incident_name(row), {"incident": row.id}, rule, reason)
        for value, part in parts.items():
            _fill(session, row, part, column, value)
        if column != "fingerprint":
            row.split_by = column
            for value, target in [(values[0], row), *parts.items()]:
                session.add(
                    BranchRow(incident_id=row.id or 0, value=str(value or ""), target_id=target.id or 0)
                )
        recount(session, row)
        return [incident_name(part) for part in parts.values()]


def move_all(session: Session, gone: IncidentRow, kept: IncidentRow) -> None:
    """Give everything that one incident has to another and make it an alias of that."""
    for table in (EventRow, FingerprintRow):
        _update(session, table, table.incident_id == gone.id, incident_id=kept.id)
    gone.merged_into = kept.id
    recount(session, gone)
    recount(session, kept)


def move_events(session: Session, which: ColumnElement[bool], to: IncidentRow) -> None:
    """Count the events that a condition finds in another incident; both are to be recounted afterwards."""
    _update(session, EventRow, which, incident_id=to.id)


def recount(session: Session, row: IncidentRow) -> None:
    """Let an incident's own row and facets say what its events say. Events keep the order of their arrival."""
    session.flush()
    mine = col(EventRow.incident_id) == row.id
    order = select(
        col(EventRow.id).label("id"), func.row_number().over(order_by=col(EventRow.id)).label("place")
    )
    ranked = order.where(mine).subquery()
    _update(session, EventRow, col(EventRow.id) == ranked.c.id, number=ranked.c.place)
    session.execute(delete(FacetRow).where(col(FacetRow.incident_id) == row.id))
    session.execute(delete(UserSketchRow).where(col(UserSketchRow.incident_id) == row.id))
    seen: dict[str, list[str]] = {}
    for kind, column in _FACETS.items():
        found = session.execute(
            select(column).where(mine, col(column).is_not(None), col(column) != "").group_by(column)
            .order_by(func.min(col(EventRow.id)))
        )  # fmt: skip
        seen[kind] = list(found.scalars())
        named = seen[kind][:EXACT] if kind == "user" else seen[kind]
        session.add_all(FacetRow(incident_id=row.id or 0, kind=kind, value=value) for value in named)
    count, first, last = session.execute(
        select(func.count(), func.min(col(EventRow.seen_at)), func.max(col(EventRow.seen_at))).where(mine)
    ).one()
    row.event_count, row.user_count = count, len(seen["user"])
    if row.user_count > EXACT:
        session.add(UserSketchRow(incident_id=row.id or 0, registers=bytes(Sketch.of(seen["user"]))))
    row.environments = seen["environment"][-SHOWN_VALUES:]
    row.releases = seen["release"][-SHOWN_VALUES:]
    row.first_seen, row.last_seen = first or row.first_seen, last or row.last_seen
    session.flush()


def _values(session: Session, row: IncidentRow, column: str) -> Sequence[Any]:
    """The different values of the events, the one of the first event first; no value and an empty one are the
    same."""
    value = _value(column)
    found = session.execute(
        select(value)
        .where(col(EventRow.incident_id) == row.id)
        .group_by(value)
        .order_by(func.min(col(EventRow.id)))
    )
    return list(found.scalars())


def _value(column: str) -> ColumnElement[Any]:
    """What a column says, or what is as good as nothing in it."""
    return func.coalesce(_COLUMNS[column], 0 if column == "fingerprint" else "")


def _part(session: Session, row: IncidentRow, column: str, value: object) -> IncidentRow:
    part = IncidentRow(**{name: getattr(row, name) for name in _TAKEN_OVER})
    session.add(part)
    session.flush()
    return part


def _fill(session: Session, row: IncidentRow, part: IncidentRow, column: str, value: object) -> None:
    same = _value(column) == value
    _update(session, EventRow, (col(EventRow.incident_id) == row.id) & same, incident_id=part.id)
    if column == "fingerprint" and value:
        _update(session, FingerprintRow, col(FingerprintRow.id) == value, incident_id=part.id)
    recount(session, part)


def _update(session: Session, table: Any, which: Any, **values: Any) -> None:
    session.execute(update(table).where(which).values(**values).execution_options(synchronize_session=False))
