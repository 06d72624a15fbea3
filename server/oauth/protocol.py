"""How the endpoints that programs talk to read and answer: forms and JSON within a bound, errors by the protocol's
names with our own fixed sentences."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.config import Config
from server.http.addresses import only_trusted
from server.http.answers import RETRY_AFTER, Full
from server.http.bodies import Incoming
from store.errors import BadPayload, NightdeskError, OverLimit, Unavailable

LARGEST = 32 << 10  # bytes of a body
_UNSTORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}

Endpoint = Callable[[Request], Awaitable[Response]]


class Refused(BadPayload):
    """What a program asks for is refused, by a name of RFC 6749, 7009, 7591 or 8707."""

    def __init__(self, error: str, sentence: str) -> None:
        super().__init__(sentence)
        self.error = error


def answering(config: Config, work: Endpoint) -> Endpoint:
    """An endpoint under our own names whose refusals are JSON."""

    async def endpoint(request: Request) -> Response:
        try:
            only_trusted(request.headers, config)
            return await work(request)
        except NightdeskError as error:
            return refusal(error)

    return endpoint


def said(body: Mapping[str, Any], status: int = 200) -> Response:
    """JSON that nobody keeps."""
    return JSONResponse(body, status_code=status, headers=_UNSTORED)


def refusal(error: NightdeskError) -> Response:
    """The error as RFC 6749 (5.2) has it: 400 but for what is too large, too often, or not there right now."""
    name = error.error if isinstance(error, Refused) else "invalid_request"
    status = 400
    if isinstance(error, OverLimit):
        status = 429 if isinstance(error, Full) else 413
    elif isinstance(error, Unavailable):
        status, name = 503, "temporarily_unavailable"
    answer = said({"error": name, "error_description": str(error)}, status)
    if status in {429, 503}:
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer


async def body_of(request: Request, kind: str) -> bytes:
    """The body of a request that says it is `kind`. A page of another site can send that kind of JSON here only
    where its browser has asked us first. Raises Refused, OverLimit."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != kind:
        raise Refused("invalid_request", f"The body must be {kind}.")
    incoming = Incoming(request.receive)
    try:
        return await incoming.read(LARGEST)
    except OverLimit as error:
        await incoming.drain(1 << 20)
        raise OverLimit(f"The body is larger than {LARGEST} bytes.") from error


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form, each at most once. Raises Refused, OverLimit."""
    return fields_of(await body_of(request, "application/x-www-form-urlencoded"))


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of an encoded form, each at most once. Raises Refused."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=50, errors="strict")
    except ValueError as error:
        raise Refused("invalid_request", "The form cannot be read.") from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused("invalid_request", "The form has one field twice.")
    return dict(pairs)


async def object_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises Refused, OverLimit."""
    try:
        value = json.loads(await body_of(request, "application/json"))
    except (ValueError, RecursionError) as error:
        raise Refused("invalid_client_metadata", "The body is not JSON.") from error
    if not isinstance(value, dict):
        raise Refused("invalid_client_metadata", "The body is no JSON object.")
    return value
