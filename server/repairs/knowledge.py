"""What a team knows beside its code, read for one repair: documents, lines near the failure, earlier incidents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

from fixloop import Repository
from fixloop.changes.clues import quoted
from fixloop.knowledge import Document, Earlier, Knowledge, LogLine
from server.house import House
from server.knowing.repository_part import RepositoryPart
from server.repairs.log_files import near
from store import queries, sketches
from store.event import Event
from store.incident import Incident, Status
from store.nearby import around
from store.repair import Reproducer
from store.request_lines import tied
from store.shapes import Presence, entry_of

DOCUMENTS = 40  # of a project
LONGEST = 20_000  # characters of one
EARLIER = 8
_NEAR = timedelta(seconds=2)
_CLUSTER = timedelta(minutes=5)  # what a cluster says of its pods, and what alerts say, comes late


def knowledge_of(
    house: House,
    incident: Incident,
    events: Sequence[Event],
    parts: Mapping[str, RepositoryPart],
    mirrors: Mapping[str, Repository],
    commits: Mapping[str, str],
) -> Knowledge:
    """Everything for an incident. Lines and documents are redacted as events are."""
    clean = house.redaction.of_project(incident.project).text
    documents = [replace(one, text=clean(one.text[:LONGEST])) for one in _documents(parts, mirrors, commits)][
        :DOCUMENTS
    ]
    lines = [replace(one, text=clean(one.text)) for one in _lines(house, incident, events)]
    return Knowledge(
        tuple(documents),
        tuple(lines),
        tuple(_earlier(house, incident))[:EARLIER],
        _tests(house, incident),
        tuple(_presences(house, incident, events)),
    )


def _tests(house: House, incident: Incident) -> tuple[tuple[str, Reproducer], ...]:
    """Of other open incidents of the project: those in the same repository, the latest first."""
    repo = incident.location.repo if incident.location else None
    others = queries.incidents(
        house.database, project=incident.project, repo=repo, status=Status.OPEN, limit=50
    )
    attempts = (
        (one.id, queries.latest_attempt(house.database, one.id)) for one in others if one.id != incident.id
    )
    found = [
        (name, last.reproducer) for name, last in attempts if last is not None and last.reproducer is not None
    ]
    return tuple(found[:EARLIER])


def _presences(house: House, incident: Incident, events: Sequence[Event]) -> Iterator[Presence]:
    """What the payloads of the entries of these events have of the fields that their messages name."""
    names = quoted(event.exception.value for event in events[:5] if event.exception)
    project = queries.project(house.database, incident.project).id
    for entry in dict.fromkeys(filter(None, map(entry_of, events[:5]))) if names else ():
        for one in sketches.presences(house.database, project, entry, names):
            if any(day.present < day.of for day in one.days):
                yield one


def _documents(
    parts: Mapping[str, RepositoryPart], mirrors: Mapping[str, Repository], commits: Mapping[str, str]
) -> Iterator[Document]:
    for name, part in parts.items():
        mirror, commit = mirrors[name], commits[name]
        every = mirror.paths(commit)
        for kind, wanted in (
            ("runbook", part.runbooks),
            ("context", part.context),
            ("convention", part.conventions),
        ):
            for path in every:
                if any(path == pattern or fnmatch(path, pattern) for pattern in wanted):
                    text = mirror.text(commit, path)
                    if text:
                        yield Document(kind, name, path, text)


def _lines(house: House, incident: Incident, events: Sequence[Event]) -> Iterator[LogLine]:
    """From the project's log file, from access logs of the requests that failed, and from what else was reported at
    that time: other incidents within seconds, clusters and alerts within minutes."""
    moments = [event.timestamp for event in events]
    file = house.config.logs.get(incident.project)
    if file:
        yield from near(Path(file).expanduser(), moments)
    served = {(one.at, one.line): one for event in events[:3] for one in tied(house.database, event)}
    for number, one in enumerate(served.values()):
        yield LogLine(f"A{number}", one.at, "access log", f"{one.line.words} ({one.because})")
    seen: dict[str, Event] = {}
    for each in chain.from_iterable(around(house.database, event, _CLUSTER) for event in events[:3]):
        close = min(abs(each.timestamp - moment) for moment in moments)
        if close <= (_NEAR if each.exceptions else _CLUSTER):
            seen.setdefault(each.event_id, each)
    for number, each in enumerate(seen.values()):
        error = each.exception
        said = f"{error.type}: {error.value}" if error else each.message or ""
        yield LogLine(
            f"S{number}", each.timestamp, each.logger or each.platform, f"{said} {each.transaction or ''}"
        )


def _earlier(house: House, incident: Incident) -> Iterator[Earlier]:
    """Incidents of the project in the same function, or the same file where none is known."""
    place = incident.location
    if place is None:
        return
    for other in queries.incidents(house.database, project=incident.project, repo=place.repo, limit=500):
        there = other.location
        if other.id == incident.id or there is None or there.path != place.path:
            continue
        if place.function and there.function and there.function != place.function:
            continue
        last = queries.latest_attempt(house.database, other.id)
        said = f"{last.ended}: {last.said}"[:300] if last and last.ended else ""
        where = f"{there.path}:{there.line} {there.function or ''}".strip()
        yield Earlier(other.id, other.title, where, other.status.value, said)
