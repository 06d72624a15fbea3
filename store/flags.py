"""Feature flags and settings that took another value: told by whoever switches them, looked at near a failure."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from store.acts import plain
from store.database import Database
from store.event import Value
from store.queries import project_row
from store.tables import FlagChangeRow


class FlagChange(Value):
    """One change. Without an environment it holds in every one."""

    project: str
    flag: str
    after: str
    at: datetime
    before: str | None = None
    environment: str | None = None
    who: str = ""


def add(db: Database, change: FlagChange) -> FlagChange:
    """Keep a change; the same one told twice is kept once. Raises NotFound for an unknown project."""
    with db.write() as session:
        owner = project_row(session, change.project)
        before = None if change.before is None else plain(change.before)
        row = FlagChangeRow(
            project_id=owner.id or 0, at=change.at, flag=plain(change.flag), before=before,
            environment=plain(change.environment or ""), after=plain(change.after), who=plain(change.who),
        )  # fmt: skip
        same = ("project_id", "at", "flag", "environment", "after")
        wanted = [getattr(FlagChangeRow, name) == getattr(row, name) for name in same]
        if session.exec(select(FlagChangeRow).where(*wanted)).first() is None:
            session.add(row)
        return change.model_copy(update={"project": owner.name})


def between(
    db: Database,
    project: str,
    start: datetime,
    end: datetime,
    environment: str | None = None,
    limit: int = 50,
) -> list[FlagChange]:
    """The changes of a time, newest first; with an environment those that hold in it. Raises NotFound."""
    with db.read() as session:
        owner = project_row(session, project)
        statement = select(FlagChangeRow).where(
            FlagChangeRow.project_id == owner.id,
            col(FlagChangeRow.at) >= start,
            col(FlagChangeRow.at) <= end,
        )
        if environment is not None:
            statement = statement.where(col(FlagChangeRow.environment).in_({"", plain(environment)}))
        return [
            FlagChange(
                project=owner.name, flag=row.flag, after=row.after, at=row.at, before=row.before,
                environment=row.environment or None, who=row.who,
            )
            for row in session.exec(statement.order_by(col(FlagChangeRow.at).desc()).limit(limit))
        ]  # fmt: skip
