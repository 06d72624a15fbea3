"""Which errors come again and again, told by a glance before they are grouped.

A guess of this process, and nothing that was promised rests on it: where it is wrong, an event is redacted a little
earlier or later than it might have been.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from store.bodies import FIRST_BODIES
from store.event import Event
from store.recording import Recorded
from triage.outline import Sketch, sketched

REMEMBERED = 10_000  # errors


class Storms:
    """How many events the incident had in which an error was counted last. Safe to use from several threads."""

    def __init__(self) -> None:
        self._counts: dict[Sketch, int] = {}
        self._any = False
        self._lock = threading.Lock()

    @property
    def any(self) -> bool:
        """Whether anything rages: else nobody need look for it."""
        return self._any

    def rages(self, sketch: Sketch) -> bool:
        """Whether of such an error the first bodies are kept already. Never of what has no stack: there a glance does
        not tell one error from another."""
        return len(sketch) > 1 and self._counts.get(sketch, 0) > FIRST_BODIES

    def count(self, events: Sequence[Event], recorded: Sequence[Recorded]) -> None:
        """Learn what became of events."""
        with self._lock:
            if len(self._counts) > REMEMBERED:
                self._counts.clear()
                self._any = False
            for event, one in zip(events, recorded, strict=True):
                if one.number:
                    sketch = sketched(event)
                    self._counts[sketch] = one.number
                    self._any = self._any or self.rages(sketch)
