"""Data that is to go: old events, or everything of one person. What is counted stays counted.

An incident outlives its events: its counts, dates, verdict and repairs are what the team decided by. Gone is what came
from outside: ids, times, users and bodies of events, and the payloads that no other event refers to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, select
from sqlmodel import Session, col, func
from sqlmodel import select as find

from store.acts import note_act
from store.artifacts import Artifacts
from store.bodies import unpacked
from store.database import Database
from store.searching import note_texts
from store.spending import artifacts_referred_to
from store.tables import EventRow, FacetRow, IncidentRow, MoveRow, SourceMapRow, TextRow

BATCH = 500  # events of one transaction: others write in between
_REFERENCE = re.compile(
    rb'"(?:raw|artifact)": ?"([0-9a-f]{64})"'
)  # a quote inside a text of the JSON has a backslash
SETTLED = 86_400.0  # seconds: a younger payload may belong to an event or a repair that is being written


@dataclass(frozen=True)
class Purged:
    """How much went, or would go."""

    events: int
    bodies: int
    artifacts: int
    bytes: int  # of the database file and the payloads, on disk


def older_than(moment: datetime) -> ColumnElement[bool]:
    """Events that were received before a moment."""
    return col(EventRow.received_at) < moment


def of_user(user: str) -> ColumnElement[bool]:
    """Events of one person: by what the incident shows as its user (`id:42`, `email:…`), or by that alone."""
    keys = [user, *(f"{kind}:{user}" for kind in ("id", "email", "ip_address"))]
    return col(EventRow.user_key).in_(keys)


def count(db: Database, which: ColumnElement[bool]) -> Purged:
    """What would go. Payloads and bytes are known only once it is gone."""
    with db.read() as session:
        events = select(func.count()).where(which).select_from(EventRow)
        bodies = events.where(col(EventRow.body).is_not(None))
        return Purged(session.execute(events).scalar_one(), session.execute(bodies).scalar_one(), 0, 0)


def any_of(db: Database, which: ColumnElement[bool]) -> bool:
    """Whether there is any such event."""
    with db.read() as session:
        return session.execute(select(col(EventRow.id)).where(which).limit(1)).first() is not None


def purge(
    db: Database, artifacts: Artifacts, which: ColumnElement[bool], by: str, why: str, *, compact: bool = True
) -> Purged:
    """Take the events away, then what nothing refers to any more, then give the room back (without `compact` it is
    kept for events to come, and nobody has to wait). Done in small transactions: interrupted, it goes on from there
    when it is called again."""
    found = count(db, which)
    before = db.size()
    while _some(db, which):
        pass
    with db.write() as session:
        note_act(session, by, "purge", "events", {"events": found.events, "bodies": found.bodies}, None, why)
    gone, freed = _unreferenced(db, artifacts)
    if compact:
        db.compact()
    return Purged(found.events, found.bodies, gone, freed + max(0, before - db.size()))


def _some(db: Database, which: ColumnElement[bool]) -> int:
    with db.write() as session:
        statement = (
            select(
                col(EventRow.id), col(EventRow.project_id), col(EventRow.incident_id), col(EventRow.user_key)
            )
            .where(which)
            .limit(BATCH)
        )
        rows: list[Any] = list(session.execute(statement))
        if not rows:
            return 0
        ids = [row.id for row in rows]
        for table, column in ((MoveRow, MoveRow.event_id), (EventRow, EventRow.id)):
            gone = delete(table).where(col(column).in_(ids))
            session.execute(gone.execution_options(synchronize_session=False))
        _forget_users(
            session, {(row.project_id, row.incident_id, row.user_key) for row in rows if row.user_key}
        )
        for kept in session.exec(
            find(TextRow).where(col(TextRow.incident_id).in_({row.incident_id for row in rows}))
        ):
            note_texts(session, session.get_one(IncidentRow, kept.incident_id))
        return len(ids)


def _forget_users(session: Session, users: set[tuple[int, int, str]]) -> None:
    """A user (of a project's incident) of whom no event is left is not named any more. The count stays: so many were
    touched."""
    if not users:
        return
    left = select(col(EventRow.id)).where(  # with the project an index gives a user's events, which are few
        col(EventRow.project_id) == bindparam("project"),
        col(EventRow.user_key) == bindparam("user"),
        col(EventRow.incident_id) == bindparam("incident"),
    )
    named = (
        col(FacetRow.incident_id) == bindparam("incident"),
        col(FacetRow.kind) == "user",
        col(FacetRow.value) == bindparam("user"),
    )
    gone = delete(FacetRow).where(*named, ~left.exists())
    each = [{"project": project, "incident": incident, "user": user} for project, incident, user in users]
    session.connection().execute(gone, each)  # one by one: sets of both would be looked up crosswise


def _unreferenced(db: Database, artifacts: Artifacts) -> tuple[int, int]:
    """Remove payloads that no kept event and no repair refers to; how many, and their bytes on disk."""
    settled = [kept for kept in artifacts.all() if kept.age > SETTLED]
    referred = {*_references(db), *artifacts_referred_to(db)} if settled else set()
    gone = freed = 0
    for kept in settled:
        if kept.digest not in referred:
            artifacts.remove(kept.digest)
            gone, freed = gone + 1, freed + kept.size
    return gone, freed


def _references(db: Database) -> Iterator[str]:
    """What events and source maps refer to. Bodies are read as text: a million as JSON would take minutes."""
    with db.read() as session:
        yield from session.execute(select(col(SourceMapRow.artifact))).scalars()
    last = 0
    while True:
        with db.read() as session:
            wanted = (col(EventRow.id) > last, col(EventRow.body).is_not(None))
            statement = select(col(EventRow.id), col(EventRow.body)).where(*wanted)
            rows: list[Any] = list(session.execute(statement.order_by(col(EventRow.id)).limit(BATCH)))
        if not rows:
            return
        for row in rows:
            yield from (digest.decode() for digest in _REFERENCE.findall(unpacked(row.body)))
        last = rows[-1].id


__all__ = ["Purged", "any_of", "count", "of_user", "older_than", "purge"]
