"""Blocking work of a durable step: in one thread from its start to its end, stopped when the step is cancelled.

One thread for its whole life, because a sandbox dies with the thread that opened it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from fixloop.stopping import Stop

PATIENCE = 5.0  # seconds that stopped work has to end

T = TypeVar("T")


class Threads:
    """The threads of one worker that are at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[threading.Thread, Stop] = {}
        self._draining = threading.Event()

    async def run(self, name: str, work: Callable[[], T]) -> T:
        """What `work` gives. Where this is cancelled, the work is stopped and its end awaited. While threads are
        drained nothing is begun: it waits until the loop ends, and is done elsewhere."""
        if self._draining.is_set():
            await asyncio.Event().wait()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        stop = Stop()

        def tell(said: Callable[[Any], None], what: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(lambda: None if future.done() else said(what))

        def run() -> None:
            try:
                with stop.holding():
                    answer = work()
            except BaseException as error:
                tell(future.set_exception, error)
            else:
                tell(future.set_result, answer)
            finally:
                with self._lock:
                    del self._running[threading.current_thread()]

        thread = threading.Thread(target=run, name=f"nightdesk-{name}", daemon=True)
        with self._lock:  # whoever drains meanwhile must not meet one that has not begun
            thread.start()
            self._running[thread] = stop
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stop.pull()
            await asyncio.wait({future}, timeout=PATIENCE)
            if future.done():
                future.exception()  # looked at: it was stopped, and that is all
            raise

    def drain(self, seconds: float) -> bool:
        """Begin nothing more, and give what is at work so many seconds to come to its end. Whether it did."""
        self._draining.set()
        deadline = time.monotonic() + seconds
        with self._lock:
            running = list(self._running)
        for thread in running:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in running)

    def stop(self) -> bool:
        """Stop all that is at work. False where something did not end in time; it ends with this process."""
        with self._lock:
            running = dict(self._running)
        for stop in running.values():
            stop.pull()
        deadline = time.monotonic() + PATIENCE
        for thread in running:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in running)
