"""What the processes and hosts of one installation have in common, beside what the team's rows say: marks that all of
them go by, how much senders sent lately, the calibrations in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from store.database import Database
from store.host_tables import CalibrationRow, MarkRow, SentRow
from store.queries import project_row
from store.tables import KeyRow, ProjectRow

KEYS = "keys"  # the mark that counts changes of senders' keys
REDACTION = "redaction key"  # the mark that names the key of redaction
_SENT: Table = SentRow.__table__  # type: ignore[attr-defined]
_MARKS: Table = MarkRow.__table__  # type: ignore[attr-defined]
_VALUE = select(_MARKS.c.value).where(_MARKS.c.name == bindparam("name"))


@dataclass(frozen=True)
class Sent:
    """Events that came with a key in one minute since 1970."""

    project: str
    key_id: int
    minute: int
    events: int


# --- marks ---


def mark(db: Database, name: str) -> str | None:
    """The value of a mark; None where nobody has set it."""
    with db.read() as session:
        found: str | None = session.connection().execute(_VALUE, {"name": name}).scalar()
        return found


def set_mark(session: Session, name: str, value: str) -> None:
    """Set a mark, inside the caller's transaction."""
    row = session.get(MarkRow, name)
    if row is None:
        session.add(MarkRow(name=name, value=value))
    else:
        row.value = value


def set_once(session: Session, name: str, value: str) -> str:
    """Set a mark unless it is set; its value, inside the caller's transaction."""
    row = session.get(MarkRow, name)
    if row is None:
        session.add(MarkRow(name=name, value=value))
    return row.value if row else value


def keys_changed(session: Session) -> None:
    """Tell every process to read senders' keys again, inside the transaction that changes them."""
    row = session.get(MarkRow, KEYS)
    set_mark(session, KEYS, str(int(row.value) + 1 if row else 1))


# --- what was sent ---


def add_sent(db: Database, counts: Mapping[tuple[int, int], int], since: int) -> list[Sent]:
    """Add events to (key, minute); all that came from the minute `since` on, by time. What is older goes."""
    with db.write() as session:
        connection = session.connection()
        connection.execute(delete(_SENT).where(_SENT.c.minute < since))
        if counts:
            made: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[db.backend.name](_SENT)
            added = made.on_conflict_do_update(
                index_elements=["key_id", "minute"],
                set_={"events": _SENT.c.events + made.excluded.events},
            )
            connection.execute(
                added,
                [
                    {"key_id": key, "minute": minute, "events": events}
                    for (key, minute), events in counts.items()
                ],
            )
        found = (
            select(col(ProjectRow.name), _SENT.c.key_id, _SENT.c.minute, _SENT.c.events)
            .join(KeyRow, col(KeyRow.id) == _SENT.c.key_id)
            .join(ProjectRow, col(ProjectRow.id) == col(KeyRow.project_id))
            .order_by(_SENT.c.minute)
        )
        return [Sent(*row) for row in connection.execute(found)]


# --- calibrations ---


def calibrations(db: Database) -> dict[str, dict[str, Any]]:
    """The calibrations in force, by the name of their project."""
    with db.read() as session:
        statement = select(col(ProjectRow.name), col(CalibrationRow.part)).join(
            ProjectRow, col(ProjectRow.id) == col(CalibrationRow.project_id)
        )
        return {row[0]: row[1] for row in session.execute(statement)}


def calibrate(db: Database, project: str, part: dict[str, Any]) -> None:
    """Put a calibration in the place of the one of its project. Raises NotFound."""
    with db.write() as session:
        number = project_row(session, project).id or 0
        row = session.get(CalibrationRow, number)
        if row is None:
            session.add(CalibrationRow(project_id=number, part=part))
        else:
            row.part = part


def forget_calibration(db: Database, project: str) -> bool:
    """Take the calibration of a project away; False where there was none. Raises NotFound."""
    with db.write() as session:
        row = session.get(CalibrationRow, project_row(session, project).id)
        if row is not None:
            session.delete(row)
        return row is not None
