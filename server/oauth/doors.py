"""Every route of the authorization server and of the login, over one house."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from server.http.addresses import origin
from server.moments import Clock
from server.oauth.consent import Consent
from server.oauth.fetching import Fetched, fetch
from server.oauth.granted import Granted
from server.oauth.knowing import Clients
from server.oauth.metadata import AUDIENCES, RESOURCE, SERVER, authorization_server, protected_resource
from server.oauth.tokens import TokenDoors
from server.web.login import LoginPages
from server.web.sessions import Sessions
from server.web.single_sign_on import SingleSignOn

if TYPE_CHECKING:
    from server.house import House


class OAuthDoors:
    """What programs read and call, and what people see on the way. All state is in the database."""

    def __init__(self, house: House, clock: Clock, fetching: Callable[[str], Fetched] = fetch) -> None:
        self._config = house.config
        sessions = Sessions(house, clock)
        self._rooms = (
            TokenDoors(house, clock),
            Consent(house, sessions, Clients(house, fetching), clock),
            Granted(house, sessions, clock),
            LoginPages(house, sessions, clock),
            SingleSignOn(house, sessions, clock),
        )

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        described = [Route(RESOURCE + path, self._resource) for path in ("", *AUDIENCES)]
        return [
            Route(SERVER, self._server),
            *described,
            *(one for room in self._rooms for one in room.routes()),
        ]

    async def _server(self, request: Request) -> Response:
        """RFC 8414."""
        return JSONResponse(authorization_server(origin(self._config, request.headers)))

    async def _resource(self, request: Request) -> Response:
        """RFC 9728."""
        path = request.url.path.removeprefix(RESOURCE) or "/mcp"
        return JSONResponse(protected_resource(origin(self._config, request.headers), path))
