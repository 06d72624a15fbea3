"""The rows of `hosts`: what processes and hosts have in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from store.tables import Row


class MarkRow(Row, table=True):
    """What all processes and hosts of an installation go by: one value by its name."""

    __tablename__ = "marks"

    name: str = Field(primary_key=True)
    value: str


class SentRow(Row, table=True):
    """How many events came with a key in one minute (since 1970), where quotas or spikes are counted."""

    __tablename__ = "sent"

    key_id: int = Field(foreign_key="keys.id", primary_key=True)
    minute: int = Field(primary_key=True)
    events: int = 0


class CalibrationRow(Row, table=True):
    """A project's calibration of the classifier that is in force."""

    __tablename__ = "calibrations"

    project_id: int = Field(foreign_key="projects.id", primary_key=True)
    part: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
