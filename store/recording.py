"""How events become rows: the hot path of `journal`, on its own because it is written for many events at
once.

Callers who come at the same time are one batch and one transaction. What the batch needs is read in a handful of
statements, counted in memory, and written in a handful: a storm costs each event a few microseconds of the database.
Which bodies are kept is said in `bodies`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, insert
from sqlmodel import Session

from store import sketches, statements
from store.acts import act_values, plain, request_triage
from store.artifacts import Artifacts
from store.bodies import NEARBY, TOGETHER, Passed, Passing, entity_of, is_sampled, packed, together
from store.database import Database
from store.errors import NotFound
from store.event import Event
from store.facets import facets_of, user_key
from store.incident import Fingerprint, Status
from store.opening import First, Place, new_incidents, new_prints
from store.rates import count, minute_of
from store.recurring import RECORDER, recurs
from store.statements import Counted, table
from store.tables import (
    ActRow,
    BranchRow,
    EventRow,
    FacetRow,
    ReleaseRow,
)
from store.user_counts import EXACT, ManyUsers

SHOWN_VALUES = 50  # distinct releases and environments that an incident's own row lists
SPIKE_AFTER = 30  # minutes that an incident is known for before a minute of it can be called a spike
SPIKE_LEAST, SPIKE_FACTOR = 10, 10  # events of a minute, and times what is usual
AT_ONCE = 500  # events that are read about in one statement
_MILESTONES = frozenset(
    10**power for power in range(2, 10)
)  # counts at which how it spreads is looked at again


class Outlined(NamedTuple):
    """An event of which only what groups and rows are made of is there; `whole` makes the rest, redacted, should its
    body be kept. It may raise BadPayload: then the event is not kept."""

    event: Event
    fingerprint: Fingerprint
    title: str
    culprit: str
    whole: Callable[[], Event]


Report: TypeAlias = tuple[Event, Fingerprint, str, str] | Outlined  # with title and culprit
Part: TypeAlias = tuple[Artifacts, Passed, Sequence[Report]]


@dataclass(frozen=True)
class Recorded:
    """What became of one event. `regressed`: its incident had been resolved and is not any more."""

    incident_id: str
    event_id: str
    new_incident: bool
    duplicate: bool
    first_in_release: bool
    regressed: bool = False
    grown: bool = False  # its incident has just reached a hundred events, ten times as many, …, or a spike
    number: int = field(default=0, compare=False)  # of its incident's events, from 1; 0 for a duplicate

    @property
    def wants_triage(self) -> bool:
        """Whether its incident changed enough for triage."""
        return self.new_incident or self.first_in_release or self.regressed or self.grown


_PASSED: WeakKeyDictionary[Database, Passed] = WeakKeyDictionary()


def record(db: Database, artifacts: Artifacts, events: Sequence[Report]) -> list[Recorded]:
    """Keep events, each with its fingerprint, title and culprit, all or none of them; answers in the same
    order. What wants triage is written down as a task in the same transaction, which several callers at the
    same time may share.

    An event id that its project has sent before is a duplicate and is not counted again. A reference to a raw
    payload that `artifacts` does not hold is left out: nobody could open it. Raises NotFound for an unknown
    project."""
    return db.submit(_record_all, (artifacts, _PASSED.setdefault(db, Passed()), events))


def record_all(
    db: Database, artifacts: Artifacts, parcels: Sequence[Sequence[Report]]
) -> list[list[Recorded] | Exception]:
    """`record` for several senders at once: each parcel is kept whole or not at all, and has its answer or error."""
    passed = _PASSED.setdefault(db, Passed())
    answers: list[list[Recorded] | Exception] = []
    for work in db.submit_all(_record_all, [(artifacts, passed, events) for events in parcels]):
        try:
            answers.append(work.result())
        except Exception as error:
            answers.append(error)
    return answers


def _record_all(connection: Connection, parts: Sequence[Part]) -> list[list[Recorded]]:
    """The events of several callers, in one go."""
    recorded: list[Recorded] = []
    artifacts, passed, _ = parts[0]
    reports = [report for _, _, events in parts for report in events]
    for start in range(0, len(reports), AT_ONCE):
        recorded += _Batch(connection, artifacts, passed).record(reports[start : start + AT_ONCE])
    request_triage(connection, {int(one.incident_id[4:]) for one in recorded if one.wants_triage})
    answers = iter(recorded)
    return [[next(answers) for _ in events] for _, _, events in parts]


@dataclass(slots=True)
class _Arrival:
    """An event on its way into its incident. `whole` makes it with all that its body has."""

    event: Event
    whole: Callable[[], Event]
    event_id: str
    project: int
    print_id: int
    incident: Counted
    new: bool
    user_key: str | None
    entity: str | None
    number: int = 0
    body: bool = False
    shown: Event | None = None  # with all of it, once its body is written


@dataclass
class _Batch:
    """The events of one transaction: read about, placed, counted, written, in that order."""

    connection: Connection
    artifacts: Artifacts
    passed: Passed
    incidents: dict[int, Counted] = field(default_factory=dict)
    prints: dict[Place, tuple[int, int]] = field(default_factory=dict)  # -> fingerprint, incident
    facets: set[tuple[int, str, str]] = field(default_factory=set)
    new_facets: list[dict[str, Any]] = field(default_factory=list)
    acts: list[dict[str, Any]] = field(default_factory=list)
    minutes: dict[tuple[int, str, int], tuple[int, int]] = field(default_factory=dict)
    had: dict[tuple[int, str, int], int] = field(default_factory=dict)
    races: list[tuple[int, Passing]] = field(default_factory=list)  # what passed, and is one half of a race
    opened: set[Place] = field(default_factory=set)  # prints of new incidents without an event yet

    def __post_init__(self) -> None:
        self.users = ManyUsers(self.connection)

    def record(self, reports: Sequence[Report]) -> list[Recorded]:
        """Count the events in, each unless it was counted before."""
        projects = self._projects({report[0].project for report in reports})
        ids = [(projects[report[0].project], plain(report[0].event_id)) for report in reports]
        known = self._known(ids)
        self._read_prints(projects.values(), reports)
        coming = dict(zip(ids[::-1], reports[::-1], strict=True))  # by id, the first report of it
        self._open([(place[0], coming[place]) for place in dict.fromkeys(ids) if place not in known])
        arrivals: dict[tuple[int, str], _Arrival] = {}
        for place, report in zip(ids, reports, strict=True):
            if place not in known and place not in arrivals:
                arrivals[place] = self._place(*place, report)
        self._read_facets(arrivals.values())
        self.users.read({one.incident.id for one in arrivals.values() if one.incident.user_count >= EXACT})
        self._read_minutes(arrivals.values())
        counted = {place: self._absorb(arrival) for place, arrival in arrivals.items()}
        self._write(list(arrivals.values()))
        answers = []
        for place, report in zip(ids, reports, strict=True):
            first = counted.pop(place, None)
            number = known[place] if place in known else arrivals[place].incident.id
            again = Recorded(f"INC-{number}", report[0].event_id, False, True, False)
            answers.append(first or again)
        return answers

    # --- reading ---

    def _projects(self, refs: Collection[str]) -> dict[str, int]:
        """The number of each project that is named, by name before number. Raises NotFound."""
        numbers = [int(ref) for ref in refs if ref.isascii() and ref.isdigit() and len(ref) < 10]
        found = self.connection.execute(statements.PROJECTS, {"names": list(refs), "ids": numbers}).all()
        by_name, by_number = {row.name: row.id for row in found}, {str(row.id): row.id for row in found}
        for ref in refs:
            if ref not in by_name and ref not in by_number:
                raise NotFound(f"There is no project {ref[:100]!r}; `nightdesk project list` lists them.")
        return {ref: by_name.get(ref) or by_number[ref] for ref in refs}

    def _known(self, ids: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
        """The numbers of the incidents in which events were counted already."""
        found = self.connection.execute(statements.KNOWN, {"ids": [event_id for _, event_id in ids]})
        return {(project, event_id): incident for project, event_id, incident in found}

    def _read_prints(self, projects: Collection[int], reports: Sequence[Report]) -> None:
        prints = {
            (report[1].mechanism, key) for report in reports for key in (report[1].key, *report[1].earlier)
        }
        found = self.connection.execute(
            statements.PRINTS,
            {
                "projects": list(set(projects)),
                "mechanisms": list({mechanism for mechanism, _ in prints}),
                "keys": list({key for _, key in prints}),
            },
        )
        for row in found:
            self.prints[row.project_id, row.mechanism, row.key] = row.id, row.incident_id
        self._read_incidents({number for _, number in self.prints.values()})

    def _read_incidents(self, numbers: Collection[int]) -> None:
        if wanted := [number for number in numbers if number not in self.incidents]:
            for row in self.connection.execute(statements.INCIDENTS, {"ids": wanted}):
                self.incidents[row.id] = Counted(*row)

    def _incident_of(self, number: int) -> Counted:
        """An incident by number, or the one it was merged into."""
        self._read_incidents([number])
        found = self.incidents[number]
        return found if found.merged_into is None else self._incident_of(found.merged_into)

    def _read_facets(self, arrivals: Collection[_Arrival]) -> None:
        """Which of the values of these events their incidents were seen with before."""
        values = {value for arrival in arrivals for _, value in facets_of(arrival.event, arrival.user_key)}
        numbers = {arrival.incident.id for arrival in arrivals if arrival.incident.event_count}
        if values and numbers:
            found = self.connection.execute(statements.FACETS, {"ids": list(numbers), "values": list(values)})
            self.facets.update((row.incident_id, row.kind, row.value) for row in found)

    def _read_minutes(self, arrivals: Collection[_Arrival]) -> None:
        """How many events the incidents have had in the minutes of these, where a minute of them may be a spike."""
        oldest = min((arrival.event.timestamp for arrival in arrivals), default=None)
        minutes = {_minute(arrival) for arrival in arrivals if _minutes_known(arrival, oldest) >= SPIKE_AFTER}
        if minutes:
            names, numbers = {name for _, name, _ in minutes}, {minute for _, _, minute in minutes}
            found = self.connection.execute(
                statements.MINUTES, {"names": list(names), "minutes": list(numbers)}
            )
            self.had = {(row.project_id, row.endpoint, row.minute): row.bad for row in found}

    # --- placing ---

    def _open(self, coming: Sequence[tuple[int, Report]]) -> None:
        """Incidents for what nothing is known of: however many, by one statement, and their prints by another."""
        new: dict[Place, tuple[int, Event, str, str]] = {}
        parts: list[tuple[str, ...]] = []
        for project, (event, fingerprint, title, culprit, *_) in coming:
            keys = (fingerprint.key, *fingerprint.earlier)
            places = [(project, fingerprint.mechanism, key) for key in keys]
            if not any(place in self.prints or place in new for place in places):
                new[places[0]] = project, event, title, culprit
                parts.append(fingerprint.parts)
        if new:
            made = self._new_incidents(list(new.values()))
            self._new_prints(list(zip(new, parts, (one.id for one in made), strict=True)))
            self.opened.update(new)

    def _place(self, project: int, event_id: str, report: Report) -> _Arrival:
        """The fingerprint's row and its incident; a new one, in the backlog until its triage, where there is
        none. Where a person has split the incident, the part that the event belongs to."""
        event, fingerprint, title, culprit = report[:4]
        whole = report.whole if isinstance(report, Outlined) else lambda: event
        place = (project, fingerprint.mechanism, fingerprint.key)
        if place not in self.prints and (known := self._earlier(project, fingerprint)) is not None:
            self._new_prints([(place, fingerprint.parts, known)])
        if new := place in self.opened:
            self.opened.remove(place)
            incident = self.incidents[self.prints[place][1]]
        else:
            incident, new = self._part(self._incident_of(self.prints[place][1]), event, title, culprit)
        user = user_key(event)
        return _Arrival(
            event,
            whole,
            event_id,
            project,
            self.prints[place][0],
            incident,
            new,
            user,
            entity_of(event, user),
        )

    def _earlier(self, project: int, fingerprint: Fingerprint) -> int | None:
        """The incident that an earlier version of the mechanism has made of the same: it goes on."""
        places = ((project, fingerprint.mechanism, key) for key in fingerprint.earlier)
        return next((self.prints[place][1] for place in places if place in self.prints), None)

    def _part(self, incident: Counted, event: Event, title: str, culprit: str) -> tuple[Counted, bool]:
        """Follow the rules by which incidents were split; a value that was not seen before gets a part of its
        own."""
        passed: set[int] = set()
        while incident.split_by is not None and incident.id not in passed:
            passed.add(incident.id)
            value = plain(getattr(event, incident.split_by) or "")
            target = self.connection.execute(statements.BRANCH, {"id": incident.id, "value": value}).scalar()
            if target is None:
                part = self._new_incident(incident.project_id, event, title, culprit)
                row = {"incident_id": incident.id, "value": value, "target_id": part.id}
                self.connection.execute(insert(table(BranchRow)), row)
                return part, True
            incident = self._incident_of(target)
        return incident, False

    def _new_incident(self, project: int, event: Event, title: str, culprit: str) -> Counted:
        return self._new_incidents([(project, event, title, culprit)])[0]

    def _new_incidents(self, firsts: Sequence[First]) -> list[Counted]:
        numbers = new_incidents(self.connection, firsts)
        made = [
            Counted(
                number, project, 0, 0, event.timestamp, event.timestamp, [], [], Status.OPEN.value, None, None
            )
            for number, (project, event, _, _) in zip(numbers, firsts, strict=True)
        ]
        self.incidents.update((one.id, one) for one in made)
        return made

    def _new_prints(self, prints: Sequence[tuple[Place, Sequence[str], int]]) -> None:
        for number, (place, _, incident) in zip(new_prints(self.connection, prints), prints, strict=True):
            self.prints[place] = number, incident

    # --- counting ---

    def _absorb(self, arrival: _Arrival) -> Recorded:
        """Let the incident count the event in."""
        incident, event = arrival.incident, arrival.event
        incident.event_count += 1
        arrival.number = incident.event_count
        incident.first_seen = min(incident.first_seen, event.timestamp)
        incident.last_seen = max(incident.last_seen, event.timestamp)
        first = {
            kind: value
            for kind, value in facets_of(arrival.event, arrival.user_key)
            if self._is_new(incident.id, kind, value)
        }
        if "user" in first:
            self._count_user(incident, first["user"])
        if "environment" in first:
            incident.environments = [*incident.environments, first["environment"]][-SHOWN_VALUES:]
        if "release" in first:
            incident.releases = [*incident.releases, first["release"]][-SHOWN_VALUES:]
        regressed = incident.status == Status.RESOLVED and self._reopened(arrival)
        return Recorded(
            f"INC-{incident.id}", event.event_id, arrival.new, False, "release" in first, regressed,
            grown=self._counts_up(arrival) or incident.event_count in _MILESTONES, number=arrival.number,
        )  # fmt: skip

    def _count_user(self, incident: Counted, user: str) -> None:
        """Count in a user who was not seen before: by name, or only that there was one more."""
        if incident.user_count < EXACT:
            incident.user_count += 1
            self.new_facets.append({"incident_id": incident.id, "kind": "user", "value": user})
            return
        mine = (one for one in self.new_facets if one["kind"] == "user" and one["incident_id"] == incident.id)
        self.users.add(incident.id, user, [one["value"] for one in mine])

    def _counts_up(self, arrival: _Arrival) -> bool:
        """Count the event in its minute. Returns whether just now that became a spike: many times what a minute
        usually has."""
        incident, place = arrival.incident, _minute(arrival)
        _, before = self.minutes.get(place, (0, 0))
        self.minutes[place] = (0, before + 1)
        minutes = _minutes_known(arrival)
        if minutes < SPIKE_AFTER:
            return False
        so_far = self.had.get(place, 0) + before + 1
        usual = max(incident.event_count - so_far, 0) / minutes
        return so_far == max(SPIKE_LEAST, math.ceil(SPIKE_FACTOR * usual))

    def _reopened(self, arrival: _Arrival) -> bool:
        """Whether an event brings a resolved incident back: where a fix was merged, one of a build that has it."""
        event, number = arrival.event, arrival.incident.id
        with Session(self.connection) as session:  # rare: it may use rows
            reason = recurs(session, number, event.release, event.event_id, event.received_at)
            session.commit()  # of its savepoint
        if reason is None:
            return False
        before, after = Status.RESOLVED.value, Status.REGRESSED.value
        arrival.incident.status = after
        self.acts.append(act_values(RECORDER, "status", f"INC-{number}", before, after, reason))
        return True

    def _is_new(self, incident: int, kind: str, value: str) -> bool:
        """Whether the incident was never seen with this value before; from now on it was."""
        if (incident, kind, value) in self.facets:
            return False
        self.facets.add((incident, kind, value))
        if kind != "user":
            self.new_facets.append({"incident_id": incident, "kind": kind, "value": value})
        return True

    # --- writing ---

    def _write(self, arrivals: list[_Arrival]) -> None:
        if not arrivals:
            return
        touched = {arrival.incident.id: arrival.incident for arrival in arrivals}
        self._choose_bodies(arrivals)
        self.connection.execute(insert(table(EventRow)), [self._row(arrival) for arrival in arrivals])
        for number, users in self.users.write().items():
            touched[number].user_count = max(touched[number].user_count, users)
        self.connection.execute(statements.COUNT, [_counts(incident) for incident in touched.values()])
        if self.new_facets:
            self.connection.execute(insert(table(FacetRow)), self.new_facets)
        if self.acts:
            self.connection.execute(insert(table(ActRow)), self.acts)
        count(self.connection, self.minutes)
        sketches.count(
            self.connection,
            [(one.project, one.shown or one.event) for one in arrivals if is_sampled(one.number)],
        )
        self._drop_bodies(arrivals)
        self._keep_races()
        if any(facet["kind"] == "release" for facet in self.new_facets):
            self._note_releases(arrivals)

    def _choose_bodies(self, arrivals: Sequence[_Arrival]) -> None:
        """Whose body is written: what is sampled, the newest of each incident, and races within the batch."""
        newest = {arrival.incident.id: arrival for arrival in arrivals}
        last: dict[tuple[int, str], _Arrival] = {}
        for arrival in arrivals:
            arrival.body |= is_sampled(arrival.number) or newest[arrival.incident.id] is arrival
            if arrival.entity is not None:
                place = (arrival.incident.id, arrival.entity)
                if place in last and together(arrival.event, last[place].event):
                    arrival.body = last[place].body = True
                last[place] = arrival
                if passed := self.passed.near(*place, arrival.event):
                    arrival.body = True
                    self.races += [(arrival.incident.id, one) for one in passed]
        for arrival in arrivals:
            if not arrival.body and arrival.entity is not None:
                self.passed.add(arrival.incident.id, arrival.entity, Passing(arrival.event, arrival.whole))

    def _row(self, arrival: _Arrival) -> dict[str, Any]:
        event = arrival.event
        arrival.shown = arrival.whole() if arrival.body else None
        return {
            "project_id": arrival.project, "incident_id": arrival.incident.id, "event_id": arrival.event_id,
            "number": arrival.number, "received_at": event.received_at, "seen_at": event.timestamp,
            "release": event.release and plain(event.release),
            "environment": event.environment and plain(event.environment),
            "service": event.service and plain(event.service), "user_key": arrival.user_key,
            "transaction": event.transaction and plain(event.transaction), "fingerprint_id": arrival.print_id,
            "entity": arrival.entity, "body": None if arrival.shown is None else self._body(arrival.shown),
        }  # fmt: skip

    def _drop_bodies(self, arrivals: Sequence[_Arrival]) -> None:
        """Take the body of what was the newest of an incident before this batch, unless it is sampled or may be one
        half of a race."""
        first = {arrival.incident.id: arrival.number for arrival in reversed(arrivals)}
        gone = [(incident, number - 1) for incident, number in first.items() if not is_sampled(number - 1)]
        for incident, number in gone:
            around = {"number": number, "low": number - NEARBY, "high": number + NEARBY}
            near = self.connection.execute(statements.NEIGHBOURS, {"incident": incident, **around}).all()
            if near and not any(row.near and abs(row.near - row.seen_at) <= TOGETHER for row in near):
                self.connection.execute(statements.DROP_BODY, {"row": near[0].id})

    def _keep_races(self) -> None:
        """Write the bodies of what passed within the last second, now that its other half has come."""
        for incident, one in self.races:
            body = self._body(one.whole())
            kept = {"incident": incident, "event": plain(one.event.event_id), "kept": body}
            self.connection.execute(statements.ADD_BODY, kept)

    def _note_releases(self, arrivals: Sequence[_Arrival]) -> None:
        """A release that nobody has told of is known from its first event on."""
        places: dict[tuple[int, str, str], datetime] = {}
        for arrival in arrivals:
            event = arrival.event
            if event.release:
                place = (arrival.project, plain(event.release), plain(event.environment or ""))
                places[place] = min(places.get(place, event.timestamp), event.timestamp)
        for (project, version, environment), seen in places.items():
            named = {"project": project, "version": version, "environment": environment}
            row = self.connection.execute(statements.RELEASE, named).first()
            if row is None:
                made = {
                    "project_id": project, "version": version, "environment": environment, "commits": {},
                    "created_at": datetime.now(UTC), "first_seen": seen,
                }  # fmt: skip
                self.connection.execute(insert(table(ReleaseRow)), made)
            elif row.first_seen is None or seen < row.first_seen:
                self.connection.execute(statements.RELEASE_SEEN, {"row": row.id, "seen": seen})

    def _body(self, event: Event) -> bytes:
        if event.raw is not None and not self.artifacts.has(event.raw):
            event = event.model_copy(update={"raw": None})
        return packed(event)


def _minute(arrival: _Arrival) -> tuple[int, str, int]:
    """Where `rates` counts an event of an incident: when we heard of it, by our clock."""
    return arrival.project, f"INC-{arrival.incident.id}", minute_of(arrival.event.received_at)


def _minutes_known(arrival: _Arrival, oldest: datetime | None = None) -> float:
    """For how long the incident is known by then, also if it began with the `oldest` of the events that now come."""
    since = arrival.incident.first_seen if oldest is None else min(arrival.incident.first_seen, oldest)
    return (arrival.event.received_at - since).total_seconds() / 60


def _counts(incident: Counted) -> dict[str, Any]:
    return {
        "row": incident.id, "count": incident.event_count, "users": incident.user_count,
        "first": incident.first_seen, "last": incident.last_seen, "places": incident.environments,
        "versions": incident.releases, "state": incident.status,
    }  # fmt: skip
