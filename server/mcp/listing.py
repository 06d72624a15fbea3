"""The list of incidents as an assistant reads it: compact, every foreign text quoted, pages bound to the question."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from server.incidents.lookup import projects_wanted
from server.incidents.quoting import Quoter
from server.mcp.cursors import FOREIGN, opened, sealed
from server.moments import since_moment
from store import queries
from store.errors import BadPayload, NotFound
from store.incident import Incident, Lane, Status
from store.repair import Ended

if TYPE_CHECKING:
    from server.house import House

MOST_ROWS = 50
UNSETTLED = (Status.OPEN, Status.REGRESSED)


def list_incidents(
    house: House,
    *,
    lane: str = "focus",
    project: str | None = None,
    repo: str | None = None,
    service: str | None = None,
    since: str | None = None,
    query: str | None = None,
    cursor: str | None = None,
    limit: int = 10,
) -> dict[str, Any]:
    """A page of the list. Raises NotFound for an unknown project, BadPayload for a bad time or a cursor of another
    question."""
    question = (lane, project or "", repo or "", service or "", since or "", query or "")
    after = opened(cursor, *question) if cursor else None
    limit = max(1, min(limit, MOST_ROWS))
    wanted = _projects(house, project)
    try:
        found = queries.incidents(
            house.database, lane=None if lane == "all" else Lane(lane), project=wanted,
            repo=repo or None, service=service or None, since=_moment(since) if since else None,
            query=query or None, status=UNSETTLED, limit=limit + 1, after=after,
        )  # fmt: skip
    except NotFound as error:  # only the incident that the cursor stands at can be missing
        raise BadPayload(FOREIGN) from error
    quoter = Quoter()
    repairs = queries.repair_states(house.database, [incident.id for incident in found[:limit]])
    rows = [_row(incident, repairs, quoter) for incident in found[:limit]]
    answer: dict[str, Any] = {"note": quoter.cell_legend, "incidents": rows}
    if after is None:  # who turns a page has them
        counts = queries.lane_counts(house.database, wanted, status=UNSETTLED)
        answer["open"] = {each.value: number for each, number in counts.items()}
    if len(found) > limit:
        answer["next_cursor"] = sealed(found[limit - 1].id, *question)
    if not rows:
        answer["next"] = "Nothing here. lane=all shows every lane." if lane != "all" else "Nothing is open."
    return answer


def _projects(house: House, project: str | None) -> str | frozenset[str] | None:
    try:
        return projects_wanted(house, project)
    except NotFound as error:
        raise NotFound("There is no such project; without one the list is of all you may see.") from error


def _row(incident: Incident, repairs: dict[str, Ended | None], quoter: Quoter) -> dict[str, Any]:
    place = incident.location
    where = f"{place.repo}/{place.path}:{place.line}" if place else incident.culprit
    row = {
        "id": incident.id,
        "lane": incident.lane.value,
        "title": quoter.cell(incident.title, 68),
        "where": quoter.cell(where, 56),
        "why": quoter.cell(incident.why, 40, source="run") if incident.why else None,
        "events": incident.event_count,
        "users": incident.user_count or None,
        "last_seen": f"{incident.last_seen:%Y-%m-%dT%H:%MZ}",
        "regressed": True if incident.status is Status.REGRESSED else None,
        "repair": _repair_state(repairs[incident.id]) if incident.id in repairs else None,
        "claimed_by": quoter.cell(incident.claimed_by, 24, source="person") if incident.claimed_by else None,
    }
    return {name: value for name, value in row.items() if value is not None}


def _repair_state(ended: Ended | None) -> str:
    return ended.value if ended else "running"


def _moment(text: str) -> datetime:
    try:
        return since_moment(text)
    except BadPayload as error:
        raise BadPayload("`since` is a time (2026-11-20T10:00Z) or an age (30m, 24h, 7d, 2w).") from error
