"""The waiting line between the event loop and the threads that do the work of senders.

Those who wait are taken together by few threads, and are told together. A thread for each request would hand the
interpreter from one to the next up to a thousand times a second, and each commit would be a request's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

P = TypeVar("P")
T = TypeVar("T")
Waiting = tuple[P, "asyncio.Future[T]"]

LINGER = 0.005  # seconds that work waits, at most, for as many as were answered together a moment ago


class Line(Generic[P, T]):
    """Work off what waits, `at_once` things at a time, in `threads` threads: `work` answers each or gives its error.

    Senders that were answered together come again together, one shortly after the other. Work that began with the
    first of them would have it alone, and the others in the next commit: so it waits for as many as it had before, a
    moment at most. Another thread joins in only where there is a whole batch for it."""

    def __init__(
        self,
        work: Callable[[Sequence[P]], Sequence[T | BaseException]],
        *,
        threads: int,
        at_once: int,
        full: Callable[[], None] = lambda: None,
    ) -> None:
        """`full` is called when one comes while nobody is free to take it."""
        self._work, self._threads, self._at_once, self._full = work, threads, at_once, full
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="nightdesk-ingest")
        self._waiting: list[Waiting[P, T]] = []
        self._busy, self._expected = 0, 1
        self._later: asyncio.TimerHandle | None = None

    async def through(self, one: P) -> T:
        """Wait in the line; the answer. Raises what the work raised for this one. A line is used in one event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((one, future))
        if self._busy:
            self._full()
        self._look(loop)
        return await future

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin where enough wait; else see to it that those who wait are not forgotten."""
        while self._busy < self._threads and len(self._waiting) >= self._wanted():
            self._begin(loop)
        if self._waiting and not self._busy and (self._later is None or self._later.cancelled()):
            self._later = loop.call_later(LINGER, self._begin, loop)

    def _wanted(self) -> int:
        return self._at_once if self._busy else self._expected

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        batch, self._waiting = self._waiting[: self._at_once], self._waiting[self._at_once :]
        self._busy += 1
        self._pool.submit(self._run, loop, batch)

    def _run(self, loop: asyncio.AbstractEventLoop, batch: Sequence[Waiting[P, T]]) -> None:
        try:
            answers = self._work([one for one, _ in batch])
        except BaseException as error:  # a mistake of ours: nobody must wait for ever
            answers = [error] * len(batch)
        if loop.is_closed():
            self._busy -= 1
        else:
            loop.call_soon_threadsafe(self._tell, loop, batch, answers)

    def _tell(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[Waiting[P, T]],
        answers: Sequence[T | BaseException],
    ) -> None:
        self._busy -= 1
        self._expected = len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # its sender has gone
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._look(loop)
