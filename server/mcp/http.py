"""MCP over HTTP: `/mcp` and `/mcp/readonly`, for whoever shows a token: one of the command line, or one that a person
let an assistant have. The SDK is imported here, so this module is imported when an application is made and not before.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import metadata
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from anyio import to_thread
from mcp.server.mcpserver import RequestStateSecurity
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from server.access import NotInScope, authenticate, seen_by
from server.http.addresses import LOOPBACK, origin
from server.http.answers import NoKey, refusal
from server.ingest.senders import bearer_key
from server.intake.redaction import redaction_key
from server.mcp.tools import PRINCIPAL, make_server
from server.moments import Clock, utc_now
from server.oauth.bearer import LARGEST, granted, is_granted, missing_scope
from server.oauth.metadata import AUDIENCES, RESOURCE
from server.policy import Principal
from store import people
from store.errors import NightdeskError

if TYPE_CHECKING:
    from server.config import Config
    from server.house import House

_HOW = (
    "Nobody is logged in here. An assistant that knows OAuth logs in by itself: in Claude Code `/mcp`, in Codex "
    "`codex mcp login`. Any other sends Authorization: Bearer with a token of `nightdesk token create`."
)
PATHS = {"/mcp": False, "/mcp/readonly": True}  # path -> only the reading tools


class McpDoors:
    """Both doors over one house. They answer between entering and leaving `running`, once."""

    def __init__(self, house: House, clock: Clock = utc_now) -> None:
        self._doors = {path: _Door(house, path, clock) for path in PATHS}

    def routes(self) -> list[BaseRoute]:
        """The doors."""
        return [Route(path, door) for path, door in self._doors.items()]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """As long as the application lives."""
        async with AsyncExitStack() as stack:
            for door in self._doors.values():
                await stack.enter_async_context(door.sessions.run())
            yield


class _Door:
    """One address: whoever has no token is told where to read how to get one."""

    def __init__(self, house: House, path: str, clock: Clock) -> None:
        self._house = house
        self._path = path
        self._clock = clock
        server = make_server(
            lambda: house,
            read_only=PATHS[path],
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
            principal = await to_thread.run_sync(self._admit, request)
            scope[PRINCIPAL] = principal
            if principal.granted and not set(AUDIENCES[self._path]) <= (principal.scopes or frozenset()):
                receive = await self._within_scope(principal, receive)
        except NightdeskError as error:
            await self._refused(error, request)(scope, receive, send)
            return
        await self.sessions.handle_request(scope, receive, send)

    def _admit(self, request: Request) -> Principal:
        token = bearer_key(request.headers) or ""
        if not token:
            raise NoKey(_HOW)
        if is_granted(token):
            principal = granted(self._house, token, self._path, self._clock())
        else:
            principal = authenticate(self._house, request.headers)
        seen_by(principal, self._house)
        return principal

    async def _within_scope(self, principal: Principal, receive: Receive) -> Receive:
        """What is left to receive, once the message was looked into. Raises NotInScope for one that takes a scope
        which a person could still grant: an assistant that is told so by the challenge can ask them."""
        messages, size = [], 0
        while size <= LARGEST:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                break
        body = b"".join(message.get("body", b"") for message in messages)
        scope = missing_scope(principal, body) if size <= LARGEST else None
        if scope is not None:
            wanted = " ".join(sorted({*(principal.scopes or ()), scope}))
            sentence = f"This access does not include {scope}; connect the assistant again and tick it."
            raise _NotGranted(sentence, scope, wanted)
        left = iter(messages)

        async def again() -> Message:
            return next(left, None) or await receive()

        return again

    def _refused(self, error: NightdeskError, request: Request) -> Response:
        """The answer to whoever is not let in, with the challenge of RFC 6750."""
        answer = refusal(error)
        described = origin(self._house.config, request.headers) + RESOURCE + self._path
        challenge = {
            "resource_metadata": described
        }  # and no scope: the person is to see all that can be ticked
        if isinstance(error, NotInScope):
            wanted = error.wanted if isinstance(error, _NotGranted) else error.scope.value
            challenge = {"error": "insufficient_scope", **challenge, "scope": wanted}
        elif isinstance(error, NoKey) and bearer_key(request.headers):
            challenge = {"error": "invalid_token", **challenge}
        if answer.status_code in {401, 403}:
            challenge |= {"error_description": _quotable(str(error))} if "error" in challenge else {}
            fields = ", ".join(f'{name}="{value}"' for name, value in challenge.items())
            answer.headers["WWW-Authenticate"] = f"Bearer {fields}"
        return answer


class _NotGranted(NotInScope):
    """A person can be asked for `wanted`: what they have granted, and what it takes."""

    def __init__(self, message: str, scope: people.Scope, wanted: str) -> None:
        super().__init__(message, scope)
        self.wanted = wanted


def _quotable(text: str) -> str:
    """Text as it may stand between quotes in a header (RFC 6750, 3)."""
    return text.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "/")


def shared_keys(house: House) -> RequestStateSecurity:
    """What a client carries from one request to the next is sealed by a key that every process on this folder has:
    the second request may come to another one."""
    key = hmac.new(redaction_key(house.config.data), b"nightdesk mcp request state", hashlib.sha256)
    return RequestStateSecurity(keys=[key.digest()])


def trusted_names(config: Config) -> TransportSecuritySettings:
    """Under which names a request may come: loopback's, and the one that is configured. A web site that points
    a name of its own here is refused."""
    address = urlsplit(config.address)
    return TransportSecuritySettings(
        allowed_hosts=[*LOOPBACK, *(f"{host}:*" for host in LOOPBACK), address.netloc],
        allowed_origins=[
            *(f"http://{host}" for host in LOOPBACK),
            *(f"http://{host}:*" for host in LOOPBACK),
            f"{address.scheme}://{address.netloc}",
        ],
    )
