"""How much a sender may send: quotas for each project and key, protection against spikes, room on the disk.

Counted in memory by the minute, and put together with what other processes and hosts have counted, once a second and
whenever a twentieth of a quota has come: all share one count, which a restart does not empty. Whoever is over is
told so before the body is read, and when to come back: nothing is taken and then dropped.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.http.answers import Full
from store.errors import NightdeskError, Unavailable
from store.hosts import Sent
from store.project import Key

SPIKE_FLOOR = 1000  # events a minute that are never called a spike
SPIKE_FACTOR = 20  # times what a public key usually sends in a minute
LOOK_AGAIN = 1.0  # seconds between two looks at the disk
TOGETHER = 1.0  # seconds after which what was counted is put together with what others counted
_MEMORY = 0.9  # how much of the usual rate is kept from one minute to the next: ten minutes are remembered
_MINUTES = 60  # of which is known what was sent
Shared = Callable[[Mapping[tuple[int, int], int], int], Sequence[Sent]]


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


def alone(counts: Mapping[tuple[int, int], int], since: int) -> Sequence[Sent]:
    """Nobody else counts."""
    return ()


class Quotas:
    """Safe to use from several threads. `quota` and `key_quota` are events a minute; 0 sets none. `shared` adds to the
    count of all processes, and tells it from a minute on."""

    def __init__(
        self, quota: int, key_quota: int, shared: Shared = alone, clock: Callable[[], float] = time.time
    ) -> None:
        self._quota, self._key_quota, self._shared, self._clock = quota, key_quota, shared, clock
        self._counts: dict[tuple[str, str], _Count] = {}
        self._own: Counter[tuple[str, int, int]] = (
            Counter()
        )  # by project, key and minute: not told to others yet
        self._lock, self._telling = threading.Lock(), threading.Lock()
        self._together = -TOGETHER

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
        counted = bool(self._quota or self._key_quota or key.public)
        if counted and time.monotonic() - self._together >= TOGETHER:
            self._put_together()
        self.check(key, min(events, self._smallest()))
        with self._lock:
            self._add(key.project, key.id, events)
            if counted:
                self._own[key.project, key.id, self._minute()] += events
            much = self._own.total() >= max(1, self._smallest() // 20)
        if much:
            self._put_together()

    def _add(self, project: str, key_id: int, events: int) -> None:
        self._count("project", project).events += events
        self._count("key", str(key_id)).events += events

    def _put_together(self) -> None:
        """Tell what was counted here, and go by what all have counted; by one thread at a time. Raises Unavailable;
        then it is told the next time."""
        if self._shared is alone or not self._telling.acquire(blocking=False):
            return
        try:
            with self._lock:
                own, self._own = self._own, Counter()
            try:
                told = self._shared(
                    {(key_id, minute): events for (_, key_id, minute), events in own.items()},
                    self._minute() - _MINUTES,
                )
            except NightdeskError:
                with self._lock:
                    self._own.update(own)
                raise
            self._together = time.monotonic()
            with self._lock:
                self._counts.clear()
                late = (Sent(*place, events) for place, events in self._own.items())  # counted meanwhile
                for one in (*told, *late):
                    self._count("project", one.project, one.minute).events += one.events
                    self._count("key", str(one.key_id), one.minute).events += one.events
        finally:
            self._telling.release()

    def _smallest(self) -> int:
        """No request is refused for ever: one that is larger than a quota counts as all of it."""
        return min((each for each in (self._quota, self._key_quota) if each), default=SPIKE_FLOOR)

    def _minute(self) -> int:
        return int(self._clock() // 60)

    def _count(self, kind: str, name: str, minute: int | None = None) -> _Count:
        minute = self._minute() if minute is None else minute
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
