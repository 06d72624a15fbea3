"""Stop the work of one thread from another: every sandbox that it has open dies, and it opens no more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopped(BaseException):
    """The work was stopped from outside. No `Exception`, and no result: nothing may take it for an outcome."""


class Stop:
    """Pulled once. `holding` is entered by the thread whose work it stops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kills: dict[int, Callable[[], None]] = {}
        self.pulled = False

    def pull(self) -> None:
        """Kill every child that is open, and refuse those that would follow. Safe from any thread, and twice."""
        with self._lock:
            self.pulled = True
            kills = list(self._kills.values())
        for kill in kills:
            kill()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """What this thread starts from here on is ended by this. Where it was pulled, Stopped is raised at the
        end too: what a killed child has answered is no result."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)
        if self.pulled:
            raise Stopped

    def add(self, child: object, kill: Callable[[], None]) -> None:
        """A child that was started; killed at once where it is too late."""
        with self._lock:
            self._kills[id(child)] = kill
            late = self.pulled
        if late:
            kill()

    def forget(self, child: object) -> None:
        """A child that has ended."""
        with self._lock:
            self._kills.pop(id(child), None)


_current: ContextVar[Stop | None] = ContextVar("nightdesk_stop", default=None)


def current() -> Stop | None:
    """What stops this thread's work, where anything does. Raises Stopped where it has."""
    stop = _current.get()
    if stop is not None and stop.pulled:
        raise Stopped
    return stop
