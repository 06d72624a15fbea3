"""What the server asks for in its answers: more, for failures that it could not bring back."""

from __future__ import annotations

import time
from typing import Any

from nightdesk_capture.calls import CALLS_OF_THE_PROCESS
from nightdesk_capture.purse import PURSE_OF_THE_PROCESS

HEADER = "X-Nightdesk-Capture"  # of an answer: "more"
LASTS = 600.0  # seconds for which it is done as asked


class Asked:
    """Listens to the answers that a client's transport gets."""

    def __init__(self) -> None:
        self._until = 0.0
        self._heard: Any = None

    @property
    def more(self) -> bool:
        """Whether more is wanted now."""
        return time.monotonic() < self._until

    def listen(self, transport: Any) -> None:
        """Hear this transport's answers from now on."""
        if transport is None or transport is self._heard or not hasattr(transport, "_update_rate_limits"):
            return
        self._heard, update = transport, transport._update_rate_limits

        def updated(response: Any) -> Any:
            try:
                if str(response.headers.get(HEADER, "")).lower() == "more":
                    self._until = time.monotonic() + LASTS
                    CALLS_OF_THE_PROCESS.watch(LASTS)
                    PURSE_OF_THE_PROCESS.open(LASTS)
            except Exception:  # an answer of another sort
                return update(response)
            return update(response)

        transport._update_rate_limits = updated
