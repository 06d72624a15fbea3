"""Where a model's words come from: a port of one method. What is asked is the body of a Messages API request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class Exchange:
    """One request as it went out, byte for byte, and what came back. `status` None: no answer at all."""

    at: datetime
    sent: bytes
    status: int | None
    received: bytes
    took: float  # seconds


Record = Callable[[Exchange], None]


class Model(Protocol):
    """Entry-point group `nightdesk.models`; made without arguments from the environment it is configured in."""

    name: str

    def ask(self, body: Mapping[str, Any], *, seconds: float, record: Record) -> dict[str, Any]:
        """The message that answers, as the API words it. Every attempt is recorded before anything else is done
        with it. Ends within `seconds`. Raises Unavailable where no answer can be had in that time."""
        ...
