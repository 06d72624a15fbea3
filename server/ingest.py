"""The door for senders: take, authenticate, bound, parse, keep, answer. 200 is said only after the commit."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.answers import Full, NoKey, refusal
from server.bodies import Incoming, inflate
from server.house import House, needs_triage
from server.parsing import own_events, sentry_events
from server.senders import bearer_key, check_signature, sentry_key
from store import queries
from store.errors import BadPayload, NightdeskError, NotAllowed
from store.event import Event, Trust
from store.project import Key, Project

log = logging.getLogger("nightdesk.ingest")

_THREADS = 8  # bodies that are parsed at the same time; the writer is one anyway
_UNKNOWN_SENDER = 1 << 20  # bytes of a body that are read before there is any key to check
_CORS = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "authorization, content-type, content-encoding, x-sentry-auth, "
    "x-requested-with, sentry-trace, baggage, x-nightdesk-signature",
    "Access-Control-Max-Age": "3600",
}

Parse = Callable[..., tuple[list[Event], str | None]]


@dataclass(frozen=True)
class Parcel:
    """A request that was read to its end, not yet looked at."""

    project: str
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes  # as sent

    def inflated(self, limit: int) -> bytes:
        """The body without its encoding. Raises BadPayload, OverLimit."""
        return inflate(self.body, self.headers.get("content-encoding", ""), limit)


class Ingest:
    """The routes for senders. `on_change` is given the incidents that want triage, once they are kept."""

    def __init__(self, house: House, on_change: Callable[[Iterable[str]], None]) -> None:
        self._house = house
        self._on_change = on_change
        self._threads = CapacityLimiter(_THREADS)
        self._inside = 0

    def routes(self) -> list[Route]:
        """Every address that senders use."""
        return [
            Route("/api/{project}/envelope/", self._door(self._sentry), methods=["POST", "OPTIONS"]),
            Route("/api/{project}/store/", self._door(self._sentry), methods=["POST", "OPTIONS"]),
            Route("/ingest/{project}", self._door(self._own), methods=["POST", "OPTIONS"]),
        ]

    def _door(self, accept: Callable[[Parcel], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that reads a bounded body and has it accepted in a thread; what is wrong is said."""

        async def endpoint(request: Request) -> Response:
            try:
                return await answered(request)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it

        async def answered(request: Request) -> Response:
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=_PREFLIGHT)
            incoming = Incoming(request.receive)
            self._inside += 1
            try:
                parcel = await self._take(request, incoming)
                accepted = await to_thread.run_sync(accept, parcel, limiter=self._threads)
                answer: Response = JSONResponse(accepted)
            except NightdeskError as error:
                await incoming.drain(self._house.config.max_body)
                answer = refusal(error)
            finally:
                self._inside -= 1
            answer.headers.update(_CORS)
            return answer

        return endpoint

    async def _take(self, request: Request, incoming: Incoming) -> Parcel:
        """Read the request. A key in its head is checked first: strangers cannot make us hold much."""
        if self._inside > self._house.config.max_waiting:
            raise Full("Too many requests at the same time; send this one again in a few seconds.")
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = dict(request.query_params)
        limit = self._house.config.max_body
        if secret := sentry_key(headers, query) or bearer_key(headers):
            await to_thread.run_sync(self._key, secret, limiter=self._threads)
        elif "x-nightdesk-signature" not in headers:
            limit = min(limit, _UNKNOWN_SENDER)
        body = await incoming.read(limit)
        return Parcel(request.path_params["project"], headers, query, body)

    def _sentry(self, parcel: Parcel) -> dict[str, Any]:
        """An envelope or a bare event from a Sentry SDK; the answer is the event's id."""
        body = parcel.inflated(self._house.config.max_inflated)
        secret = sentry_key(parcel.headers, parcel.query, body)
        if not secret:
            raise NoKey(
                "No key came with this event: send the DSN's key in X-Sentry-Auth or as ?sentry_key=."
            )
        key = self._key(secret)
        project = self._project(parcel.project, key)
        events, event_id = _parsed(sentry_events, body, parcel.headers, project.name)
        self._keep(events, key)
        return {"id": event_id} if event_id else {}

    def _own(self, parcel: Parcel) -> dict[str, Any]:
        """JSON or log text from an application's own error handler."""
        key = self._own_key(parcel)
        project = self._project(parcel.project, key)
        body = parcel.inflated(self._house.config.max_inflated)
        events, event_id = _parsed(own_events, body, parcel.headers, project.name)
        self._keep(events, key)
        return {"id": event_id, "ids": [event.event_id for event in events]}

    def _own_key(self, parcel: Parcel) -> Key:
        secret = bearer_key(parcel.headers)
        if secret:
            return self._key(secret)
        if signature := parcel.headers.get("x-nightdesk-signature"):
            project = queries.project(self._house.database, parcel.project)
            usable = [
                key
                for key in queries.keys(self._house.database, project.name)
                if not key.public and key.usable(datetime.now(UTC))
            ]
            made_with = check_signature(signature, parcel.body, [key.key for key in usable], time.time())
            return next(key for key in usable if key.key == made_with)
        raise NoKey("No key came with this: send Authorization: Bearer KEY, or X-Nightdesk-Signature.")

    def _key(self, secret: str) -> Key:
        key = queries.key(self._house.database, secret)
        if key is None:
            raise NotAllowed(
                "This key is not known here or was revoked; `nightdesk key list` shows the ones in use."
            )
        return key

    def _project(self, ref: str, key: Key) -> Project:
        project = queries.project(self._house.database, ref)
        if project.name != key.project:
            raise NotAllowed("This key belongs to another project; take the DSN of this one.")
        return project

    def _keep(self, events: list[Event], key: Key) -> None:
        trust = Trust.PUBLIC if key.public else Trust.SIGNED
        recorded = self._house.keep(event.model_copy(update={"trust": trust}) for event in events)
        self._on_change(needs_triage(recorded))


def _parsed(
    parse: Parse, body: bytes, headers: dict[str, str], project: str
) -> tuple[list[Event], str | None]:
    """Events of a body. Whatever a body makes a parser raise is the sender's mistake, and a log line."""
    try:
        return parse(body, headers, project=project, received_at=datetime.now(UTC))
    except NightdeskError:
        raise
    except Exception as error:
        log.exception("A body of %d bytes made the parser fail.", len(body))
        raise BadPayload("The body cannot be read as events; it is not what its address expects.") from error
