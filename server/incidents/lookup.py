"""From what an assistant has in its hand (an id, an address, a pasted stack trace) to an incident."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from server.incidents.view import IncidentView, incident_view
from server.intake.parsing import file_events
from store import queries
from store.errors import BadPayload, NotFound
from store.event import Event
from store.incident import Incident, Triage
from triage.analyse import History
from triage.fingerprint import fingerprint
from triage.pipeline import triage

if TYPE_CHECKING:
    from server.house import House

LONGEST = 200_000  # characters of a pasted trace that are read
_ID = re.compile(r"(?i)(?:INC-)?([0-9]{1,12})")
_ADDRESS = re.compile(
    r"(?i)^\s*(?:https?://\S+/incidents/|/incidents/|incident://)(INC-[0-9]{1,12})(?:\.\w+)?(?:[/?#]\S*)?\s*$"
)

NO_INCIDENT = "There is no incident with this id. list_incidents gives the ids there are."
NOT_A_REFERENCE = (
    "This is neither an incident's id (INC-42), nor the address of its page, nor a stack trace in which an "
    "exception can be read. list_incidents gives the ids; paste a trace whole, with its line breaks."
)


def incident_by_id(house: House, ref: str) -> Incident:
    """An incident by its id or the address of its page. Raises NotFound, saying what to do."""
    address = _ADDRESS.match(ref)
    wanted = address[1] if address else ref.strip()
    if not _ID.fullmatch(wanted):
        raise NotFound(NOT_A_REFERENCE if len(ref) > 40 else NO_INCIDENT)
    try:
        incident = queries.incident(house.database, wanted)
    except NotFound as error:
        raise NotFound(NO_INCIDENT) from error
    if not house.sees(incident.project):
        raise NotFound(NO_INCIDENT)
    return incident


def projects_wanted(house: House, project: str | None) -> str | frozenset[str] | None:
    """The project that is asked for, else all that whoever asks may see (None: every one). Raises NotFound."""
    if not project:
        return house.only
    name = queries.project(house.database, project).name
    if not house.sees(name):
        raise NotFound(f"There is no project {project[:100]!r}.")
    return name


def view_of(house: House, ref: str) -> IncidentView:
    """What is known of the incident that `ref` means. A trace that no incident has is triaged and not kept.

    Raises NotFound."""
    if _ID.fullmatch(ref.strip()) or _ADDRESS.match(ref):
        return incident_view(house, incident_by_id(house, ref))
    event = _pasted(house, ref)
    if known := _counted(house, event):
        return incident_view(house, known)
    event, found = _triaged(house, event)
    same = _same_place(house, event, found)
    return incident_view(house, same) if same else _unkept(event, found)


def known_incident(house: House, trace: str) -> Incident | None:
    """The incident that a pasted trace is of, if there is one. Raises NotFound for what is no trace."""
    event = _pasted(house, trace)
    if known := _counted(house, event):
        return known
    return _same_place(house, *_triaged(house, event))


def event_of_trace(house: House, trace: str) -> Event:
    """The event that a pasted trace tells of, redacted, in the project that has its code. Raises NotFound."""
    return _triaged(house, _pasted(house, trace))[0]


def _counted(house: House, event: Event) -> Incident | None:
    """The incident that events like this one are counted in, of those that whoever asks may see."""
    found = queries.incidents_with(house.database, fingerprint(event))
    return next((incident for incident in reversed(found) if house.sees(incident.project)), None)


def _pasted(house: House, text: str) -> Event:
    """The event that a pasted trace tells of, redacted as if it had been sent."""
    if "\n" not in text and "\\n" in text:
        text = text.replace("\\n", "\n")
    now = datetime.now(UTC)
    try:
        events = file_events(text[:LONGEST].encode(), "auto", project="default", received_at=now)
    except BadPayload:
        events = []
    raised = [event for event in events if event.exceptions]
    if not raised:
        raise NotFound(NO_INCIDENT if len(text) <= 40 else NOT_A_REFERENCE)
    return house.redaction.redact(raised[0])


def _triaged(house: House, event: Event) -> tuple[Event, Triage]:
    """Triage in the project that holds the code, else in the first one."""
    results = []
    for project in (each for each in queries.projects(house.database) if house.sees(each.name)):
        meant = event.model_copy(update={"project": project.name})
        found = triage(
            meant, History(), house.sources_for(meant), house.classifier, lambda: datetime.now(UTC)
        )
        results.append((meant, found))
    return max(results, key=lambda pair: pair[1].location.confidence if pair[1].location else -1.0)


def _same_place(house: House, event: Event, found: Triage) -> Incident | None:
    """A known incident of the same exception in the same function: text lacks what some SDKs send."""
    place = found.location
    if place is None or place.function is None or event.exception is None:
        return None
    for incident in queries.incidents(house.database, project=house.only, repo=place.repo):
        there = incident.location
        same = there is not None and (there.path, there.function) == (place.path, place.function)
        if same and incident.title.partition(":")[0] == event.exception.type:
            return incident
    return None


def _unkept(event: Event, found: Triage) -> IncidentView:
    incident = Incident(
        id="INC-0",
        project=event.project,
        title=found.title,
        culprit=found.culprit,
        fingerprints=(fingerprint(event),),
        first_seen=event.timestamp,
        last_seen=event.timestamp,
        event_count=1,
        lane=found.lane,
        priority=found.priority,
        why=found.why,
        verdict=found.verdict,
        location=found.location,
    )
    return IncidentView(incident, triage=found, events=(event,), kept=False)
