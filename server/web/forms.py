"""Pages with forms: reachable by name only where the name is ours, run in a thread, one sentence where something is
refused. Who may see them is for each to ask: unlike the other pages they are there for other machines too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from server.config import Config
from server.http.addresses import only_trusted
from server.http.answers import status_of
from server.web.rendering import page
from server.web.sessions import FORM_HEADERS, form_fields
from store.errors import NightdeskError

Fields = Sequence[tuple[str, str]]
Work = Callable[[Request, Fields], Response]


def form_page(config: Config, work: Work) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that does `work` with the fields of the form that was sent; none where none was."""

    async def endpoint(request: Request) -> Response:
        try:
            only_trusted(request.headers, config)
            fields = await form_fields(request) if request.method == "POST" else []
            return await to_thread.run_sync(work, request, fields)
        except NightdeskError as error:
            return page("error.html", status=status_of(error), headers=FORM_HEADERS, sentence=str(error))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it

    return endpoint
