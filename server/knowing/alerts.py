"""How an alert behaves, from what is kept of it: how often it fires, whether it went away by itself, what was deployed.

Its own report tells none of this: a monitor says that it fires, and later that it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from server.intake.redaction import Redaction
from store import episodes, queries
from store.database import Database
from store.episodes import Ended
from store.event import Event, Over
from store.incident import Incident
from store.project import Project
from triage.fingerprint import fingerprint
from triage.learning.alerts import CONTEXT, is_alert

_DEPLOYED = timedelta(hours=1)  # before an alert, that it may have to do with it


def end(db: Database, redaction: Redaction, project: Project, over: Sequence[Over]) -> list[str]:
    """Keep that alerts are over. The incidents that this concerns, which want triage."""
    told = [one.as_event.model_copy(update={"project": project.name}) for one in over]
    prints = [fingerprint(redaction.redact(event)) for event in told]  # grouped as what it ends was
    ended = [Ended(fingerprint=each, at=one.at) for each, one in zip(prints, over, strict=True)]
    return episodes.end(db, project.id, ended) if ended else []


def behaving(db: Database, incident: Incident, event: Event) -> Event:
    """The event of an alert with how it behaves beside what it says; what its sender told of that stays. Any other
    event as it is. Raises NotFound."""
    if not is_alert(event):
        return event
    over, fired = episodes.behaviour(db, incident.id, event.event_id)
    after = None if over is None else max((over - event.timestamp).total_seconds(), 0.0)
    known = {
        "fired_at": event.timestamp.isoformat(), "first_seen": incident.first_seen.isoformat(),
        "fired_count_last_1h": len(fired), "auto_resolved_after_s": after,
        "recent_deploy": _deployed(db, incident, event),
    }  # fmt: skip
    told = {**known, **event.contexts[CONTEXT]}
    return event.model_copy(update={"contexts": {**event.contexts, CONTEXT: told}})


def _deployed(db: Database, incident: Incident, event: Event) -> str | None:
    """The newest release that reached the alert's environment shortly before it."""
    found = [
        release
        for release in queries.releases(db, incident.project)
        if release.deployed_at is not None
        and event.timestamp - _DEPLOYED <= release.deployed_at <= event.timestamp
        and (event.environment is None or release.environment in {None, event.environment})
    ]
    newest = max(found, key=lambda release: str(release.deployed_at), default=None)
    return newest.version if newest else None
