"""How much a sender may send: quotas for each project and key, protection against spikes, room on the disk.

Counted in memory, for each process and minute by the clock. Whoever is over is told so before the body is read, and
when to come back: nothing is taken and then dropped.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.http.answers import Full
from store.errors import Unavailable
from store.project import Key

SPIKE_FLOOR = 1000  # events a minute that are never called a spike
SPIKE_FACTOR = 20  # times what a public key usually sends in a minute
LOOK_AGAIN = 1.0  # seconds between two looks at the disk
_MEMORY = 0.9  # how much of the usual rate is kept from one minute to the next: ten minutes are remembered


class OverQuota(Full):
    """A project or a key has sent what it may; `wait` seconds later it may send again."""

    def __init__(self, message: str, wait: int, scope: str) -> None:
        super().__init__(message)
        self.wait, self.scope = wait, scope


class DiskFull(Unavailable):
    """There is so little room left that nothing more is taken."""


@dataclass
class _Count:
    """Events of one project or key: in this minute, and usually."""

    minute: int
    events: int = 0
    usual: float | None = None  # None: no minute has gone by yet

    def at(self, minute: int) -> _Count:
        """Moved on to a minute."""
        gone = min(minute - self.minute, 1000)
        if gone > 0:
            first = (
                float(self.events)
                if self.usual is None
                else self.usual * _MEMORY + self.events * (1 - _MEMORY)
            )
            self.minute, self.events, self.usual = minute, 0, first * _MEMORY ** (gone - 1)
        return self


class Quotas:
    """Safe to use from several threads. `quota` and `key_quota` are events a minute; 0 sets none."""

    def __init__(self, quota: int, key_quota: int, clock: Callable[[], float] = time.time) -> None:
        self._quota, self._key_quota, self._clock = quota, key_quota, clock
        self._counts: dict[tuple[str, str], _Count] = {}
        self._lock = threading.Lock()

    def check(self, key: Key, coming: int = 1) -> None:
        """Raise OverQuota where so many more events would be too many."""
        with self._lock:
            project, own = self._count("project", key.project), self._count("key", str(key.id))
        if self._quota and project.events + coming > self._quota:
            raise self._over(f"Project {key.project} may send {self._quota} events a minute", "project")
        if self._key_quota and own.events + coming > self._key_quota:
            raise self._over(f"A key may send {self._key_quota} events a minute", "key")
        if (
            key.public
            and own.usual is not None
            and own.events + coming > max(SPIKE_FLOOR, SPIKE_FACTOR * own.usual)
        ):
            said = f"This public key sends more than {SPIKE_FACTOR} times what it usually does"
            raise self._over(said, "key")

    def take(self, key: Key, events: int) -> None:
        """Count events that are about to be kept. Raises OverQuota, and counts none of them, where they are too many;
        those of one request go together, so a quota is never smaller than what a sender puts into one."""
        if not events:
            return
        self.check(key, min(events, self._smallest()))
        with self._lock:
            self._count("project", key.project).events += events
            self._count("key", str(key.id)).events += events

    def _smallest(self) -> int:
        """No request is refused for ever: one that is larger than a quota counts as all of it."""
        return min((each for each in (self._quota, self._key_quota) if each), default=SPIKE_FLOOR)

    def _count(self, kind: str, name: str) -> _Count:
        minute = int(self._clock() // 60)
        return self._counts.setdefault((kind, name), _Count(minute)).at(minute)

    def _over(self, said: str, scope: str) -> OverQuota:
        wait = 60 - int(self._clock()) % 60
        return OverQuota(f"{said}; send this again in {wait} seconds.", wait, scope)


class Room:
    """Whether the disk has room left for events. Looked at once a second."""

    def __init__(self, folder: Path, least: int) -> None:
        self._folder, self._least = folder, least
        self._looked, self._free = -LOOK_AGAIN, 0

    def check(self) -> None:
        """Raise DiskFull while less than `least` bytes are free: before writing fails, not after."""
        now = time.monotonic()
        if now - self._looked >= LOOK_AGAIN:
            self._looked, self._free = now, shutil.disk_usage(self._folder).free
        if self._free < self._least:
            raise DiskFull(
                f"Only {self._free >> 20} MiB are free where events are kept, and {self._least >> 20} are held back: "
                "nothing is taken until there is room."
            )
