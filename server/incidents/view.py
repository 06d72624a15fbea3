"""One incident with everything that an answer in words may need, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from server.drafts import watching
from server.drafts.watching import WatchReport
from server.incidents.capsules import with_content
from server.incidents.rollback import Rollback, advice
from store import labels, queries, submissions
from store.event import Event
from store.incident import Incident, Triage
from store.labels import Proposal
from store.nearby import Reported, met_before
from store.project import Act
from store.repair import Attempt, Submission
from store.request_lines import Tied, tied

if TYPE_CHECKING:
    from server.house import House

EVENTS = 50  # newest kept bodies that are compared
_ACTS = 50  # latest acts
_BEFORE = timedelta(hours=1)  # how far back the way to a failure is looked for


@dataclass(frozen=True)
class IncidentView:
    """`attempt`: the last repair that has ended, else the one under way; `running`: that one, if any.

    `kept` is False for a stack trace that was triaged on the spot: then there is no incident to come back to.
    """

    incident: Incident
    triage: Triage | None = None
    attempt: Attempt | None = None
    running: Attempt | None = None
    events: Sequence[Event] = ()  # newest first
    kept: bool = True
    checkout: str | None = None  # one sentence: how a checkout stands to this incident
    rollback: Rollback | None = None
    earlier: Sequence[Attempt] = ()  # the repairs before `attempt`, oldest first
    acts: Sequence[Act] = ()  # what people, assistants and the product did to it, oldest first
    proposals: Sequence[Proposal] = ()  # labels that wait for a person
    watches: Sequence[WatchReport] = ()  # how merged fixes hold, oldest first
    submissions: Sequence[Submission] = ()  # patches that were handed in, oldest first
    before: Sequence[Reported] = ()  # what the same user had met shortly before the newest event
    served: Sequence[Tied] = ()  # lines of access logs of the request that the newest event was in

    @property
    def event(self) -> Event | None:
        """The newest event of which the body is there."""
        return self.events[0] if self.events else None


def incident_view(
    house: House, incident: Incident, checkout: str | None = None, *, compared: int = EVENTS
) -> IncidentView:
    """Read what is known of an incident, with this many of its newest events. Raises NotFound where it has gone
    meanwhile."""
    attempts = queries.attempts(house.database, incident.id)
    ended = [attempt for attempt in attempts if attempt.ended is not None]
    running = attempts[-1] if attempts and attempts[-1].ended is None else None
    attempt = ended[-1] if ended else running
    events = queries.events(house.database, incident.id, limit=compared)
    return IncidentView(
        incident=incident,
        triage=queries.triage(house.database, incident.id),
        attempt=attempt,
        running=running,
        events=[with_content(event, house.artifacts) for event in events[:1]] + events[1:],
        checkout=checkout,
        rollback=advice(house, attempt, events[0] if events else None),
        earlier=[each for each in attempts if each not in (attempt, running)],
        acts=queries.acts(house.database, incident.id)[-_ACTS:],
        proposals=labels.pending(house.database, incident.id),
        watches=watching.reports(house, incident.id),
        submissions=submissions.of_incident(house.database, incident.id),
        before=met_before(house.database, events[0], _BEFORE) if events else (),
        served=tied(house.database, events[0]) if events else (),
    )
