"""Pages that list incidents: what to focus on, a lane, what was set aside, what a search finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from starlette.responses import RedirectResponse, Response

from server.incidents.lookup import incident_by_id, projects_wanted
from server.incidents.quoting import Quoter
from server.operating.calibration import audit
from server.web import news
from server.web.formats import incident_line, incident_row, shown
from server.web.visiting import Visit
from store import overview, queries, searching
from store.errors import BadPayload, NotFound
from store.incident import Incident, Lane, Status

_UNSETTLED = (Status.OPEN, Status.REGRESSED)
_FOCUS, _BACKLOG, _PAGE = 12, 15, 50  # rows
_AUDIT = 5  # incidents of a sample
_HITS = 50


def now(visit: Visit) -> Response:
    """What to focus on, then the backlog, then how much was set aside."""
    since = news.begun(visit.house)
    values = _now(visit)
    focus, backlog = values["focus"], values["backlog"]
    plain = {
        "focus": [incident_row(one) for one in focus],
        "backlog": [incident_row(one) for one in backlog],
        "counts": {lane.value: count for lane, count in values["counts"].items()},
    }

    def lines(quoter: Quoter) -> Iterator[str]:
        yield "# What to focus on"
        yield from (incident_line(one, quoter) for one in focus)
        yield "" if focus else "Nothing needs anybody right now."
        yield "## Backlog"
        yield from (incident_line(one, quoter) for one in backlog)

    return shown(visit, "now.html", plain, lines, since=since, **values)


def now_parts(visit: Visit) -> dict[str, Any]:
    """What the part of the first page that keeps itself up to date is made of."""
    return _now(visit)


def _now(visit: Visit) -> dict[str, Any]:
    database, only = visit.house.database, visit.house.only
    counts = queries.lane_counts(database, only, status=_UNSETTLED)
    lanes = [
        queries.incidents(database, lane=lane, project=only, status=_UNSETTLED, limit=limit)
        for lane, limit in ((Lane.FOCUS, _FOCUS), (Lane.BACKLOG, _BACKLOG))
    ]
    return {
        "focus": lanes[0],
        "backlog": lanes[1],
        "counts": counts,
        "total": sum(counts.values()),
        **_beside(visit, [*lanes[0], *lanes[1]]),
    }


def _beside(visit: Visit, rows: Sequence[Incident]) -> dict[str, Any]:
    """What a row says besides what its incident does."""
    ids = [row.id for row in rows]
    return {
        "lately": overview.lately(visit.house.database, ids),
        "repairs": overview.repairs_of(visit.house.database, ids),
    }


def lane(visit: Visit) -> Response:
    """A page of one lane. Raises BadPayload for a lane that does not exist."""
    wanted = visit.field("lane") or Lane.FOCUS.value
    if wanted not in set(Lane):
        raise BadPayload(f"There is no such lane; there are {', '.join(Lane)}.")
    after = visit.field("after") or None
    if after is not None:
        after = incident_by_id(visit.house, after).id
    project = projects_wanted(visit.house, visit.field("project") or None)
    found = queries.incidents(
        visit.house.database, lane=Lane(wanted), project=project, status=_UNSETTLED, after=after,
        limit=_PAGE + 1,
    )  # fmt: skip
    rows, more = found[:_PAGE], len(found) > _PAGE
    plain = {
        "lane": wanted,
        "incidents": [incident_row(one) for one in rows],
        "next": rows[-1].id if more else None,
    }

    def lines(quoter: Quoter) -> Iterator[str]:
        yield f"# {wanted.capitalize()}"
        yield from (incident_line(one, quoter) for one in rows)

    return shown(visit, "lane.html", plain, lines, rows=rows, **_beside(visit, rows))


def noise(visit: Visit) -> Response:
    """What was set aside, a sample of it to look at, and the button that brings one back."""
    database = visit.house.database
    after = visit.field("after") or None
    if after is not None:
        after = incident_by_id(visit.house, after).id
    found = queries.incidents(
        database, lane=Lane.NOISE, project=visit.house.only, limit=_PAGE + 1, after=after
    )
    rows, more = found[:_PAGE], len(found) > _PAGE
    seed = visit.field("seed", 40)
    sample = _sample(visit, seed) if seed else []
    plain = {
        "incidents": [incident_row(one) for one in rows],
        "sample": [incident_row(one) for one in sample],
        "next": rows[-1].id if more else None,
    }

    def lines(quoter: Quoter) -> Iterator[str]:
        yield "# Set aside"
        yield from (incident_line(one, quoter) for one in rows)

    counts = queries.lane_counts(database, visit.house.only)
    return shown(
        visit, "noise.html", plain, lines, rows=rows, drawn=sample, seed=seed, counts=counts,
        total=sum(counts.values()), done=done(visit),
    )  # fmt: skip


def _sample(visit: Visit, seed: str) -> list[Incident]:
    """A few of those set aside, likelier those that are likelier to matter."""
    names = [one.name for one in queries.projects(visit.house.database) if visit.house.sees(one.name)]
    drawn = [incident for name in names for _, incident in audit(visit.house, name, _AUDIT, seed)]
    return drawn[:_AUDIT]


def done(visit: Visit) -> dict[str, Any] | None:
    """What was just done by a form that led here, so that it can be taken back; None where nothing was."""
    told = visit.request.query_params.get("act", "")
    if not (told.isdigit() and len(told) < 16):
        return None
    act = overview.act(visit.house.database, int(told))
    if act is None or not act.subject.startswith("INC-"):
        return None
    try:
        incident_by_id(visit.house, act.subject)
    except NotFound:
        return None
    return act.model_dump()


def search(visit: Visit) -> Response:
    """Incidents in which every word stands: title, message, file, function, commit. An id leads straight there."""
    asked = visit.field("q", 200)
    if asked.upper().startswith("INC-") and asked[4:].isdigit():
        return RedirectResponse(f"/incidents/{asked.upper()}", status_code=303)
    words = asked.split()[:8]
    ids = searching.search(visit.house.database, words, _HITS, visit.house.only) if words else []
    rows = [queries.incident(visit.house.database, name) for name in ids]
    plain = {"query": asked, "incidents": [incident_row(one) for one in rows]}

    def lines(quoter: Quoter) -> Iterator[str]:
        yield "# Found"
        yield from (incident_line(one, quoter) for one in rows)

    return shown(visit, "search.html", plain, lines, rows=rows, most=_HITS, **_beside(visit, rows))
