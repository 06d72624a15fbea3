"""That the server is told to end: what would go on for minutes, as the stream of a page does, ends with it at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """One application's end, heard by whoever waits for it."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen, as long as the application runs, for the signals that end a server; whoever listened before hears
        them too. Only a program's main thread is sent signals: in another one nothing is done."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in _SIGNALS}

        def told(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._told.set)
            handler = before[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)

        for number in _SIGNALS:
            signal.signal(number, told)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def within(self, seconds: float) -> bool:
        """Wait so long, or until the end is told; whether it was."""
        try:
            await asyncio.wait_for(self._told.wait(), seconds)
        except TimeoutError:
            return False
        return True
