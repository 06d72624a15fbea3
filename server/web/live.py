"""Pages that keep themselves up to date: one stream of server-sent events each.

What is sent is the whole changing part of the page, drawn anew, whenever the journal has news of what it shows; the
browser lays it over what is there and leaves alone what is the same. The id of each is how far the journal had been
read: whoever comes back with it as `Last-Event-ID` is told at once if anything has happened since. A page begins where
the journal stood before it was drawn (`since` in the address of its stream), so nothing falls in between.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from server.http.answers import status_of
from server.http.ending import Ending
from server.web import news
from server.web.rendering import fragment
from server.web.visiting import Doorman, Visit
from store.errors import NightdeskError

if TYPE_CHECKING:
    from server.house import House

log = logging.getLogger("nightdesk.live")

LOOK = 1.0  # seconds between two looks at the journal, a few look-ups by primary key each
BEAT = 15.0  # seconds after which a sign of life is sent
LONGEST = (
    300.0  # seconds after which a stream ends and the browser comes back: who may see what is asked anew
)

Parts = Callable[[Visit], dict[str, Any]]
About = Callable[[Visit], str | None]  # the id of the one incident that a page is about; None: any


class Live:
    """The streams over one house."""

    def __init__(self, house: House, doorman: Doorman, ending: Ending) -> None:
        self._house = house
        self._doorman = doorman
        self._ending = ending

    def stream(
        self, template: str, parts: Parts, about: About = lambda visit: None
    ) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that streams a part of a page."""

        async def endpoint(request: Request) -> Response:
            try:
                visit = await to_thread.run_sync(self._doorman.visit, request)
                incident_id = None if visit is None else await to_thread.run_sync(about, visit)
            except NightdeskError as error:
                return PlainTextResponse(str(error), status_code=status_of(error))
            if visit is None:
                return PlainTextResponse("Log in first.", status_code=401)
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            told = self._told(visit, template, parts, incident_id)
            return StreamingResponse(told, media_type="text/event-stream", headers=headers)

        return endpoint

    async def _told(
        self, visit: Visit, template: str, parts: Parts, incident_id: str | None
    ) -> AsyncIterator[str]:
        asked = visit.request
        known = news.read(asked.headers.get("last-event-id") or asked.query_params.get("since", ""))
        begun = last = monotonic()
        yield "retry: 1000\n\n"
        try:
            while monotonic() - begun < LONGEST:
                now, told = await to_thread.run_sync(news.look, visit.house, known, incident_id)
                if told:
                    text = await to_thread.run_sync(_drawn, visit, template, parts)
                    yield (
                        f"id: {news.written(now)}\n"
                        + "".join(f"data: {line}\n" for line in text.splitlines())
                        + "\n"
                    )
                    last = monotonic()
                elif monotonic() - last > BEAT:
                    yield ": here\n\n"
                    last = monotonic()
                known = now
                if await self._ending.within(LOOK):
                    return  # the browser comes back as soon as there is a server again
        except NightdeskError as error:  # what was shown has gone; the browser comes back and is told so
            log.info("A stream has ended: %s", error)


def _drawn(visit: Visit, template: str, parts: Parts) -> str:
    return fragment(template, visit=visit, **parts(visit))
