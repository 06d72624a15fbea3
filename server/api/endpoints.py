"""The table of endpoints of `/api/v1`, and what each does. Blocking; what comes in has been checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from server.access import allowed, check
from server.api import models
from server.house import House
from server.incidents.as_json import incident_json
from server.incidents.lookup import incident_by_id, projects_wanted
from server.knowing import bundles
from server.mcp import writing
from server.moments import since_moment
from server.policy import Action, Principal, action_of
from store import flags, journal, queries, source_maps
from store.errors import NotFound
from store.event import Event
from store.flags import FlagChange
from store.incident import Incident, Lane, Status
from store.project import Release
from store.repair import Attempt

LARGEST = 256 << 10  # bytes of a body, where an endpoint does not say otherwise
_LARGEST_MAP = 32 << 20
_UNSETTLED = (Status.OPEN, Status.REGRESSED)


@dataclass(frozen=True)
class Call:
    """One request, checked: `query` and `body` are of the endpoint's models."""

    house: House  # as far as the principal sees it
    principal: Principal
    path: Mapping[str, str]
    query: Any
    body: Any

    @property
    def incident(self) -> Incident:
        """The one in the path. Raises NotFound, also where it is of a project that is not for the principal."""
        return incident_by_id(self.house, self.path["id"])

    @property
    def attempt(self) -> Attempt | None:
        """Its latest repair."""
        return queries.latest_attempt(self.house.database, self.incident.id)


@dataclass(frozen=True)
class Endpoint:
    """One row of the table. The name is the operation's in OpenAPI."""

    method: str
    path: str  # below /api/v1
    name: str
    summary: str
    action: Action  # what the policy is asked for; the work asks where it depends on more than that
    work: Callable[[Call], BaseModel]
    answer: type[BaseModel]
    query: type[BaseModel] = models.Nothing
    body: type[BaseModel] | None = None
    status: int = 200
    largest: int = LARGEST  # bytes of a body


def whoami(call: Call) -> models.Caller:
    """Who asks."""
    who = call.principal
    scopes = sorted(who.scopes or ())
    return models.Caller(
        name=who.name, scopes=scopes, role=who.role, roles=dict(who.roles), project=who.project
    )


def list_incidents(call: Call) -> models.IncidentPage:
    """A page of the list."""
    wanted: models.IncidentFilter = call.query
    if wanted.status is None:
        status: tuple[Status, ...] | None = _UNSETTLED
    else:
        status = None if wanted.status == "all" else (Status(wanted.status),)
    if wanted.cursor:
        incident_by_id(call.house, wanted.cursor)
    found = queries.incidents(
        call.house.database,
        lane=None if wanted.lane == "all" else Lane(wanted.lane),
        project=projects_wanted(call.house, wanted.project),
        repo=wanted.repo,
        service=wanted.service,
        since=since_moment(wanted.since) if wanted.since else None,
        status=status,
        query=wanted.query,
        limit=wanted.limit + 1,
        after=wanted.cursor,
    )
    page = found[: wanted.limit]
    more = len(found) > len(page)
    return models.IncidentPage(incidents=page, next_cursor=page[-1].id if more else None)


def get_incident(call: Call) -> models.IncidentDetail:
    """One incident."""
    return models.IncidentDetail.model_validate(incident_json(call.house, call.incident.id))


def list_events(call: Call) -> models.EventPage:
    """A page of an incident's events."""
    page: models.Page = call.query
    found = queries.occurrence_page(
        call.house.database, call.incident.id, after=page.cursor or 0, limit=page.limit + 1
    )
    shown = found[: page.limit]
    events = [models.KeptEvent(**seen.model_dump(), body=kept) for _, seen, kept in shown]
    return models.EventPage(events=events, next_cursor=shown[-1][0] if len(found) > len(shown) else None)


def get_event(call: Call) -> Event:
    """One event, as it was kept. Raises NotFound."""
    wanted = call.path["event_id"].replace("-", "").lower()
    for project in sorted(each.name for each in queries.projects(call.house.database)):
        if call.house.sees(project):
            found = queries.event(call.house.database, wanted, project)
            if found is not None:
                return found
    raise NotFound("No event of this id is kept with its body.")


def get_causes(call: Call) -> models.Causes:
    """The candidate changes."""
    attempt = call.attempt
    return models.Causes(id=call.incident.id, changes=attempt.changes if attempt else ())


def get_reproducer(call: Call) -> models.TestFound:
    """The failing test."""
    attempt = call.attempt
    return models.TestFound(id=call.incident.id, reproducer=attempt.reproducer if attempt else None)


def get_fix(call: Call) -> models.Fix:
    """The proposed patch."""
    attempt = call.attempt
    return models.Fix(
        id=call.incident.id,
        run=attempt.id if attempt else None,
        ended=attempt.ended.value if attempt and attempt.ended else None,
        said=attempt.said or None if attempt else None,
        patch=attempt.patch if attempt else None,
        validation=attempt.validation if attempt else None,
        proof=attempt.proof.id if attempt and attempt.proof else None,
        drafts=attempt.drafts if attempt else (),
    )


def add_release(call: Call) -> Release:
    """Keep what runs. Raises NotFound for a project or repository that is not there."""
    wanted: models.NewRelease = call.body
    project = _stated(call, wanted.project)
    known = {row.name for row in queries.repositories(call.house.database, project)}
    for name in wanted.commits:
        if name not in known:
            raise NotFound(
                f"Project {project!r} has no repository {name!r}; `nightdesk repo add` connects one."
            )
    release = Release(
        project=project,
        version=wanted.version,
        commits={name: _whole(call.house, name, sha.lower()) for name, sha in wanted.commits.items()},
        environment=wanted.environment,
        deployed_at=datetime.fromisoformat(wanted.deployed_at) if wanted.deployed_at else datetime.now(UTC),
    )
    return journal.add_release(call.house.database, release, call.principal.name)


def add_source_map(call: Call) -> models.KeptSourceMap:
    """Keep a source map. Raises BadPayload, NotFound."""
    wanted: models.NewSourceMap = call.body
    project = _stated(call, wanted.project)
    content = wanted.map if isinstance(wanted.map, str) else json.dumps(wanted.map)
    found = bundles.kept(call.house.artifacts, wanted.name, content.encode(), wanted.release)
    source_maps.add(call.house.database, project, found, call.principal.name)
    return models.KeptSourceMap(name=found.name, release=found.release, debug_id=found.debug_id)


def add_flag_change(call: Call) -> FlagChange:
    """Keep a change of a flag. Raises NotFound."""
    wanted: models.NewFlagChange = call.body
    change = FlagChange(
        project=_stated(call, wanted.project),
        flag=wanted.flag,
        after=wanted.after,
        before=wanted.before,
        environment=wanted.environment,
        at=datetime.fromisoformat(wanted.at) if wanted.at else datetime.now(UTC),
        who=wanted.who or call.principal.name,
    )
    return flags.add(call.house.database, change)


def _stated(call: Call, ref: str) -> str:
    """The name of a project that the caller may say something of. Raises NotFound, NotAllowed."""
    project = queries.project(call.house.database, ref).name
    if not call.house.sees(project):
        raise NotFound(f"There is no project {ref!r}.")
    allowed(call.principal, Action.STATE, project)
    return project


def _whole(house: House, repo: str, sha: str) -> str:
    """The full sha where the mirror has the commit. It may be behind: then what was given is looked up later."""
    return (house.mirrors.get(repo).resolve(sha) if repo in house.mirrors.names() else None) or sha


def change_state(call: Call) -> Incident:
    """Say what became of an incident, or take it. Raises NotAllowed where another has it."""
    wanted: models.StateChange = call.body
    incident = call.incident
    check(call.principal, action_of(wanted.state), call.house, incident.id)
    writing.set_state(call.house, incident.id, wanted.state, wanted.reason, call.principal.name)
    return queries.incident(call.house.database, incident.id)


def start_repair(call: Call) -> models.Started:
    """Start a repair, or name the one under way."""
    wanted: models.RepairWish = call.body
    incident = call.incident
    check(call.principal, Action.FIX, call.house, incident.id)
    started = writing.start_repair(
        call.house, incident.id, wanted.hypothesis, wanted.hint, call.principal.name
    )
    return models.Started(run=started["run"], started=started["started"])


_ID = "/incidents/{id}"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/whoami", "whoami", "Whom the token stands for.", Action.READ, whoami, models.Caller),
    Endpoint(
        "GET", "/incidents", "list_incidents", "The list, most urgent first.", Action.READ, list_incidents,
        models.IncidentPage, query=models.IncidentFilter,
    ),
    Endpoint(
        "GET", _ID, "get_incident", "Everything known of one incident.", Action.READ, get_incident,
        models.IncidentDetail,
    ),
    Endpoint(
        "GET", _ID + "/events", "list_events", "Ids, times and releases of its events.", Action.READ,
        list_events, models.EventPage, query=models.Page,
    ),
    Endpoint("GET", "/events/{event_id}", "get_event", "One event, redacted.", Action.READ, get_event, Event),
    Endpoint(
        "GET", _ID + "/causes", "get_causes", "The changes that may have caused it.", Action.READ, get_causes,
        models.Causes,
    ),
    Endpoint(
        "GET", _ID + "/reproducer", "get_reproducer", "The failing test.", Action.READ, get_reproducer,
        models.TestFound,
    ),
    Endpoint(
        "GET", _ID + "/fix", "get_fix", "The proposed patch and the judge's word.", Action.READ, get_fix,
        models.Fix,
    ),
    Endpoint(
        "POST", _ID + "/state", "change_state",
        "Claim or release it (incidents:read); resolve, mute, reopen it or call it noise (incidents:state).",
        Action.CLAIM, change_state, Incident, body=models.StateChange,
    ),
    Endpoint(
        "POST", _ID + "/repair", "start_repair", "Start a repair, or name the one under way.", Action.FIX,
        start_repair, models.Started, body=models.RepairWish, status=202,
    ),
    Endpoint(
        "POST", "/releases", "add_release", "Record that a version runs.", Action.STATE, add_release, Release,
        body=models.NewRelease,
    ),
    Endpoint(
        "POST", "/source-maps", "add_source_map", "Keep what a bundle was built from.", Action.STATE, add_source_map,
        models.KeptSourceMap, body=models.NewSourceMap, largest=_LARGEST_MAP,
    ),
    Endpoint(
        "POST", "/flags", "add_flag_change", "Record that a feature flag or setting took another value.", Action.STATE,
        add_flag_change, FlagChange, body=models.NewFlagChange,
    ),
)  # fmt: skip
