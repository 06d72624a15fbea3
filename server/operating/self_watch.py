"""Nightdesk hears its own crashes: through `sentry-sdk`, into its own project `nightdesk`, in this process.

Nothing leaves the machine: instead of a connection there is a queue, and a thread that keeps what is in it as any other
event, redacted and grouped. Three guards against a loop: what goes wrong in that thread is never reported, no more than
a few are kept in a minute, and what finds the queue full is dropped.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.transport import Transport
from sentry_sdk.types import Event as SentEvent
from sentry_sdk.types import Hint

from server.operating import logs
from store import journal
from store.errors import NightdeskError
from store.event import Trust
from triage.formats.sentry import receive

if TYPE_CHECKING:
    from server.house import House

log = logging.getLogger("nightdesk.watching")

PROJECT = "nightdesk"
WAITING = 64  # reports that wait to be kept
A_MINUTE = 10  # reports of one process that are kept in a minute
_DSN = "http://own@localhost/1"  # never asked: the SDK wants one


class Watching(Transport):
    """Where the SDK hands its reports. One for each process."""

    def __init__(self, house: House) -> None:
        super().__init__({})
        self._house = house
        self._reports: queue.Queue[bytes | None] = queue.Queue(WAITING)
        self._kept: deque[float] = deque(maxlen=A_MINUTE)
        self._thread = threading.Thread(target=self._run, name="nightdesk-watching", daemon=True)

    def start(self) -> None:
        """Begin to keep what is reported; the project is made with the first report."""
        self._thread.start()

    def capture_envelope(self, envelope: Envelope) -> None:
        """Called by the SDK, in whatever thread something went wrong; returns at once."""
        if envelope.get_event() is None:
            return
        try:
            self._reports.put_nowait(envelope.serialize())
        except queue.Full:
            return  # there is more wrong than anybody can read

    def admit(self, event: SentEvent, hint: Hint) -> SentEvent | None:
        """Whether this is reported: not what this thread itself does, nor more than a few in a minute."""
        if threading.current_thread() is self._thread:
            return None
        now = monotonic()
        if len(self._kept) == A_MINUTE and now - self._kept[0] < 60:
            return None
        self._kept.append(now)
        event.setdefault("tags", {}).update(logs.subject())
        return event

    def stop(self) -> None:
        """Keep what waits, for some seconds at most, and nothing after that."""
        try:
            self._reports.put(None, timeout=1)
        except queue.Full:
            return
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (report := self._reports.get()) is not None:
            try:
                self._keep(report)
            except NightdeskError as problem:
                log.warning("A crash of Nightdesk itself could not be kept: %s", problem)
            except Exception:  # what is wrong here is told to a person and never to itself
                log.exception("A crash of Nightdesk itself could not be kept.")

    def _keep(self, report: bytes) -> None:
        journal.add_project(self._house.database, PROJECT, PROJECT)
        events = receive(report, project=PROJECT, received_at=datetime.now(UTC)).events
        self._house.keep(event.model_copy(update={"trust": Trust.SIGNED}) for event in events)


@contextmanager
def watched(house: House) -> Iterator[None]:
    """Report what goes wrong in this process while the block lasts, unless the settings say not to."""
    if not house.config.watch_itself:
        yield
        return
    watching = Watching(house)
    sentry_sdk.init(
        dsn=_DSN,
        transport=watching,
        before_send=watching.admit,
        default_integrations=False,
        integrations=[
            LoggingIntegration(),
            ExcepthookIntegration(),
            ThreadingIntegration(),
            DedupeIntegration(),
        ],
        include_local_variables=False,  # ours hold what senders sent
        shutdown_timeout=0,
    )
    watching.start()
    try:
        yield
    finally:
        # Not another `init`: that would load every integration of the SDK, for ten seconds.
        sentry_sdk.get_global_scope().set_client(None)
        watching.stop()
