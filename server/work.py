"""Background triage: one thread that takes incidents one after the other.

What has to be done is written in the database and nowhere else: an incident without a verdict waits for
triage. So nothing is lost when the process dies; the next one starts by taking up what waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from types import TracebackType
from typing import Self

log = logging.getLogger("nightdesk.work")


class Worker:
    """Calls `work(incident_id)` for each id put in, in order, in a thread of its own. An id that waits waits
    once."""

    def __init__(self, work: Callable[[str], object]) -> None:
        self._work = work
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._busy = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nightdesk-work", daemon=True)

    def put(self, incident_ids: Iterable[str]) -> None:
        """Have these incidents worked on soon."""
        with self._lock:
            for incident_id in incident_ids:
                if incident_id not in self._waiting:
                    self._waiting.add(incident_id)
                    self._queue.put(incident_id)

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until nothing is left to do; False when `timeout` seconds were not enough."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (incident_id := self._queue.get()) is not None and not self._stopping.is_set():
            with self._lock:
                self._waiting.discard(incident_id)
                self._busy = True
            try:
                self._work(incident_id)
            except Exception:  # the thread must outlive any one incident; it stays without a verdict
                log.exception("Triage of %s failed; it is tried again at the next start.", incident_id)
            finally:
                with self._idle:
                    self._busy = False
                    self._idle.notify_all()
