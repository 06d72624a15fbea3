"""What is done now and then, without anybody asking: old events go, mirrors follow their origins, work that stands
still is begun again.

A job is a name, a time and a function; whoever has more to do at times adds a line to `JOBS`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

from server.work.mirroring import follow_origins
from store import purging

if TYPE_CHECKING:
    from server.house import House

log = logging.getLogger("nightdesk.work")

TICK = 1.0  # seconds between two looks at what is due


@dataclass(frozen=True)
class Job:
    """Something that is done every so many seconds. `everywhere`: on each host, and not by the leading worker
    alone."""

    name: str
    every: Callable[[House], float]  # seconds; 0: never
    run: Callable[[House], None]
    everywhere: bool = False


class Schedule:
    """Does the jobs of one worker in a thread of its own, as long as the block lasts. `leads` says whether this worker
    is the leading one."""

    def __init__(self, house: House, leads: Callable[[], bool], jobs: Sequence[Job]) -> None:
        self._house, self._leads, self._jobs = house, leads, jobs
        self._done = dict.fromkeys((job.name for job in jobs), monotonic())
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nightdesk-schedule", daemon=True)

    def start(self) -> None:
        """Begin; what is due every hour is done in an hour for the first time."""
        self._thread.start()

    def stop(self) -> None:
        """Do nothing more. What is at work goes on for some seconds at most, and is safe to be cut off."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopping.wait(TICK):
            for job in self._jobs:
                if not self._stopping.is_set():
                    self.consider(job)

    def consider(self, job: Job) -> bool:
        """Do a job if it is due, and say whether it was done. A job that fails is said and done again next time."""
        every = job.every(self._house)
        if not every or monotonic() < self._done[job.name] + every or not (job.everywhere or self._leads()):
            return False
        self._done[job.name] = monotonic()
        try:
            job.run(self._house)
        except Exception:  # one failure must not end the others
            log.exception("What is done now and then failed: %s.", job.name)
        return True


def forget_old(house: House) -> None:
    """Take away the events that are older than the setting allows; the room is kept for new ones."""
    moment = datetime.now(UTC) - timedelta(days=house.config.retention_days)
    which = purging.older_than(moment)
    if purging.any_of(house.database, which):
        why = f"older than {house.config.retention_days} days"
        purging.purge(house.database, house.artifacts, which, "retention", why, compact=False)


JOBS = (
    Job("retention", lambda house: 3600.0 if house.config.retention_days else 0.0, forget_old),
    Job("repositories", lambda house: house.config.sync_minutes * 60.0, follow_origins, everywhere=True),
)
