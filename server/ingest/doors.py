"""The door for senders: take, authenticate, bound, parse, keep, answer. 200 is said only after the commit."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias
from urllib.parse import parse_qsl

from anyio import to_thread
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from server.house import House, needs_triage
from server.http.answers import Full, NoKey, refusal
from server.http.bodies import Incoming, inflate
from server.ingest import forge_hooks
from server.ingest.asking import Asking
from server.ingest.keyring import Keyring
from server.ingest.line import Line
from server.ingest.quotas import Quotas, Room
from server.ingest.senders import bearer_key, check_signature, sentry_key
from server.ingest.sns import SnsSignatures
from server.ingest.vendor_doors import DOORS, HOOK, HOOKS, Door, any_key, hook_signature, signed_with
from server.intake.parsing import Told, named_events, own_events, sentry_events
from store import hosts, queries, recurring
from store.errors import BadPayload, NightdeskError, NotAllowed, NotFound
from store.event import Event, Over, Served, Trust
from store.project import Key, Project
from triage.formats.sentry_sessions import may_have_sessions, served_of
from triage.outline import Glimpse

log = logging.getLogger("nightdesk.ingest")

_THREADS = 2  # one reads bodies while the other waits for the disk
_AT_ONCE = 64  # bodies that are taken together, and share a commit
_LARGE = 64 << 10  # bytes of a body that waits in a line of its own, so that small ones need not wait for it
_UNKNOWN_SENDER = 1 << 20  # bytes of a body that are read before there is any key to check
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "retry-after, x-sentry-rate-limits",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_RAW_CORS = [(name.lower().encode(), value.encode()) for name, value in _CORS.items()]
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "authorization, content-type, content-encoding, x-sentry-auth, "
    "x-requested-with, sentry-trace, baggage, x-nightdesk-signature, x-nightdesk-key",
    "Access-Control-Max-Age": "3600",
}


@dataclass(frozen=True)
class Parcel:
    """A request that was read to its end, not yet looked at."""

    project: str
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes  # as sent
    source: str = ""  # of a webhook
    path: str = ""

    def inflated(self, limit: int) -> bytes:
        """The body without its encoding. Raises BadPayload, OverLimit."""
        return inflate(self.body, self.headers.get("content-encoding", ""), limit)


@dataclass(frozen=True)
class Taken:
    """The events of a parcel, not yet kept, and what its sender is answered once they are."""

    events: Sequence[Event | Glimpse]
    answer: Callable[[], Response]
    served: tuple[int, Sequence[Served]] | None = None  # requests that ended, of the project with this number
    over: tuple[Project, Sequence[Over]] | None = None  # alerts of a project that are over


Read: TypeAlias = Callable[[Parcel], Taken]


class Ingest:
    """The routes for senders. `on_change` is given the incidents that want triage, once they are kept."""

    def __init__(self, house: House, on_change: Callable[[Iterable[str]], None]) -> None:
        self._house = house
        self._on_change = on_change
        self._keyring = Keyring(house.database)
        shared = partial(hosts.add_sent, house.database)
        self._quotas = Quotas(house.config.quota, house.config.key_quota, shared)
        self._asking = Asking(house.database)
        self._sns = SnsSignatures()
        self._room = Room(house.config.data, house.config.min_free)
        waits = house.rush.waits
        self._small = Line(self._work, threads=_THREADS, at_once=_AT_ONCE, full=waits)
        self._large = Line(self._work, threads=_THREADS, at_once=1, full=waits)
        self._inside = 0

    def routes(self) -> list[Route]:
        """Every address that senders use."""
        return [
            Route("/api/{project}/envelope/", self._door(self._sentry), methods=["POST", "OPTIONS"]),
            Route("/api/{project}/store/", self._door(self._sentry), methods=["POST", "OPTIONS"]),
            Route("/ingest/{project}", self._door(self._own), methods=["POST", "OPTIONS"]),
            *(
                Route(
                    path, self._door(partial(self._vendor, door), door.refused), methods=["POST", "OPTIONS"]
                )
                for door in DOORS
                for path in (door.path, f"{door.path}/")
            ),
            Route(HOOK.path, self._door(self._hook, HOOK.refused), methods=["POST"]),
        ]

    def _door(
        self,
        read: Read,
        refused: Callable[[NightdeskError, Mapping[str, str]], Response] | None = None,
    ) -> ASGIApp:
        """An application that reads a bounded body and has it accepted in a thread; what is wrong is said, in the words
        of the sender's protocol where that has its own."""

        async def answered(scope: Scope, incoming: Incoming) -> Response:
            self._inside += 1
            try:
                parcel = await self._take(scope, incoming)
                line = self._large if len(parcel.body) > _LARGE else self._small
                return await line.through((read, parcel))
            except NightdeskError as error:
                await incoming.drain(self._house.config.max_body)
                return refused(error, _headers(scope)) if refused else refusal(error)
            finally:
                self._inside -= 1

        return _Door(answered)

    async def _take(self, scope: Scope, incoming: Incoming) -> Parcel:
        """Read the request. A key in its head is checked first: strangers cannot make us hold much."""
        if self._inside > self._house.config.max_waiting:
            raise Full("Too many requests at the same time; send this one again in a few seconds.")
        headers = _headers(scope)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        limit = self._house.config.max_body
        self._room.check()
        if secret := _key_in_head(headers, query):
            if self._keyring.at_hand():
                key = self._keyring.key(secret)
            else:
                key = await to_thread.run_sync(self._keyring.key, secret)
            self._quotas.check(key)
        elif "x-nightdesk-signature" not in headers:
            limit = min(limit, _UNKNOWN_SENDER)
        body = await incoming.read(limit)
        named = scope["path_params"]
        return Parcel(named.get("project", ""), headers, query, body, named.get("source", ""), scope["path"])

    def _work(self, waiting: Sequence[tuple[Read, Parcel]]) -> list[Response | BaseException]:
        """Read what several senders sent, keep it in one go, and answer each; what is wrong with one is its own."""
        self._keyring.make_sure()
        found: list[Taken | NightdeskError] = []
        for read, parcel in waiting:
            try:
                found.append(read(parcel))
            except NightdeskError as error:
                found.append(error)
        taken = [each for each in found if isinstance(each, Taken)]
        recorded = iter(self._house.keep_all([each.events for each in taken]))
        self._house.count_served([each.served for each in taken if each.served])
        answers: list[Response | BaseException] = []
        changed = [name for each in taken if each.over for name in self._house.end(*each.over)]
        for each in found:
            if isinstance(each, NightdeskError):
                answers.append(each)
                continue
            kept = next(recorded)
            if isinstance(kept, Exception):
                answers.append(kept)
            else:
                changed += needs_triage(kept)
                answers.append(each.answer())
        if changed:
            self._on_change(changed)
        return answers

    def _sentry(self, parcel: Parcel) -> Taken:
        """An envelope or a bare event from a Sentry SDK; the answer is the event's id."""
        body = parcel.inflated(self._house.config.max_inflated)
        secret = sentry_key(parcel.headers, parcel.query, body)
        if not secret:
            raise NoKey(
                "No key came with this event: send the DSN's key in X-Sentry-Auth or as ?sentry_key=."
            )
        key = self._keyring.key(secret)
        project = self._project(parcel.project, key)
        read = partial(sentry_events, rages=self._house.rages)
        told = _parsed(read, body, parcel.headers, project.name)
        if not key.public and may_have_sessions(body):
            rows = served_of(body, datetime.now(UTC))
            counted = [(one.release, one.environment, "", one.started, one.count) for one in rows]
            recurring.expose(self._house.database, project.id, counted)
        answer = {"id": told.event_id} if told.event_id else {}
        asked = self._asking.headers(project.name)
        events = [told.glimpse] if told.glimpse else told.events
        return self._taken(events, key, lambda: JSONResponse(answer, headers=asked), project, told.served)

    def _own(self, parcel: Parcel) -> Taken:
        """JSON or log text from an application's own error handler."""
        key = self._own_key(parcel)
        project = self._project(parcel.project, key)
        body = parcel.inflated(self._house.config.max_inflated)
        told = _parsed(own_events, body, parcel.headers, project.name)
        ids = [event.event_id for event in told.events]
        answer = {"id": told.event_id, "ids": ids} | ({"requests": len(told.served)} if told.served else {})
        return self._taken(told.events, key, lambda: JSONResponse(answer), project, told.served)

    def _vendor(self, door: Door, parcel: Parcel) -> Taken:
        """What the client of another tracker or an OpenTelemetry exporter posts; the key says the project."""
        body = parcel.inflated(self._house.config.max_inflated)
        secret = door.key(parcel.headers, parcel.query, body)
        if not secret:
            raise NoKey(f"No key came with this: send a project's key in {door.key_said}.")
        key = self._keyring.key(secret)
        headers = {**parcel.headers, "x-otlp-signal": "logs" if "logs" in parcel.path else "traces"}
        told = named_events(door.format, body, headers, project=key.project, received_at=datetime.now(UTC))
        return self._taken(told.events, key, lambda: door.accepted(told.events, parcel.headers))

    def _hook(self, parcel: Parcel) -> Taken:
        """What another service tells about itself, signed in its way or with a key of the project."""
        if parcel.source in forge_hooks.SOURCES:
            return self._forge(parcel)
        if parcel.source not in HOOKS:
            known = ", ".join(sorted([*HOOKS, *forge_hooks.SOURCES]))
            raise NotFound(f"There are no webhooks of {parcel.source[:40]!r}; known are {known}.")
        signatures = hook_signature(parcel.source, parcel.headers)
        if signatures:
            secrets = {key.key: key for key in self._secret_keys(parcel.project)}
            key = secrets[signed_with(signatures, parcel.body, list(secrets))]
        else:
            sent = HOOK.key(parcel.headers, parcel.query, parcel.body)
            if not sent:
                raise NoKey(f"No key came with this webhook: send {HOOK.key_said}.")
            key = self._keyring.key(sent)
        project = self._project(parcel.project, key)
        body = parcel.inflated(self._house.config.max_inflated)
        if parcel.source == "sns":
            self._sns.check(body)
        name = HOOKS[parcel.source]
        told = named_events(name, body, parcel.headers, project=project.name, received_at=datetime.now(UTC))
        taken = self._taken(told.events, key, lambda: HOOK.accepted(told.events, parcel.headers))
        return replace(taken, over=(project, told.over)) if told.over else taken

    def _forge(self, parcel: Parcel) -> Taken:
        """What a forge tells of drafts and deployments: signed, or with the secret, by a key that senders of events in
        the open do not have."""
        signatures = hook_signature(parcel.source, parcel.headers)
        token = parcel.headers.get("x-gitlab-token", "") if parcel.source == "gitlab" else ""
        usable = {key.key: key for key in self._secret_keys(parcel.project)}
        if signatures:
            key = usable[signed_with(signatures, parcel.body, list(usable))]
        elif token:
            key = self._keyring.key(token)
        else:
            raise NoKey("This webhook is not signed: give it a secret key of the project as its secret.")
        if key.public:
            raise NotAllowed("A public key cannot move incidents; give the webhook a secret one.")
        project = self._project(parcel.project, key)
        body = parcel.inflated(self._house.config.max_inflated)
        now = datetime.now(UTC)
        told = forge_hooks.take(self._house, project.name, parcel.source, parcel.headers, body, now)
        return Taken((), lambda: JSONResponse(told))

    def _secret_keys(self, ref: str) -> list[Key]:
        """The keys of a project that sign: those that nobody but the team knows."""
        project = queries.project(self._house.database, ref)
        now = datetime.now(UTC)
        every = queries.keys(self._house.database, project.name)
        return [key for key in every if not key.public and key.usable(now)]

    def _own_key(self, parcel: Parcel) -> Key:
        secret = bearer_key(parcel.headers)
        if secret:
            return self._keyring.key(secret)
        if signature := parcel.headers.get("x-nightdesk-signature"):
            usable = self._secret_keys(parcel.project)
            made_with = check_signature(signature, parcel.body, [key.key for key in usable], time.time())
            return next(key for key in usable if key.key == made_with)
        raise NoKey("No key came with this: send Authorization: Bearer KEY, or X-Nightdesk-Signature.")

    def _project(self, ref: str, key: Key) -> Project:
        project = self._keyring.project(ref)
        if project.name != key.project:
            raise NotAllowed("This key belongs to another project; take the DSN of this one.")
        return project

    def _taken(
        self,
        events: Sequence[Event | Glimpse],
        key: Key,
        answer: Callable[[], Response],
        project: Project | None = None,
        served: Sequence[Served] = (),
    ) -> Taken:
        """Events with the trust of the key that they came with, counted. Raises OverQuota."""
        self._quotas.take(key, len(events))
        if key.public:
            events = [_public(event) for event in events]
        return Taken(events, answer, (project.id, served) if project and served else None)


class _Door:
    """The ASGI application of one address. Starlette hands it what was asked as it is: its own requests and
    answers cost more than an event does."""

    def __init__(self, answered: Callable[[Scope, Incoming], Awaitable[Response]]) -> None:
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] == "OPTIONS":
            answer = Response(status_code=204, headers=_PREFLIGHT)
        else:
            try:
                answer = await self._answered(scope, Incoming(receive))
            except ClientDisconnect:
                answer = Response(status_code=400)  # nobody reads it
            answer.raw_headers += _RAW_CORS
        await answer(scope, receive, send)


def _public(one: Event | Glimpse) -> Event | Glimpse:
    """As anybody could have sent it who knows a public key."""
    if isinstance(one, Glimpse):
        brief, whole = one.event.model_copy(update={"trust": Trust.PUBLIC}), one.whole
        return Glimpse(brief, lambda: whole().model_copy(update={"trust": Trust.PUBLIC}))
    return one.model_copy(update={"trust": Trust.PUBLIC})


def _headers(scope: Scope) -> dict[str, str]:
    return {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _key_in_head(headers: dict[str, str], query: dict[str, str]) -> str | None:
    """A key that can be checked before the body is read."""
    vendors = (headers.get(name) for name in ("x-rollbar-access-token", "bugsnag-api-key", "x-api-key"))
    return sentry_key(headers, query) or next(filter(None, vendors), None) or any_key(headers, query, b"")


def _parsed(parse: Callable[..., Told], body: bytes, headers: dict[str, str], project: str) -> Told:
    """Events of a body. Whatever a body makes a parser raise is the sender's mistake, and a log line."""
    try:
        return parse(body, headers, project=project, received_at=datetime.now(UTC))
    except NightdeskError:
        raise
    except Exception as error:
        log.exception("A body of %d bytes made the parser fail.", len(body))
        raise BadPayload("The body cannot be read as events; it is not what its address expects.") from error
