"""MCP over HTTP: `/mcp` and `/mcp/readonly`, for whoever shows a token. The SDK is imported here, so this
module is imported when an application is made and not before."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from anyio import to_thread
from mcp.server.mcpserver import RequestStateSecurity
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from server.access import NotInScope, authenticate, seen_by
from server.answers import NoKey, refusal
from server.house import redaction_key
from server.mcp_tools import PRINCIPAL, make_server
from server.senders import bearer_key
from store import people
from store.errors import NightdeskError

if TYPE_CHECKING:
    from server.config import Config
    from server.house import House

PATHS = {"/mcp": False, "/mcp/readonly": True}  # path -> only the reading tools
METADATA = "/.well-known/oauth-protected-resource"


class McpDoors:
    """Both doors over one house. They answer between entering and leaving `running`, once."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._doors = {path: _Door(house, path, read_only) for path, read_only in PATHS.items()}

    def routes(self) -> list[BaseRoute]:
        """The doors, and what says how to be let in."""
        described = [Route(METADATA + path, self._metadata) for path in ("", *PATHS)]
        return [*(Route(path, door) for path, door in self._doors.items()), *described]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """As long as the application lives."""
        async with AsyncExitStack() as stack:
            for door in self._doors.values():
                await stack.enter_async_context(door.sessions.run())
            yield

    async def _metadata(self, request: Request) -> Response:
        """RFC 9728, without an authorization server: tokens are made at the command line."""
        path = request.url.path.removeprefix(METADATA) or "/mcp"
        return JSONResponse(
            {
                "resource": self._house.config.address + path,
                "resource_name": "Nightdesk",
                "scopes_supported": [scope.value for scope in people.Scope],
                "bearer_methods_supported": ["header"],
            }
        )


class _Door:
    """One address: whoever has no token is told where to read how to get one."""

    def __init__(self, house: House, path: str, read_only: bool) -> None:
        self._house = house
        self._metadata = house.config.address + METADATA + path
        server = make_server(
            lambda: house,
            read_only=read_only,
            version=metadata.version("nightdesk"),
            security=shared_keys(house),
        )
        server.streamable_http_app(
            stateless_http=True, transport_security=trusted_names(house.config),
            max_request_body_size=house.config.max_body,  # so that a patch that is too large is refused by the judge
        )  # fmt: skip
        self.sessions: StreamableHTTPSessionManager = server.session_manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with whoever sent it; 401 or 403, with a challenge, for those not let in."""
        request = Request(scope)
        try:
            scope[PRINCIPAL] = await to_thread.run_sync(self._admit, request)
        except NightdeskError as error:
            await self._refused(error, request)(scope, receive, send)
            return
        await self.sessions.handle_request(scope, receive, send)

    def _admit(self, request: Request) -> Any:
        principal = authenticate(self._house, request.headers)
        seen_by(principal, self._house)
        return principal

    def _refused(self, error: NightdeskError, request: Request) -> Response:
        """The answer to whoever is not let in, with the challenge of RFC 6750."""
        answer = refusal(error)
        challenge = {"resource_metadata": self._metadata, "scope": people.Scope.READ.value}
        if isinstance(error, NotInScope):
            challenge = {"error": "insufficient_scope", **challenge, "scope": error.scope.value}
        elif isinstance(error, NoKey) and bearer_key(request.headers):
            challenge = {"error": "invalid_token", **challenge}
        if answer.status_code in {401, 403}:
            fields = ", ".join(f'{name}="{value}"' for name, value in challenge.items())
            answer.headers["WWW-Authenticate"] = f"Bearer {fields}"
        return answer


def shared_keys(house: House) -> RequestStateSecurity:
    """What a client carries from one request to the next is sealed by a key that every process on this folder has:
    the second request may come to another one."""
    key = hmac.new(redaction_key(house.config.data), b"nightdesk mcp request state", hashlib.sha256)
    return RequestStateSecurity(keys=[key.digest()])


def trusted_names(config: Config) -> TransportSecuritySettings:
    """Under which names a request may come: loopback's, and the one that is configured. A web site that points
    a name of its own here is refused."""
    hosts = ["127.0.0.1", "localhost", "[::1]"]
    address = urlsplit(config.address)
    return TransportSecuritySettings(
        allowed_hosts=[*hosts, *(f"{host}:*" for host in hosts), address.netloc],
        allowed_origins=[
            *(f"http://{host}" for host in hosts),
            *(f"http://{host}:*" for host in hosts),
            f"{address.scheme}://{address.netloc}",
        ],
    )
