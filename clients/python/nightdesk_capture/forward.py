"""A second address: errors go where they went before, without capsules, and to Nightdesk, with them."""

from __future__ import annotations

import threading
from typing import Any, Dict

from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import make_transport

from nightdesk_capture.capsule import CONTENT_TYPE


class Forward:
    """Splits what a client's transport is given. One for each integration; safe for several threads."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._watched: "set[int]" = set()
        self._lock = threading.Lock()
        self.second: Any = None  # the transport to it, once there is one

    def watch(self, client: Any) -> None:
        """Have envelopes of this client pass through here, from now on."""
        transport = client.transport
        if transport is None or id(transport) in self._watched:
            return
        options: Dict[str, Any] = {**client.options, "dsn": self._dsn, "transport": None}
        second = make_transport(options)
        if second is None:
            return
        with self._lock:
            if id(transport) in self._watched:
                return
            self._watched.add(id(transport))
            self.second = second
            self._wrap(transport, second)

    def _wrap(self, first: Any, second: Any) -> None:
        send, flush, kill = first.capture_envelope, first.flush, first.kill

        def capture_envelope(envelope: Envelope) -> None:
            send(_without(envelope))
            try:
                if any(item.type == "event" for item in envelope.items):
                    headers = {name: value for name, value in envelope.headers.items() if name != "dsn"}
                    kept = [item for item in envelope.items if item.type == "event" or _is_capsule(item)]
                    second.capture_envelope(Envelope(headers=headers, items=kept))
            except Exception:  # the first address has it; the application must not hear of the second
                return

        def both(name: str, own: Any) -> Any:
            def call(*args: Any, **words: Any) -> Any:
                try:
                    getattr(second, name)(*args, **words)
                except Exception:  # as above
                    return own(*args, **words)
                return own(*args, **words)

            return call

        first.capture_envelope = capture_envelope
        first.flush, first.kill = both("flush", flush), both("kill", kill)


def _is_capsule(item: Any) -> bool:
    return bool(item.type == "attachment" and item.headers.get("content_type") == CONTENT_TYPE)


def _without(envelope: Envelope) -> Envelope:
    if not any(_is_capsule(item) for item in envelope.items):
        return envelope
    return Envelope(
        headers=envelope.headers, items=[item for item in envelope.items if not _is_capsule(item)]
    )
