"""How events become rows: the hot path of `journal`, on its own because it is written for many events at
once.

Of every event the id, times, release and environment are kept for ever; of the bodies a sample: the first
ones, the newest, and a spread between that thins out, so that a storm of a million costs eighty bodies and
not a million.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic_core import PydanticSerializationError
from sqlalchemy import update
from sqlmodel import Session, col, select

from store.acting import note_act, plain, request_triage
from store.artifacts import Artifacts
from store.database import Database
from store.event import Event
from store.incident import Fingerprint, Lane, Status
from store.queries import incident_name, project_row, resolved
from store.recurring import RECORDER, recurs
from store.tables import (
    BranchRow,
    EventRow,
    FacetRow,
    FingerprintRow,
    IncidentRow,
    ProjectRow,
    ReleaseRow,
)

__all__ = ["FIRST_BODIES", "SHOWN_VALUES", "Recorded", "is_sampled", "note_act", "plain", "record"]

FIRST_BODIES = 20  # of an incident are all kept
SHOWN_VALUES = 50  # distinct releases and environments that an incident's own row lists
_MILESTONES = frozenset(
    10**power for power in range(2, 10)
)  # counts at which how it spreads is looked at again


@dataclass(frozen=True)
class Recorded:
    """What became of one event. `regressed`: its incident had been resolved and is not any more."""

    incident_id: str
    event_id: str
    new_incident: bool
    duplicate: bool
    first_in_release: bool
    regressed: bool = False
    grown: bool = False  # its incident has just reached a hundred events, or ten times as many, …

    @property
    def wants_triage(self) -> bool:
        """Whether its incident changed enough for triage."""
        return self.new_incident or self.first_in_release or self.regressed or self.grown


def record(
    db: Database, artifacts: Artifacts, events: Sequence[tuple[Event, Fingerprint, str, str]]
) -> list[Recorded]:
    """Keep events, each with its fingerprint, title and culprit, all or none of them; answers in the same
    order. What wants triage is written down as a task in the same transaction, which several callers at the
    same time may share.

    An event id that its project has sent before is a duplicate and is not counted again. A reference to a raw
    payload that `artifacts` does not hold is left out: nobody could open it. Raises NotFound for an unknown
    project."""

    def keep(session: Session) -> list[Recorded]:
        batch = _Batch(session, artifacts)
        recorded = [batch.add(*each) for each in events]
        request_triage(session, {int(one.incident_id[4:]) for one in recorded if one.wants_triage})
        return recorded

    return db.submit(keep)


def is_sampled(number: int) -> bool:
    """Whether the body of an incident's n-th event (from 1) outlives being the newest: four in each doubling
    do."""
    return number <= FIRST_BODIES or number % (1 << (number.bit_length() - 3)) == 0


class _Batch:
    """The events of one transaction. Rows that several of them touch are read once and written once."""

    def __init__(self, session: Session, artifacts: Artifacts) -> None:
        self._session = session
        self._artifacts = artifacts
        self._projects: dict[str, ProjectRow] = {}
        self._events: dict[tuple[int, str], EventRow] = {}
        self._newest: dict[int, EventRow] = {}
        self._facets: set[tuple[int, str, str]] = set()
        self._prints: dict[tuple[int, str, str], tuple[int, int]] = {}  # -> (fingerprint, incident)
        self._branches: dict[tuple[int, str], int] = {}
        self._releases: set[tuple[int, str, str]] = set()

    def add(self, event: Event, fingerprint: Fingerprint, title: str, culprit: str) -> Recorded:
        """Count one event in, unless it was counted before."""
        project = self._project(event.project)
        known = self._known(project, plain(event.event_id))
        if known is not None:
            return Recorded(f"INC-{known}", event.event_id, False, True, False)
        print_id, incident, new = self._incident(project, fingerprint, event, title, culprit)
        first_in_release = self._absorb(incident, event)
        if first_in_release:
            self._note_release(project, event)
        self._keep(project, incident, event, print_id)
        regressed = self._reopened(incident, event)
        return Recorded(
            incident_name(incident),
            event.event_id,
            new,
            False,
            first_in_release,
            regressed,
            grown=incident.event_count in _MILESTONES,
        )

    def _reopened(self, incident: IncidentRow, event: Event) -> bool:
        """Whether an event brings a resolved incident back: where a fix was merged, one of a build that has it."""
        if incident.status != Status.RESOLVED:
            return False
        reason = recurs(self._session, incident, event.release, event.event_id, event.received_at)
        if reason is None:
            return False
        incident.status = Status.REGRESSED.value
        resolved, back = Status.RESOLVED.value, Status.REGRESSED.value
        note_act(self._session, RECORDER, "status", incident_name(incident), resolved, back, reason)
        return True

    def _project(self, ref: str) -> int:
        if ref not in self._projects:
            self._projects[ref] = project_row(self._session, ref)
        return self._projects[ref].id or 0

    def _known(self, project: int, event_id: str) -> int | None:
        """The number of the incident in which this event was counted already, or None."""
        if (project, event_id) in self._events:
            return self._events[project, event_id].incident_id
        statement = select(EventRow.incident_id)
        return self._session.exec(
            statement.where(EventRow.project_id == project, EventRow.event_id == event_id)
        ).first()

    def _incident(
        self, project: int, fingerprint: Fingerprint, event: Event, title: str, culprit: str
    ) -> tuple[int, IncidentRow, bool]:
        """The fingerprint's row and its incident; a new one, in the backlog until its triage, where there is
        none. Where a person has split the incident, the part that the event belongs to."""
        place = (project, fingerprint.mechanism, fingerprint.key)
        if place not in self._prints:
            found = self._session.exec(
                select(FingerprintRow.id, FingerprintRow.incident_id).where(
                    FingerprintRow.project_id == project,
                    FingerprintRow.mechanism == fingerprint.mechanism,
                    FingerprintRow.key == fingerprint.key,
                )
            ).first()
            if found is None:
                incident = self._new_incident(project, event, title, culprit)
                self._prints[place] = self._new_print(project, fingerprint, incident), incident.id or 0
                return self._prints[place][0], incident, True
            self._prints[place] = found[0] or 0, found[1]
        print_id, number = self._prints[place]
        incident = self._session.get_one(IncidentRow, number)
        part, new = self._part(incident, event, title, culprit)
        return print_id, part, new

    def _part(
        self, incident: IncidentRow, event: Event, title: str, culprit: str
    ) -> tuple[IncidentRow, bool]:
        """Follow the rules by which incidents were split; a value that was not seen before gets a part of its
        own."""
        passed: set[int] = set()
        while incident.split_by is not None and incident.id not in passed:
            passed.add(incident.id or 0)
            branch = (incident.id or 0, plain(getattr(event, incident.split_by) or ""))
            if branch not in self._branches:
                row = self._session.get(BranchRow, branch)
                if row is None:
                    part = self._new_incident(incident.project_id, event, title, culprit)
                    self._session.add(
                        BranchRow(incident_id=branch[0], value=branch[1], target_id=part.id or 0)
                    )
                    self._branches[branch] = part.id or 0
                    return part, True
                self._branches[branch] = row.target_id
            incident = resolved(self._session, self._session.get_one(IncidentRow, self._branches[branch]))
        return incident, False

    def _note_release(self, project: int, event: Event) -> None:
        """A release that nobody has told of is known from its first event on."""
        place = (project, plain(event.release or ""), plain(event.environment or ""))
        if place in self._releases:
            return
        self._releases.add(place)
        row = self._session.exec(
            select(ReleaseRow).where(
                ReleaseRow.project_id == project,
                ReleaseRow.version == place[1],
                ReleaseRow.environment == place[2],
            )
        ).first()
        if row is None:
            row = ReleaseRow(
                project_id=project, version=place[1], environment=place[2], created_at=datetime.now(UTC)
            )
            self._session.add(row)
        row.first_seen = min(row.first_seen or event.timestamp, event.timestamp)

    def _new_incident(self, project: int, event: Event, title: str, culprit: str) -> IncidentRow:
        incident = IncidentRow(
            project_id=project,
            title=plain(title),
            culprit=plain(culprit),
            first_seen=event.timestamp,
            last_seen=event.timestamp,
            status=Status.OPEN.value,
            lane=Lane.BACKLOG.value,
        )
        self._session.add(incident)
        self._session.flush()
        return incident

    def _new_print(self, project: int, fingerprint: Fingerprint, incident: IncidentRow) -> int:
        row = FingerprintRow(
            project_id=project,
            incident_id=incident.id or 0,
            mechanism=fingerprint.mechanism,
            key=fingerprint.key,
            parts=[plain(part) for part in fingerprint.parts],
        )
        self._session.add(row)
        self._session.flush()
        return row.id or 0

    def _absorb(self, incident: IncidentRow, event: Event) -> bool:
        """Let the incident's own row count the event in. Returns whether it is the first of its release."""
        incident.event_count += 1
        incident.first_seen = min(incident.first_seen, event.timestamp)
        incident.last_seen = max(incident.last_seen, event.timestamp)
        if self._is_new(incident, "user", _user_key(event)):
            incident.user_count += 1
        if self._is_new(incident, "environment", event.environment):
            incident.environments = [*incident.environments, plain(event.environment or "")][-SHOWN_VALUES:]
        first_in_release = self._is_new(incident, "release", event.release)
        if first_in_release:
            incident.releases = [*incident.releases, plain(event.release or "")][-SHOWN_VALUES:]
        self._is_new(incident, "service", event.service)
        return first_in_release

    def _is_new(self, incident: IncidentRow, kind: str, value: str | None) -> bool:
        """Whether the incident was never seen with this value before; from now on it was."""
        if not value:
            return False
        facet = (incident.id or 0, kind, plain(value))
        if facet in self._facets:
            return False
        self._facets.add(facet)
        if self._session.get(FacetRow, facet) is not None:
            return False
        self._session.add(FacetRow(incident_id=facet[0], kind=kind, value=facet[2]))
        return True

    def _keep(self, project: int, incident: IncidentRow, event: Event, print_id: int) -> None:
        """Add the event's row with its body, and drop the body of the one that was the newest, unless
        sampled."""
        number = incident.event_count
        self._drop_body(incident.id or 0, number - 1)
        row = EventRow(
            project_id=project,
            incident_id=incident.id or 0,
            event_id=plain(event.event_id),
            number=number,
            received_at=event.received_at,
            seen_at=event.timestamp,
            release=event.release and plain(event.release),
            environment=event.environment and plain(event.environment),
            service=event.service and plain(event.service),
            user_key=_user_key(event),
            transaction=event.transaction and plain(event.transaction),
            fingerprint_id=print_id,
            body=self._body(event),
        )
        self._session.add(row)
        self._events[project, row.event_id] = row
        self._newest[row.incident_id] = row

    def _drop_body(self, incident: int, number: int) -> None:
        if is_sampled(number):
            return
        if incident in self._newest:
            self._newest[incident].body = None
            return
        statement = update(EventRow).where(
            col(EventRow.incident_id) == incident, col(EventRow.number) == number
        )
        self._session.execute(statement.values(body=None).execution_options(synchronize_session=False))

    def _body(self, event: Event) -> bytes:
        if event.raw is not None and not self._artifacts.has(event.raw):
            event = event.model_copy(update={"raw": None})
        return zlib.compress(_json(event))


def _json(event: Event) -> bytes:
    """The event as JSON. Half characters, which JSON can carry and UTF-8 cannot, become question marks."""
    try:
        return event.model_dump_json().encode()
    except (PydanticSerializationError, UnicodeEncodeError):
        loose = json.dumps(event.model_dump(mode="python"), ensure_ascii=False, default=str)
        return loose.encode("utf-8", "replace")


def _user_key(event: Event) -> str | None:
    """By what one user is told from another: the first of id, e-mail and address that the event has."""
    for kind in ("id", "email", "ip_address"):
        value = event.user.get(kind)
        if isinstance(value, str | int) and value != "":
            return plain(f"{kind}:{value}")
    return None
