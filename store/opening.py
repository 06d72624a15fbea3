"""Rows for what nothing is known of yet: new incidents and their fingerprints, many by one statement, with their
numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table, insert

from store.acts import plain
from store.event import Event
from store.incident import Lane, Status
from store.tables import FingerprintRow, IncidentRow, Row

First: TypeAlias = tuple[int, Event, str, str]  # a project's number, the first event, with title and culprit
Place: TypeAlias = tuple[int, str, str]  # a project's number, the mechanism and the key of a fingerprint


def new_incidents(connection: Connection, firsts: Sequence[First]) -> Sequence[int]:
    """Incidents without an event yet, in the backlog until their triage; their numbers, in the same order."""
    rows = [
        {
            "project_id": project, "title": plain(title), "culprit": plain(culprit), "first_seen": event.timestamp,
            "last_seen": event.timestamp, "event_count": 0, "user_count": 0, "environments": [], "releases": [],
            "status": Status.OPEN.value, "lane": Lane.BACKLOG.value, "priority": 0.0, "why": "",
        }
        for project, event, title, culprit in firsts
    ]  # fmt: skip
    return _numbers(connection, IncidentRow, rows)


def new_prints(connection: Connection, prints: Sequence[tuple[Place, Sequence[str], int]]) -> Sequence[int]:
    """Fingerprints, each with its parts and the number of its incident; their own numbers, in the same order."""
    rows = [
        {
            "project_id": project, "incident_id": incident, "mechanism": mechanism, "key": key,
            "parts": [plain(part) for part in parts],
        }
        for (project, mechanism, key), parts, incident in prints
    ]  # fmt: skip
    return _numbers(connection, FingerprintRow, rows)


def _numbers(connection: Connection, row: type[Row], rows: Sequence[dict[str, Any]]) -> Sequence[int]:
    table: Table = row.__table__  # type: ignore[attr-defined]
    statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
    return connection.execute(statement, rows).scalars().all()
