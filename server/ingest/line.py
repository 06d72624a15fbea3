"""The waiting line between the event loop and the threads that do the work of senders.

Those who wait are taken together by few threads, and are told together. A thread for each request would hand the
interpreter from one to the next up to a thousand times a second, and each commit would be a request's own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

P = TypeVar("P")
T = TypeVar("T")
Waiting = tuple[P, "asyncio.Future[T]"]


class Line(Generic[P, T]):
    """Work off what waits, `at_once` things at a time, in `threads` threads: `work` answers each or gives its error."""

    def __init__(
        self,
        work: Callable[[Sequence[P]], Sequence[T | BaseException]],
        *,
        threads: int,
        at_once: int,
        full: Callable[[], None] = lambda: None,
    ) -> None:
        """`full` is called when one comes while every thread is at work."""
        self._work, self._threads, self._at_once, self._full = work, threads, at_once, full
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="nightdesk-ingest")
        self._waiting: list[Waiting[P, T]] = []
        self._busy = 0
        self._lock = threading.Lock()

    async def through(self, one: P) -> T:
        """Wait in the line; the answer. Raises what the work raised for this one."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            self._waiting.append((one, future))
            start = self._busy < self._threads
            self._busy += start
        if start:
            self._pool.submit(self._run, loop)
        else:
            self._full()
        return await future

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._lock:
                batch, self._waiting = self._waiting[: self._at_once], self._waiting[self._at_once :]
                if not batch:
                    self._busy -= 1
                    return
            try:
                answers = self._work([one for one, _ in batch])
            except BaseException as error:  # a mistake of ours: nobody must wait for ever
                answers = [error] * len(batch)
            if loop.is_closed():
                continue
            loop.call_soon_threadsafe(_tell, batch, answers)


def _tell(batch: Sequence[Waiting[P, T]], answers: Sequence[T | BaseException]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():  # its sender has gone
            continue
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
