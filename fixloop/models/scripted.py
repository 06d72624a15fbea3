"""A model that says what it was told to: for tests, and to try a role without a key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fixloop.models import Exchange, Record
from store.errors import Unavailable

Line = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Scripted:
    """Answers in order; a line may be a function of the request. Raises Unavailable where the script has ended."""

    name = "scripted"

    def __init__(self, script: Sequence[Line]) -> None:
        self._script = list(script)

    @property
    def left(self) -> int:
        """Lines that nobody has asked for: a script that is not used up has told another story."""
        return len(self._script)

    def ask(self, body: Mapping[str, Any], *, seconds: float, record: Record) -> dict[str, Any]:
        """See `Model`."""
        sent, now = json.dumps(body, sort_keys=True).encode(), datetime.now(UTC)
        if not self._script:
            record(Exchange(now, sent, None, b"the script has ended", 0.0))
            raise Unavailable("The script of the model has ended, and it is asked once more")
        line = self._script.pop(0)
        message = dict(line(body) if callable(line) else line)
        record(Exchange(now, sent, 200, json.dumps(message).encode(), 0.0))
        return message
