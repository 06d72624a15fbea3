"""How `/api/v1` is served: who asks, what they send, within bounds; every answer JSON, every refusal one shape."""

from __future__ import annotations

import logging
from importlib import metadata

from anyio import CapacityLimiter, fail_after, to_thread
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, compile_path
from starlette.types import Receive, Scope, Send

from server.access import NotInScope, authenticate, reached, seen_by
from server.api.endpoints import ENDPOINTS, LARGEST, Call, Endpoint
from server.api.openapi import PREFIX, description
from server.house import House
from server.http.answers import RETRY_AFTER, Full, status_of
from server.http.bodies import Incoming
from server.policy import Principal
from store.errors import BadPayload, NightdeskError

log = logging.getLogger("nightdesk.api")

SLOWEST = 30.0  # seconds in which a body has to be there
_THREADS = 8
_CODES = {
    400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
    408: "too_slow", 413: "too_large", 429: "too_many_requests", 500: "internal", 503: "unavailable",
}  # fmt: skip


class Api:
    """The ASGI application below `/api/v1`."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._table = [(compile_path(each.path)[0], each) for each in ENDPOINTS]
        self._threads = CapacityLimiter(_THREADS)
        self._inside = 0
        self._description = description(metadata.version("nightdesk"))

    def routes(self) -> list[BaseRoute]:
        """Where it hangs in the house's application."""
        return [Mount(PREFIX, self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            answer = await self._answered(request)
        except ClientDisconnect:
            return
        answer.headers["Cache-Control"] = "no-store"
        await answer(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        incoming = Incoming(request.receive)
        self._inside += 1
        try:
            return await self._routed(request, incoming)
        except NightdeskError as error:
            await incoming.drain(LARGEST)
            return refused(error)
        except TimeoutError:
            return error_answer(408, f"The body was not here within {SLOWEST:.0f} seconds.")
        finally:
            self._inside -= 1

    async def _routed(self, request: Request, incoming: Incoming) -> Response:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", "")) or "/"
        method = "GET" if request.method == "HEAD" else request.method
        if path == "/openapi.json" and method == "GET":
            return JSONResponse(self._description)
        matching = [(found, each) for pattern, each in self._table if (found := pattern.match(path))]
        if not matching:
            return error_answer(
                404, f"There is no such address; {PREFIX}/openapi.json names those there are."
            )
        here = [(found, each) for found, each in matching if each.method == method]
        if not here:
            answer = error_answer(405, "This address does not take this method.")
            answer.headers["Allow"] = ", ".join(sorted({each.method for _, each in matching}))
            return answer
        if self._inside > self._house.config.max_waiting:
            raise Full("Too many requests at the same time; send this one again in a few seconds.")
        found, endpoint = here[0]
        return await self._called(endpoint, found.groupdict(), request, incoming)

    async def _called(
        self, endpoint: Endpoint, path: dict[str, str], request: Request, incoming: Incoming
    ) -> Response:
        """Who asks comes first: the body of whoever may not is not read."""

        def admit() -> tuple[House, Principal]:
            principal = authenticate(self._house, request.headers)
            reached(principal, endpoint.action, self._house)
            return seen_by(principal, self._house), principal

        house, principal = await to_thread.run_sync(admit, limiter=self._threads)
        query = _fitting(endpoint.query, dict(request.query_params), "the query")
        body = await _body(endpoint, incoming) if endpoint.body else None
        call = Call(house, principal, path, query, body)
        return await to_thread.run_sync(_worked, endpoint, call, limiter=self._threads)


async def _body(endpoint: Endpoint, incoming: Incoming) -> BaseModel:
    """What was sent, as the endpoint's model; an empty body is an empty object. Raises BadPayload, OverLimit,
    TimeoutError."""
    with fail_after(SLOWEST):
        raw = await incoming.read(endpoint.largest)
    assert endpoint.body is not None  # noqa: S101 - asked by the caller
    try:
        return endpoint.body.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise BadPayload(_first(error, "the body")) from error


def _fitting(model: type[BaseModel], values: dict[str, str], what: str) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise BadPayload(_first(error, what)) from error


def _first(error: ValidationError, what: str) -> str:
    """The first complaint, by the name of the field and without what was sent."""
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part)[:40] for part in problem["loc"])
    said = problem["msg"][:300].rstrip(".")
    return (
        f"{place!r} in {what} does not fit: {said}."
        if place
        else f"{what.capitalize()} does not fit: {said}."
    )


def _worked(endpoint: Endpoint, call: Call) -> Response:
    try:
        answer = endpoint.work(call)
    except NightdeskError:
        raise
    except Exception:
        log.exception("%s %s failed.", endpoint.method, endpoint.path)
        return error_answer(500, "Nightdesk itself failed here, and its log says how.")
    return Response(answer.model_dump_json(), status_code=endpoint.status, media_type="application/json")


def refused(error: NightdeskError) -> Response:
    """The answer to an error of the house."""
    status = status_of(error)
    answer = error_answer(status, str(error))
    if isinstance(error, NotInScope):
        answer = error_answer(status, str(error), code="insufficient_scope")
        answer.headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{error.scope}"'
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if status in {429, 503}:
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer


def error_answer(status: int, message: str, code: str | None = None) -> Response:
    """`{"error": {"code", "message"}}`."""
    return JSONResponse({"error": {"code": code or _CODES[status], "message": message}}, status_code=status)
