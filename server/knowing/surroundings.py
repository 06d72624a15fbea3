"""What the house knows around an incident, collected for triage. Only reads; every one bounded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from server.knowing.guidance import Guidance
from store import flags, queries, surroundings
from store.database import Database
from store.event import Event
from store.incident import Incident
from triage.course import Seen
from triage.nearness import WITHIN, Neighbour
from triage.similar import Known, similar
from triage.surroundings import BEFORE, Change, Surroundings

_CLOCKS = timedelta(minutes=1)  # by which clocks may differ


def around(
    db: Database,
    incident: Incident,
    event: Event,
    guides: Sequence[Guidance],
    critical: Sequence[tuple[str, str]],
) -> Surroundings:
    """The surroundings of an incident and its newest event. Raises NotFound where it has gone meanwhile."""
    own, past = surroundings.before(db, incident.id)
    known = {one.id: Known(one.id, one.parts, one.title) for one in past}
    mine = Known(own.id, own.parts, own.title)
    alike = [known[one.id] for one in similar(mine, list(known.values()))]
    return Surroundings(
        neighbours=[
            Neighbour(other.event, other.incident_id, other.kind)
            for other in surroundings.beside(db, event, WITHIN)
        ],
        deploys=_deploys(db, incident, event),
        flags=_flags(db, incident, event),
        own=mine,
        past=alike,
        outcomes={one.id: surroundings.outcome(db, one.id) for one in alike},
        seen=[
            Seen(one.at, one.user, one.environment, one.release, one.endpoint, one.service, one.over)
            for one in surroundings.course(db, incident.id)
        ],
        runbooks=[book for guide in guides for book in guide.runbooks],
        critical=critical,
        guides=[told.guide for told in guides],
    )


def _deploys(db: Database, incident: Incident, event: Event) -> list[Change]:
    """Releases that reached the event's environment shortly before the incident began."""
    found = []
    for release in queries.releases(db, incident.project):
        there = event.environment is None or release.environment in {None, event.environment}
        if release.deployed_at and there and release.deployed_at >= incident.first_seen - BEFORE:
            where = f" to {release.environment}" if release.environment else ""
            found.append(Change(release.deployed_at, f"release {release.version} was deployed{where}"))
    return found


def _flags(db: Database, incident: Incident, event: Event) -> list[Change]:
    changes = flags.between(
        db,
        incident.project,
        incident.first_seen - BEFORE,
        incident.first_seen + _CLOCKS,
        event.environment,
    )
    return [
        Change(
            one.at,
            f"flag {one.flag} was set to {one.after}"
            + (f" (before: {one.before})" if one.before is not None else "")
            + (f" by {one.who}" if one.who else ""),
        )
        for one in changes
    ]
