"""What a worker sees to beside triage and repairs: drafts on their forges, builds of merged fixes, notices to be told.

All of it is due at some time that is kept, and is claimed before it is done, so any number of workers may run. One
thread, for it waits on others' servers: the comparison of tasks must not.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from importlib import import_module
from time import monotonic

from server import lifecycle, telling, watching
from server.house import House
from server.moments import Clock, utc_now
from store import following

log = logging.getLogger("nightdesk.work")

TICK = 1.0  # seconds between two rounds
FORESEE = 60.0  # seconds between two looks at releases that no event has asked about


class Errands:
    """The rounds of one worker."""

    def __init__(self, house: House, clock: Clock = utc_now) -> None:
        self._house, self._clock = house, clock
        self._foreseen = -FORESEE
        self._begun = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nightdesk-errands", daemon=True)

    def start(self) -> None:
        """Make rounds until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round that is under way, or leave it to end by itself: what it had claimed comes up again."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def round(self) -> None:
        """See to everything that is due now, once. What fails is a line of the log, and keeps nothing else from it."""
        house, now = self._house, self._clock()
        if not self._begun:
            self._begun = True
            self._tried("drafts are taken up", lambda: following.follow_all(house.database))
        self._tried("drafts are looked at", lambda: lifecycle.look_round(house, now))
        self._tried("builds are looked up", lambda: watching.decide_builds(house))
        if monotonic() >= self._foreseen + FORESEE:
            self._foreseen = monotonic()
            self._tried("releases are looked up", lambda: watching.foresee(house))
        self._tried("notices are told", lambda: telling.tell_round(house, now, self._send()))

    def _send(self) -> telling.Send | None:
        if not self._house.config.notify:
            return None
        found: telling.Send = import_module(
            "server.apprising"
        ).send  # takes a second: only where somebody is told
        return found

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.round()
            self._stopping.wait(TICK)

    def _tried(self, what: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:  # the thread must outlive any one failure
            log.exception("While %s, something failed; it is tried again.", what)
