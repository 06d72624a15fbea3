"""What every write leaves behind: a row of the append-only table of acts, and a task where triage is to look again; and
text as a database takes it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert
from sqlmodel import Session, col

from store.tables import ActRow, TaskKind, TaskRow

_TEXT = 500  # characters of a title, a culprit, a name


def act_values(
    who: str, what: str, subject: str, before: Any, after: Any, reason: str = ""
) -> dict[str, Any]:
    """The columns of an act that happens now."""
    return {
        "at": datetime.now(UTC), "who": plain(who), "what": what, "subject": subject, "before": before,
        "after": after, "reason": plain(reason),
    }  # fmt: skip


def note_act(
    session: Session, who: str, what: str, subject: str, before: Any, after: Any, reason: str = ""
) -> ActRow:
    """Append to the acts, inside the transaction that does what they tell of."""
    act = ActRow(**act_values(who, what, subject, before, after, reason))
    session.add(act)
    return act


def plain(text: str) -> str:
    """Hostile text as a database takes it: bounded, without NULs and without half characters."""
    text = text[:_TEXT]
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def request_triage(connection: Connection, numbers: Collection[int]) -> None:
    """Have incidents triaged. One that waits for it already gets a new task: who is at work on the old one has
    not seen what changed."""
    if not numbers:
        return
    kind, now = TaskKind.TRIAGE.value, datetime.now(UTC)
    connection.execute(_DROP_TASKS, {"ids": list(numbers)})
    connection.execute(
        insert(_TASKS),
        [
            {"kind": kind, "incident_id": number, "subject": f"INC-{number}", "created_at": now}
            for number in sorted(numbers)
        ],
    )


_TASKS: Table = TaskRow.__table__  # type: ignore[attr-defined]
_DROP_TASKS = delete(_TASKS).where(
    col(TaskRow.kind) == TaskKind.TRIAGE.value, col(TaskRow.incident_id).in_(bindparam("ids", expanding=True))
)
