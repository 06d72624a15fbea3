"""Triage in the background, and what follows from it: what comes into focus is repaired without being asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.repairs.opinions import triaged
from store import queries, tasks
from store.errors import NotAllowed
from store.event import Trust
from store.incident import Incident, Lane, Status
from store.tasks import Task

if TYPE_CHECKING:
    from server.house import House


def triage(house: House, task: Task) -> None:
    """Triage the incident of a task, which is done with it, and ask for its repair where it is in focus.
    Raises NotFound where no event of it is kept with its body."""
    triaged(house, task.incident_id, task)
    incident = queries.incident(house.database, task.incident_id)
    if wants_repair(house, incident):
        try:
            tasks.request_repair(house.database, incident.id)
        except NotAllowed:
            return  # repairs are paused; a person who resumes them decides what is repaired


def wants_repair(house: House, incident: Incident) -> bool:
    """Whether an incident is repaired by itself: in focus, with a place in the team's code, believed, not tried before
    (or back since), and there is code to run and a sandbox to run it in."""
    if incident.lane is not Lane.FOCUS or incident.status in {Status.MUTED, Status.RESOLVED}:
        return False
    found = queries.triage(house.database, incident.id)
    if incident.location is None or (found is not None and found.facts.get("no_repair")):
        return False
    tried = queries.latest_attempt(house.database, incident.id) is not None
    if tried and incident.status is not Status.REGRESSED:
        return False
    return (
        _believed(house, incident)
        and bool(queries.repositories(house.database, incident.project))
        and house.sandbox.self_test().ok
    )


def _believed(house: House, incident: Incident) -> bool:
    """Whether a holder of a secret key has reported it, or enough users of a public one have met it."""
    if incident.user_count >= house.config.min_users:
        return True
    return any(event.trust is Trust.SIGNED for event in queries.events(house.database, incident.id))
