"""How many requests went well and how many did not, and what the bodies of some of them looked like: counts only.

Off unless the application asks for it. A request is counted when its answer begins, in the SDK's own middlewares of
WSGI and ASGI, under the name that the SDK gives its endpoint. Of bodies that the framework has read already the names
of their fields are counted, of what kind each is and how long, never a value; once a second for each endpoint at most.
What was counted goes once a minute, and with each error, as one item of an envelope.
"""

from __future__ import annotations

import json
import os
import threading
import time
from types import FunctionType
from typing import Any, Callable, Dict, Iterator, List, Tuple
from weakref import ReferenceType

from sentry_sdk import scope as scopes
from sentry_sdk.envelope import Envelope, Item, PayloadRef

from nightdesk_capture.entry import body_of
from nightdesk_capture.exchanges import Wrap
from nightdesk_capture.rules.capsule_walk import CapsuleRedactor
from nightdesk_capture.rules.field_shapes import walk

ITEM = "nightdesk_counts"
EVERY = 60.0  # seconds between two items, and …
SOON = 5.0  # … where an error is sent beside it
LOOKED_AT = 1.0  # seconds between two bodies of one endpoint
ENDPOINTS = 300  # that are told apart; what is beyond is counted without a name
SHAPES = 300  # that are told apart until they are sent
BODY = 64 * 1024  # bytes of one that is read
Shape = Tuple[Tuple[str, str], ...]


class Counts:
    """Of one process. `denies` says whether nothing is to be said of a name."""

    def __init__(self) -> None:
        self.denies: Callable[[str], bool] = lambda name: False
        self.send: Callable[[Dict[str, Any]], None] = lambda told: None
        self._lock = threading.Lock()
        self._requests: Dict[Tuple[str, int], List[int]] = {}
        self._payloads: Dict[Tuple[str, int, Shape], int] = {}
        self._looked: Dict[str, float] = {}
        self._sent = time.monotonic()

    def ended(self, status: int) -> None:
        """A request is answered with this status."""
        scope = scopes.Scope.get_isolation_scope()
        endpoint, now = _endpoint(scope), time.monotonic()
        with self._lock:
            if endpoint not in self._looked and len(self._looked) >= ENDPOINTS:
                endpoint = ""
            is_looked_at = (
                bool(endpoint) and status < 400 and now - self._looked.get(endpoint, -1e9) >= LOOKED_AT
            )
            if is_looked_at:
                self._looked[endpoint] = now
            place = self._requests.setdefault((endpoint, int(time.time()) // 60 * 60), [0, 0])
            place[status >= 500] += 1
        if is_looked_at:
            self._look(endpoint, scope)
        if now - self._sent >= EVERY:
            self.tell(EVERY)

    def tell(self, every: float = SOON) -> None:
        """Send what was counted, where the last time is so many seconds ago."""
        with self._lock:
            if not self._requests or time.monotonic() - self._sent < every:
                return
            self._sent = time.monotonic()
            requests, self._requests = self._requests, {}
            payloads, self._payloads = self._payloads, {}
        self.send({
            "version": 1,
            "requests": [[endpoint, at, *numbers] for (endpoint, at), numbers in requests.items()],
            "payloads": [[endpoint, at, [list(pair) for pair in shape], number]
                         for (endpoint, at, shape), number in payloads.items()],
        })  # fmt: skip

    def _look(self, endpoint: str, scope: Any) -> None:
        found: List[Tuple[str, str]] = []
        body = next(_bodies(scope), None)
        if type(body) is not bytes or len(body) > BODY or body.lstrip()[:1] not in (b"{", b"["):
            return
        walk("body", json.loads(body), found)
        shape = tuple(pair for pair in found if not any(map(self.denies, pair[0].split("."))))
        with self._lock:
            key = (endpoint, int(time.time()) // 3600 * 3600, shape)
            if key in self._payloads or len(self._payloads) < SHAPES:
                self._payloads[key] = self._payloads.get(key, 0) + 1


COUNTS_OF_THE_PROCESS = Counts()


def _fresh() -> None:
    """A process that was forked has counted nothing, and a lock that another thread held is never freed."""
    counts = COUNTS_OF_THE_PROCESS
    fresh = Counts()
    fresh.denies, fresh.send = counts.denies, counts.send
    counts.__dict__.update(vars(fresh))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh)


def _endpoint(isolated: Any) -> str:
    """The name that the SDK has for the endpoint; "" where it is only the address, which may say anything."""
    for scope in (scopes.Scope.get_current_scope(), isolated):
        if scope._transaction:
            return "" if scope._transaction_info.get("source") == "url" else str(scope._transaction)[:200]
    return ""


def _bodies(scope: Any) -> Iterator[Any]:
    """Bodies that the framework has read: its request is in what the SDK has put onto the scope for its reports."""
    for processor in list(scope._event_processors):
        if type(processor) is FunctionType and processor.__module__.startswith("sentry_sdk."):
            for cell in processor.__closure__ or ():
                held = cell.cell_contents
                body = body_of(held() if type(held) is ReferenceType else held)
                if body:
                    yield body


def item_of(told: Dict[str, Any], redactor: CapsuleRedactor) -> Envelope:
    """The envelope of what was counted. It has names only, and those may be people too."""
    clean, _ = redactor.redact({"cut": told})
    payload = json.dumps(clean["cut"], separators=(",", ":")).encode()
    item = Item(payload=PayloadRef(bytes=payload), headers={"content_type": "application/json"}, type=ITEM)
    return Envelope(items=[item])


def hook_wsgi(module: Any, wrap: Wrap) -> None:
    """Where the SDK's middleware of WSGI begins an answer."""

    def starting(start: Any) -> Any:
        def hooked(old: Any, span: Any, status: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            try:
                COUNTS_OF_THE_PROCESS.ended(int(status[:3]))
            except Exception:  # the answer begins in any case
                return start(old, span, status, *args, **words)
            return start(old, span, status, *args, **words)

        return hooked

    wrap(module.integrations.wsgi, "_sentry_start_response", starting)


def hook_asgi(module: Any, wrap: Wrap) -> None:
    """Where the SDK's middleware of ASGI is given a way to answer; an application inside another is not asked again."""
    inside = module.integrations.asgi._asgi_middleware_applied

    def running(run: Any) -> Any:
        async def hooked(self: Any, scope: Any, receive: Any, send: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True

            async def sending(message: Any) -> Any:
                try:
                    if message["type"] == "http.response.start":
                        COUNTS_OF_THE_PROCESS.ended(message["status"])
                except Exception:  # the answer begins in any case
                    return await send(message)
                return await send(message)

            counted = send if inside.get(False) or scope["type"] != "http" else sending
            return await run(self, scope, receive, counted, *args, **words)

        return hooked

    wrap(module.integrations.asgi.SentryAsgiMiddleware, "_run_app", running)
