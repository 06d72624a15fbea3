"""The same page in three forms: HTML, and with `.md` or `.json` behind its address what stands on it, for assistants
and scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.incidents.quoting import Quoter
from server.web.sessions import FORM_HEADERS
from server.web.visiting import Doorman, Visit, Work
from store.incident import Incident

Lines = Callable[[Quoter], Iterable[str]]


def in_three_forms(doorman: Doorman, path: str, work: Work) -> list[BaseRoute]:
    """The routes of a page: as it is, `.md` and `.json`. The first page is called `now` there."""
    stem = "/now" if path == "/" else path
    endpoint = doorman.page(work)
    return [Route(stem + ".md", endpoint), Route(stem + ".json", endpoint), Route(path, endpoint)]


def shown(visit: Visit, template: str, plain: Mapping[str, Any], lines: Lines, **values: Any) -> Response:
    """The page in the form that was asked for. `plain` is what scripts read; `lines` are the Markdown, in which
    foreign text is quoted; HTML gets `plain` too."""
    path = visit.request.url.path
    if path.endswith(".json"):
        return JSONResponse(dict(plain), headers=dict(FORM_HEADERS))
    if path.endswith(".md"):
        quoter = Quoter()
        body = list(lines(quoter))
        text = "\n".join([body[0], quoter.legend, "", *body[1:]]) + "\n"
        return Response(text, media_type="text/markdown", headers=dict(FORM_HEADERS))
    return visit.page(template, **{**plain, **values})


def incident_line(incident: Incident, quoter: Quoter) -> str:
    """An incident in one line of a Markdown list."""
    last = f"last {incident.last_seen:%Y-%m-%d %H:%M} UTC"
    facts = f"{incident.event_count:,} events, {incident.user_count:,} users, {last}"
    why = f": {quoter.inline(incident.why, 120, source='run')}" if incident.why else ""
    return f"- **{incident.id}** {quoter.inline(incident.title, 160)} ({facts}){why}"


def incident_row(incident: Incident) -> dict[str, Any]:
    """An incident in a list for scripts."""
    return incident.model_dump(mode="json", exclude={"fingerprints"})
