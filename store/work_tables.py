"""The rows of what is to be done: tasks, and the patches that were handed in. `store.tables` has them too."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from store.columns import Row, UtcDateTime


class TaskKind(StrEnum):
    """What is to be done for an incident."""

    TRIAGE = "triage"
    REPAIR = "repair"
    DRAFT = "draft"  # its forge did not answer
    JUDGE = "judge"  # patches were handed in


class TaskRow(Row, table=True):
    """Something that is to be done for an incident (`kind` is a TaskKind). It goes when it is done.

    `id` grows and is never used twice (AUTOINCREMENT): a task asked for again while at work gets a new one."""

    __tablename__ = "tasks"
    __table_args__ = (UniqueConstraint("kind", "incident_id"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    incident_id: int = Field(foreign_key="incidents.id")
    subject: str  # the incident's name, or the attempt's id
    created_at: datetime = Field(sa_type=UtcDateTime)
    until: str | None = None  # a repair goes no further than this step


class SubmissionRow(Row, table=True):
    """A patch that was handed in; `body` is the Submission. `digest` is by what a second one is the same; `holder`
    the run of a worker that may write it."""

    __tablename__ = "submissions"
    __table_args__ = (UniqueConstraint("incident_id", "digest"),)

    id: str = Field(primary_key=True)
    incident_id: int = Field(foreign_key="incidents.id", index=True)
    number: int
    digest: str
    body: str
    ended: bool = Field(default=False, index=True)
    holder: str | None = None
