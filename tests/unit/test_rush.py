"""Senders before background work, for seconds and never for good."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from server.ingest.line import Line
from server.rush import CALM, PATIENCE, Rush


class Clock:
    """Time that goes on when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waited = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.waited += seconds


def rush() -> tuple[Rush, Clock]:
    clock = Clock()
    return Rush(clock, clock.wait), clock


def test_nobody_gives_way_where_no_sender_had_to_wait() -> None:
    found, clock = rush()
    found.give_way()
    assert clock.waited == 0
    assert not found.on()


def test_work_gives_way_until_no_sender_had_to_wait_for_a_moment() -> None:
    found, clock = rush()
    found.waits()
    found.give_way()
    assert CALM <= clock.waited < CALM + 0.1


def test_a_rush_that_does_not_end_keeps_work_for_seconds_only() -> None:
    found, clock = rush()

    def more(seconds: float) -> None:
        clock.wait(seconds)
        found.waits()

    found._wait = more
    found.waits()
    found.give_way()
    assert PATIENCE <= clock.waited < PATIENCE + 0.1


def test_whoever_is_to_end_does_not_give_way() -> None:
    found, clock = rush()
    found.waits()
    found.give_way(lambda: True)
    assert clock.waited == 0


def test_a_line_tells_of_a_sender_who_comes_while_every_thread_is_at_work() -> None:
    told: list[bool] = []
    going, begun = threading.Event(), threading.Event()

    def work(some: Sequence[int]) -> list[int | BaseException]:
        begun.set()
        assert going.wait(10)
        return [2 * one for one in some]

    async def two() -> list[int]:
        line: Line[int, int] = Line(work, threads=1, at_once=8, full=lambda: told.append(True))
        first = asyncio.create_task(line.through(1))
        assert await asyncio.to_thread(begun.wait, 10)
        assert not told
        second = asyncio.create_task(line.through(2))
        await asyncio.sleep(0)
        going.set()
        return [await first, await second]

    assert asyncio.run(asyncio.wait_for(two(), 20)) == [2, 4]
    assert told == [True]
