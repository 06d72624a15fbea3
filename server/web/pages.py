"""The pages: the list, what was set aside, one incident read from top to bottom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from server.answers import status_of
from server.house import House
from server.incident_json import incident_json
from server.incident_view import incident_view
from server.markdown import incident_markdown
from server.policy import OPERATOR
from server.web.diffs import diff_files
from server.web.guard import only_loopback, only_own_forms
from server.web.rendering import page
from server.web.words import answer
from store import labels, queries
from store.errors import NightdeskError
from store.incident import Incident, Lane, Status

_HERE = Path(__file__).parent
_SHOWN_EVENTS = 20  # occurrences on the page of an incident
_SHOWN_NOISE = 500
_UNSETTLED = (Status.OPEN, Status.REGRESSED)

Work = Callable[[Request], Response]


class Pages:
    """Server-rendered HTML over one house. Text is escaped by the template engine, everywhere and always."""

    def __init__(self, house: House) -> None:
        self._house = house

    def routes(self) -> list[BaseRoute]:
        """Every page, for loopback only, and the style sheet."""
        return [
            Route("/", self._guarded(self._list)),
            Route("/noise", self._guarded(self._noise)),
            Route("/incidents/{ref:str}.json", self._guarded(self._json)),
            Route("/incidents/{ref:str}.md", self._guarded(self._markdown)),
            Route("/incidents/{ref:str}/label", self._guarded(self._label), methods=["POST"]),
            Route("/incidents/{ref:str}", self._guarded(self._incident)),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ]

    def _guarded(self, work: Work) -> Callable[[Request], Awaitable[Response]]:
        """Run a page in a thread; errors of the house become a page with one sentence."""

        async def endpoint(request: Request) -> Response:
            try:
                only_loopback(request.client.host if request.client else None, request.headers)
                return await to_thread.run_sync(work, request)
            except NightdeskError as error:
                return page("error.html", status=status_of(error), sentence=str(error))

        return endpoint

    def _list(self, request: Request) -> Response:
        database = self._house.database
        counts = queries.lane_counts(database, status=_UNSETTLED)
        return page(
            "list.html",
            focus=queries.incidents(database, lane=Lane.FOCUS, status=_UNSETTLED),
            backlog=queries.incidents(database, lane=Lane.BACKLOG, status=_UNSETTLED),
            noise=counts.get(Lane.NOISE, 0),
            total=sum(counts.values()),
            projects=queries.projects(database),
        )

    def _noise(self, request: Request) -> Response:
        rows = queries.incidents(self._house.database, lane=Lane.NOISE, limit=_SHOWN_NOISE)
        return page("noise.html", rows=rows, shown=_SHOWN_NOISE)

    def _json(self, request: Request) -> Response:
        return JSONResponse(incident_json(self._house, self._find(request).id))

    def _markdown(self, request: Request) -> Response:
        text = incident_markdown(incident_view(self._house, self._find(request)))
        return Response(text, media_type="text/markdown")

    def _incident(self, request: Request) -> Response:
        database = self._house.database
        incident = self._find(request)
        events = queries.events(database, incident.id, limit=1)
        triage = queries.triage(database, incident.id)
        attempt = queries.latest_attempt(database, incident.id)
        values = incident_json(self._house, incident.id)
        return page(
            "incident.html",
            incident=incident,
            values=values,
            answer=answer(incident, attempt),
            triage=triage,
            attempt=attempt,
            event=events[0] if events else None,
            occurrences=queries.occurrences(database, incident.id)[-_SHOWN_EVENTS:][::-1],
            diffs={
                repo: diff_files(diff)
                for repo, diff in (attempt.patch.diffs if attempt and attempt.patch else {}).items()
            },
            hunks=diff_files,
            proposals=labels.pending(database, incident.id),
        )

    def _label(self, request: Request) -> Response:
        """A person's word on what an assistant said of an incident; the answer leads back to its page."""
        only_own_forms(request.headers)
        incident = self._find(request)
        confirmed = request.query_params.get("word") == "confirm"
        labels.decide(self._house.database, incident.id, OPERATOR.name, confirmed=confirmed)
        return RedirectResponse(f"/incidents/{incident.id}", status_code=303)

    def _find(self, request: Request) -> Incident:
        return queries.incident(self._house.database, request.path_params["ref"])
