"""Whether an incident's rate has risen: the share of its endpoint's requests that fail, else its events a minute."""

from __future__ import annotations

from store import queries
from store.database import Database
from store.event import Event
from store.incident import Incident
from store.rates import NOW, Rates, rates
from triage.formats.served import endpoint_of

LEAST = 20  # requests now, and before, from which a share is one
LEAST_BAD = 5  # failures now
FACTOR = 5.0  # times what was usual
MINUTES = 30  # of a baseline that counts events


def spike(db: Database, incident: Incident, event: Event) -> str | None:
    """How its rate has risen, in words; None where it has not, or nobody knows. The newest event says when "now" is."""
    project, at = queries.project(db, incident.project).id, event.received_at
    for endpoint in _endpoints(event):
        found = rates(db, project, endpoint, at)
        if found.good_now + found.bad_now >= LEAST and found.good_before + found.bad_before >= LEAST:
            return share_spike(found, endpoint)
    return count_spike(rates(db, project, incident.id, at))


def share_spike(found: Rates, endpoint: str) -> str | None:
    """\"0.2 % → 15.3 % of POST /checkout fail": the share that fails is many times what it was."""
    now = found.bad_now / (found.good_now + found.bad_now)
    before = found.bad_before / (found.good_before + found.bad_before)
    if found.bad_now < LEAST_BAD or now < FACTOR * before:
        return None
    return f"{100 * before:.1f} % → {100 * now:.1f} % of {endpoint or 'all sessions'} fail"


def count_spike(found: Rates) -> str | None:
    """Where nobody tells of successes: events a minute, many times what is usual."""
    if found.minutes_before < MINUTES or found.bad_now < LEAST:
        return None
    now, before = found.bad_now / (NOW.total_seconds() / 60), found.bad_before / found.minutes_before
    return f"{before:.2f} → {now:.1f} events a minute" if now >= FACTOR * before else None


def _endpoints(event: Event) -> list[str]:
    """What the event's endpoint may be called: by its transaction, by its request; then the whole project."""
    named = [event.transaction] if event.transaction else []
    asked = [endpoint_of(event.request.method, event.request.url)] if event.request else []
    return [*named, *asked, ""]
