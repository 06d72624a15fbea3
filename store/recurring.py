"""Fixes that were merged are watched: which builds contain them, and an event of such a build reopens the incident.

What a build contains takes a look at a repository, which the path of an event has no time for. So it is looked up once
for each release and kept; an event of a release that nobody has looked at yet is kept as a question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from sqlalchemy import Connection
from sqlmodel import Session, col, func, select

from store.acts import note_act, plain, request_triage
from store.database import Database
from store.incident import Status
from store.notices import Telling, note
from store.queries import attempt_value, incident_name, incident_row
from store.repair import Attempt
from store.tables import AttemptRow, BuildRow, EventRow, ExposureRow, IncidentRow, ProjectRow, WatchRow

RECORDER = "ingest"
UNNAMED = ""  # the release of events that name none


@dataclass(frozen=True)
class Watch:
    """A merged fix that is watched: what was merged where, and whether it came back."""

    id: int
    incident_id: str
    project: str
    attempt_id: str
    commits: dict[str, str]
    merged_at: datetime
    recurred_at: datetime | None = None
    recurred_release: str | None = None
    recurred_event: str | None = None


@dataclass(frozen=True)
class Build:
    """Whether a release contains the fix of a watch: yes, no, or nothing tells (None)."""

    watch_id: int
    release: str
    event_id: str | None
    contains: bool | None
    said: str = ""
    decided: bool = False


@dataclass(frozen=True)
class Counts:
    """By release: requests served since the merge, and events of the incident."""

    exposures: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    of: str = "requests"  # what was counted: requests of one transaction, or all


def recurs(session: Session, incident: int, release: str | None, event_id: str, at: datetime) -> str | None:
    """Why an event reopens a resolved incident (its number), or None: it does not, or not before its build was looked
    up. Inside the transaction that keeps the event."""
    watch = _active(session, incident)
    if watch is None:
        reason = f"event {plain(event_id)} came in after it was resolved"
        note(session, Telling.RECURRENCE, incident, f"recurrence:{incident}:{event_id}", reason, at)
        return reason
    name = plain(release or UNNAMED)
    build = session.get(BuildRow, (watch.id, name))
    if build is None:
        session.add(BuildRow(watch_id=watch.id or 0, release=name, event_id=plain(event_id)))
        return None
    if build.contains is None or name == UNNAMED:
        build.decided_at, build.event_id = None, plain(event_id)
        return None
    if not build.contains:
        return None
    reason = f"event {plain(event_id)} ran on {name}, which contains the fix: {build.said}"
    _mark(session, watch, name, plain(event_id), at, reason)
    return reason


def reopen(db: Database, watch: Watch, build: Build, why: str) -> bool:
    """Reopen the incident of a watch for an event that was kept as a question. False where it is not resolved (a person
    has said something else since), or came back already."""
    with db.write() as session:
        row, kept = incident_row(session, watch.incident_id), session.get_one(WatchRow, watch.id)
        if kept.recurred_at is not None or row.status != Status.RESOLVED:
            return False
        reason = f"event {build.event_id} {why}"
        _mark(session, kept, build.release, build.event_id or "", datetime.now(UTC), reason)
        before, row.status = row.status, Status.REGRESSED.value
        note_act(session, RECORDER, "status", incident_name(row), before, row.status, reason)
        request_triage(session.connection(), {row.id or 0})
        return True


def watches(db: Database, incident_id: str | None = None, *, active: bool = False) -> list[Watch]:
    """Every watch, or those of an incident, oldest first; `active`: that nothing has come back to. Raises NotFound."""
    with db.read() as session:
        statement = select(WatchRow, ProjectRow.name).join(
            IncidentRow, col(IncidentRow.id) == col(WatchRow.incident_id)
        )
        statement = statement.join(ProjectRow, col(ProjectRow.id) == col(IncidentRow.project_id))
        if incident_id is not None:
            statement = statement.where(WatchRow.incident_id == incident_row(session, incident_id).id)
        if active:
            statement = statement.where(col(WatchRow.recurred_at).is_(None))
        found = session.exec(statement.order_by(col(WatchRow.id)))
        return [_watch(row, project) for row, project in found]


def builds(db: Database, watch: Watch) -> list[Build]:
    """What is known of the releases of a watch, by name."""
    with db.read() as session:
        statement = select(BuildRow).where(BuildRow.watch_id == watch.id).order_by(col(BuildRow.release))
        return [_build(row) for row in session.exec(statement)]


def questions(db: Database, limit: int = 50) -> list[tuple[Watch, Build]]:
    """Builds that are still to be looked up."""
    with db.read() as session:
        statement = (
            select(BuildRow, WatchRow, ProjectRow.name)
            .join(WatchRow, col(WatchRow.id) == col(BuildRow.watch_id))
            .join(IncidentRow, col(IncidentRow.id) == col(WatchRow.incident_id))
            .join(ProjectRow, col(ProjectRow.id) == col(IncidentRow.project_id))
            .where(col(BuildRow.decided_at).is_(None))
            .limit(limit)
        )
        return [(_watch(watch, project), _build(row)) for row, watch, project in session.exec(statement)]


def answer(db: Database, build: Build, contains: bool | None, said: str) -> None:
    """Keep what a build contains; a question that was asked anew meanwhile stays one."""
    with db.write() as session:
        row = session.get(BuildRow, (build.watch_id, build.release))
        if row is None:
            row = BuildRow(watch_id=build.watch_id, release=build.release, event_id=build.event_id)
            session.add(row)
        if row.event_id == build.event_id:
            row.contains, row.said, row.decided_at = contains, plain(said), datetime.now(UTC)


def counts(db: Database, watch: Watch, transaction: str | None) -> Counts:
    """Since the merge, by release: requests served (of the transaction where those are counted, else all) and events of
    the incident."""
    with db.read() as session:
        incident = incident_row(session, watch.incident_id)
        since = watch.merged_at.replace(minute=0, second=0, microsecond=0)
        places = (ExposureRow.project_id == incident.project_id, ExposureRow.hour >= since)
        served = select(ExposureRow.release, func.sum(ExposureRow.count)).where(*places)
        own = served.where(ExposureRow.transaction == (transaction or "")).group_by(col(ExposureRow.release))
        every = served.where(ExposureRow.transaction == "").group_by(col(ExposureRow.release))
        named = dict(session.exec(own).all()) if transaction else {}
        seen = (
            select(EventRow.release, func.count())
            .where(EventRow.incident_id == incident.id, EventRow.seen_at >= watch.merged_at)
            .group_by(col(EventRow.release))
        )
        events = {release or UNNAMED: number for release, number in session.exec(seen)}
        exposures = named or dict(session.exec(every).all())
        return Counts(exposures, events, f"requests to {transaction}" if named else "requests")


Served: TypeAlias = tuple[int, str, str, str, datetime, int]  # project, then as `expose` takes it


def expose(db: Database, project_id: int, served: Sequence[tuple[str, str, str, datetime, int]]) -> None:
    """Count requests that were served: (release, environment, transaction, moment, how many) each."""
    if served:
        db.submit(_expose_all, [(project_id, *each) for each in served])


def _expose_all(connection: Connection, parts: Sequence[list[Served]]) -> list[None]:
    """Those of several callers; an hour of a release is one row."""
    counted: Counter[tuple[Any, ...]] = Counter()
    for project, release, environment, transaction, moment, count in (
        each for part in parts for each in part
    ):
        hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        counted[project, plain(release), plain(environment), plain(transaction), hour] += count
    with Session(connection) as session:
        for key, count in counted.items():
            row = session.get(ExposureRow, key)
            if row is None:
                project, release, environment, transaction, hour = key
                row = ExposureRow(
                    project_id=project,
                    release=release,
                    environment=environment,
                    transaction=transaction,
                    hour=hour,
                )
                session.add(row)
            row.count += count
        session.commit()  # of its savepoint
    return [None] * len(parts)


def test_of(session: Session, attempt_id: str) -> str | None:
    """The path of the failing test of an attempt."""
    row = session.get(AttemptRow, attempt_id)
    attempt: Attempt | None = None if row is None else attempt_value(session, row)
    return attempt.reproducer.test_path if attempt and attempt.reproducer else None


def _active(session: Session, incident: int) -> WatchRow | None:
    """The newest watch of an incident, unless it has come back already."""
    statement = select(WatchRow).where(WatchRow.incident_id == incident).order_by(col(WatchRow.id).desc())
    newest = session.exec(statement).first()
    return None if newest is None or newest.recurred_at is not None else newest


def _mark(session: Session, watch: WatchRow, release: str, event_id: str, at: datetime, reason: str) -> None:
    """It is back: on the watch, and for whoever is to be told."""
    watch.recurred_at, watch.recurred_release, watch.recurred_event = at, release, event_id
    test = test_of(session, watch.attempt_id)
    said = f"{reason}; its test is {test}" if test else reason
    note(session, Telling.RECURRENCE, watch.incident_id, f"recurrence:watch-{watch.id}", said, at)


def _watch(row: WatchRow, project: str) -> Watch:
    values = row.model_dump(exclude={"id", "incident_id"})
    return Watch(id=row.id or 0, incident_id=f"INC-{row.incident_id}", project=project, **values)


def _build(row: BuildRow) -> Build:
    return Build(row.watch_id, row.release, row.event_id, row.contains, row.said, row.decided_at is not None)
