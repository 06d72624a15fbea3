"""Senders before background work: while they come faster than they are answered, what can wait a little waits.

The threads of a process share one interpreter: a triage of fifty milliseconds keeps as many events waiting as could be
kept in that time. It gives way for seconds and never for good: a rush that does not end must not keep new errors from
being triaged.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

CALM = 0.25  # seconds without anybody who had to wait, after which a rush is over
PATIENCE = 5.0  # seconds that background work gives way for at most
_LOOK = 0.05  # seconds between two looks


class Rush:
    """Whether senders had to wait a moment ago, in this process. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = monotonic, wait: Callable[[float], None] = sleep) -> None:
        self._clock, self._wait = clock, wait
        self._last = -CALM - PATIENCE

    def waits(self) -> None:
        """A sender has to wait, because everybody who works for senders is busy."""
        self._last = self._clock()

    def on(self) -> bool:
        """Whether somebody had to wait just now."""
        return self._clock() - self._last < CALM

    def give_way(self, ended: Callable[[], bool] = lambda: False) -> None:
        """Return once the rush is over, or `ended` says so, or after `PATIENCE`."""
        until = self._clock() + PATIENCE
        while self.on() and self._clock() < until and not ended():
            self._wait(_LOOK)
