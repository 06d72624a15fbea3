"""What every write leaves behind: a row of the append-only table of acts, and a task where triage is to look again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col

from store.tables import ActRow, TaskKind, TaskRow

_TEXT = 500  # characters of a title, a culprit, a name


def request_triage(session: Session, numbers: Collection[int]) -> None:
    """Have incidents triaged. One that waits for it already gets a new task: who is at work on the old one has
    not seen what changed."""
    if not numbers:
        return
    places = (col(TaskRow.kind) == TaskKind.TRIAGE.value, col(TaskRow.incident_id).in_(numbers))
    session.execute(delete(TaskRow).where(*places).execution_options(synchronize_session=False))
    for number in sorted(numbers):
        subject, now = f"INC-{number}", datetime.now(UTC)
        session.add(TaskRow(kind=TaskKind.TRIAGE.value, incident_id=number, subject=subject, created_at=now))


def note_act(
    session: Session, who: str, what: str, subject: str, before: Any, after: Any, reason: str = ""
) -> ActRow:
    """Append to the acts, inside the transaction that does what they tell of."""
    act = ActRow(
        at=datetime.now(UTC),
        who=plain(who),
        what=what,
        subject=subject,
        before=before,
        after=after,
        reason=plain(reason),
    )
    session.add(act)
    return act


def plain(text: str) -> str:
    """Hostile text as a database takes it: bounded, without NULs and without half characters."""
    return text[:_TEXT].replace("\0", "").encode("utf-8", "replace").decode("utf-8")
