"""A model that answers as it did before: out of a transcript, by the very request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fixloop.models import Exchange, Record
from store.errors import Unavailable


class Replay:
    """Answers each request of a recorded session once, whatever the order. One that was not recorded is refused: what
    is replayed is what happened, and nothing else."""

    name = "replay"

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._known: dict[str, list[bytes]] = {}
        for exchange in exchanges:
            if exchange.status == 200:
                self._known.setdefault(_key(exchange.sent), []).append(exchange.received)

    def ask(self, body: Mapping[str, Any], *, seconds: float, record: Record) -> dict[str, Any]:
        """See `Model`."""
        sent = json.dumps(body, sort_keys=True).encode()
        answers = self._known.get(_key(sent))
        if not answers:
            record(Exchange(datetime.now(UTC), sent, None, b"not recorded", 0.0))
            raise Unavailable("This request is not in the transcript that is replayed")
        received = answers.pop(0)
        record(Exchange(datetime.now(UTC), sent, 200, received, 0.0))
        message: dict[str, Any] = json.loads(received)
        return message


def _key(sent: bytes) -> str:
    """The request without regard to the order of its keys."""
    return json.dumps(json.loads(sent), sort_keys=True)
