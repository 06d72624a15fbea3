"""What several tests of the client need: a transport that keeps, capsules of errors after some work, another service."""

from __future__ import annotations

import gzip
import http.server
import json
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from nightdesk_capture import NightdeskCapture, hooks


class Kept(Transport):
    """Keeps what it is given."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.envelopes: List[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    def capsules(self) -> List[Dict[str, Any]]:
        """The capsules that came."""
        return [
            json.loads(gzip.decompress(item.payload.get_bytes()))
            for envelope in self.envelopes
            for item in envelope.items
            if item.type == "attachment"
        ]


@pytest.fixture
def hooked() -> Iterator[Callable[..., Kept]]:
    """Sets the client up and gives the transport that keeps what is sent; afterwards there is no hook left."""

    def set_up(*others: Any, sampled: float = 0.0, **settings: Any) -> Kept:
        transport = Kept()
        sentry_sdk.init(
            dsn="http://key@localhost/1", transport=transport, traces_sample_rate=sampled, default_integrations=False,
            auto_enabling_integrations=False, integrations=[NightdeskCapture(**{"seconds": 10, **settings}), *others],
        )  # fmt: skip
        return transport

    yield set_up
    hooks.remove()
    sentry_sdk.get_client().close()
    sentry_sdk.init(default_integrations=False, auto_enabling_integrations=False)


@pytest.fixture
def capsule_of(hooked: Callable[..., Kept]) -> Callable[..., Dict[str, Any]]:
    """The capsule of an error after some work, in a request of its own."""

    def made(work: Callable[[], Any], **settings: Any) -> Dict[str, Any]:
        transport = hooked(**settings)
        with sentry_sdk.isolation_scope():
            try:
                work()
                raise LookupError("afterwards")
            except LookupError:
                sentry_sdk.capture_exception()
        (found,) = transport.capsules()
        return found

    return made


@pytest.fixture
def kept() -> Callable[..., Kept]:
    """A transport of its own, for a second address."""
    return Kept


@pytest.fixture
def start() -> Iterator[Callable[..., Kept]]:
    """Set the SDK up as an application does; afterwards it is off again."""

    def begin(chosen: Optional[NightdeskCapture] = None, **options: Any) -> Kept:
        transport = Kept()
        integrations = [chosen or NightdeskCapture(seconds=5)]
        sentry_sdk.init(dsn="http://key@localhost/1", transport=transport, integrations=integrations,
                        default_integrations=False,
            auto_enabling_integrations=False, **options)  # fmt: skip
        return transport

    yield begin
    sentry_sdk.get_client().close()
    sentry_sdk.init(default_integrations=False, auto_enabling_integrations=False)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """Another service on a port of its own."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/stock")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = (
                b"x" * 600_000
                if self.path == "/large"
                else b'{"sku": "A-7", "left": null, "password": "hunter2x"}'
            )
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: Any) -> None:
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)
