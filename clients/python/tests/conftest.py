"""What several tests of the client need: a transport that keeps, and capsules of errors after some work."""

from __future__ import annotations

import gzip
import json
from typing import Any, Callable, Dict, Iterator, List

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
