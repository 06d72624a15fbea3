"""What is done now and then, without anybody asking: old events go, mirrors follow their origins, drafts are looked at
on their forges, builds of merged fixes are looked up, notices are told.

A job is a name, a time and a function; whoever has more to do at times adds a line to `JOBS`. Each has a thread of its
own, for some wait on others' servers, and a forge that is slow must not keep a notice back. What several workers may do
at the same time is claimed by each job before it is done; what only one should do is left to the leading one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING

from server.drafts import lifecycle, watching
from server.moments import Clock, utc_now
from server.notices import telling
from server.repairs.reviewing import listen
from server.work.mirroring import follow_origins
from store import following, purging

if TYPE_CHECKING:
    from server.house import House

log = logging.getLogger("nightdesk.work")

TICK = 1.0  # seconds between two looks at whether a job is due
HOUR, MINUTE = 3600.0, 60.0
PATIENCE = 30.0  # seconds that jobs which are at work have to end


@dataclass(frozen=True)
class Job:
    """Something that is done every so many seconds, for the first time when they have passed. `everywhere`: by each
    worker, and not by the leading one alone. `at_once`: for the first time when work begins."""

    name: str
    every: Callable[[House], float]  # seconds; 0: never
    run: Callable[[House, datetime], object]  # with the time by the clock
    everywhere: bool = False
    at_once: bool = False


class Schedule:
    """The jobs of one worker. `leads` says whether this worker is the leading one."""

    def __init__(
        self,
        house: House,
        leads: Callable[[], bool],
        jobs: Sequence[Job] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._house, self._leads, self._clock = house, leads, clock
        self._jobs = JOBS if jobs is None else jobs
        self._done = {job.name: None if job.at_once else monotonic() for job in self._jobs}
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(job,), name=f"nightdesk-{job.name}", daemon=True)
            for job in self._jobs
        ]

    def start(self) -> None:
        """Begin, until `stop`."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more. What is at work has some seconds to end, and is safe to be cut off: what it had claimed
        comes up again."""
        self._stopping.set()
        until = monotonic() + PATIENCE
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - monotonic()))

    def round(self) -> None:
        """Do all that is due at once, here and now."""
        for job in self._jobs:
            if job.at_once:
                self.consider(job)

    def consider(self, job: Job) -> bool:
        """Do a job if it is due, and say whether it was done. A job that fails is said and done again next time."""
        every, done = job.every(self._house), self._done[job.name]
        due = done is None or monotonic() >= done + every
        if not every or not due or not (job.everywhere or self._leads()):
            return False
        self._done[job.name] = monotonic()
        try:
            job.run(self._house, self._clock())
        except Exception:  # one failure must not end what comes after it
            log.exception("What is done now and then failed: %s. It is tried again.", job.name)
        return True

    def _run(self, job: Job) -> None:
        while not self._stopping.is_set():
            self.consider(job)
            self._stopping.wait(TICK)


def forget_old(house: House, now: datetime) -> None:
    """Take away the events that are older than the setting allows; the room is kept for new ones."""
    which = purging.older_than(now - timedelta(days=house.config.retention_days))
    if purging.any_of(house.database, which):
        why = f"older than {house.config.retention_days} days"
        purging.purge(house.database, house.artifacts, which, "retention", why, compact=False)


def tell(house: House, now: datetime) -> None:
    """Tell the notices that are due."""
    send: telling.Send | None = None
    if house.config.notify:
        send = import_module("server.notices.apprising").send  # takes a second: only where somebody is told
    telling.tell_round(house, now, send)


def always(house: House) -> float:
    """Due whenever it is looked: zero would say never."""
    return 1e-9


JOBS = (
    Job("retention", lambda house: HOUR if house.config.retention_days else 0.0, forget_old),
    Job("repositories", lambda house: house.config.sync_minutes * MINUTE, lambda house, _: follow_origins(house),
        everywhere=True),
    Job("drafts-known", lambda house: HOUR, lambda house, _: following.follow_all(house.database),
        everywhere=True, at_once=True),
    Job("drafts", always, partial(lifecycle.look_round, listen=listen), everywhere=True, at_once=True),
    Job("builds", always, lambda house, _: watching.decide_builds(house), everywhere=True, at_once=True),
    Job("releases", lambda house: MINUTE, lambda house, _: watching.foresee(house), everywhere=True, at_once=True),
    Job("notices", always, tell, everywhere=True, at_once=True),
)  # fmt: skip
