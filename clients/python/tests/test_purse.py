"""Notes cost a share of what the process does, and what failed without them has them the next time."""

from __future__ import annotations

import sqlite3
from typing import Any, Callable, Dict, List

import pytest
import sentry_sdk

from nightdesk_capture import purse, trail
from nightdesk_capture.purse import FAILURES, LATER, MOST, REQUESTS, SHARE, Purse
from nightdesk_capture.world import NOT_NOTED

STEP = 1e-7
NOTES = {"statements": [()] * 5, "exchanges": [()]}  # of one request


class Process:
    """A process that works: its processor time, its clock."""

    def __init__(self) -> None:
        self.used = self.clock = 0.0
        self.purse = Purse(lambda: self.used, lambda: self.clock)
        self.purse.begin(STEP)

    def serve(self, seconds: float, endpoint: str = "orders") -> bool:
        """One request of so much work, and whether it was noted."""
        noted = self.purse.may() or self.purse.is_wanted(endpoint)
        if noted:
            self.purse.settle(NOTES, 20)
            self.used += self.cost()
        self.used += seconds
        return noted

    def cost(self) -> float:
        """What the notes of a request cost."""
        asking = Purse()
        asking.begin(STEP)
        before = asking._left
        asking.settle(NOTES, 20)
        return before - asking._left


@pytest.mark.parametrize("seconds", [0.0005, 0.001, 0.004, 0.02])
def test_notes_take_no_more_than_their_share_of_what_the_process_does(seconds: float) -> None:
    process = Process()
    noted = sum(process.serve(seconds) for _ in range(20_000))
    assert noted * process.cost() <= SHARE * process.used + MOST
    assert noted * process.cost() >= min(0.9 * SHARE * process.used, 0.99 * 20_000 * process.cost())


def test_requests_that_take_long_enough_are_all_noted() -> None:
    process = Process()
    process.used = 1.0
    process.purse.begin(STEP)
    assert all(process.serve(0.02) for _ in range(1_000))


def test_an_endpoint_that_failed_without_notes_is_noted_until_its_failures_were_told() -> None:
    process = Process()
    while process.serve(0.0001):
        continue
    process.purse.failed("orders", is_noted=False)
    assert all(process.serve(0.0001) for _ in range(100))
    assert not all(process.serve(0.0001, "others") for _ in range(100))
    for _ in range(FAILURES):
        process.purse.failed("orders", is_noted=True)
    assert not all(process.serve(0.0001) for _ in range(100))
    process.clock += LATER + 1
    process.purse.failed("orders", is_noted=False)
    assert all(process.serve(0.0001) for _ in range(100))


def test_an_endpoint_that_does_not_fail_again_is_not_noted_for_ever() -> None:
    process = Process()
    process.purse.failed("orders", is_noted=False)
    noted = sum(process.serve(1e-6) for _ in range(3 * REQUESTS))
    assert REQUESTS <= noted < 1.1 * REQUESTS + MOST / process.cost()


def test_everything_is_noted_for_a_while_once_more_was_asked_for() -> None:
    process = Process()
    process.purse.open(600.0)
    assert all(process.serve(1e-6) for _ in range(1_000))
    process.clock += 601.0
    assert not all(process.serve(1e-6) for _ in range(1_000))


def test_a_process_that_was_forked_counts_from_its_own_beginning() -> None:
    process = Process()
    process.used = 500.0
    while process.serve(1e-6):
        continue
    process.used = 0.001
    assert sum(process.serve(0.01) for _ in range(100)) >= 90


def test_a_failure_without_notes_says_so_and_the_next_one_there_has_them(
    hooked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = Process().purse
    monkeypatch.setattr(trail, "PURSE_OF_THE_PROCESS", empty)
    trail._silent.cache_clear()
    transport = hooked()
    while empty.may():
        empty.settle(NOTES, 20)
    database = sqlite3.connect(":memory:")
    rows: List[Any] = []

    def fails() -> None:
        with sentry_sdk.isolation_scope() as scope:
            scope.set_transaction_name("/orders/<number>")
            try:
                rows.append(database.execute("select 7 as number").fetchall())
                raise LookupError
            except LookupError:
                sentry_sdk.capture_exception()

    fails()
    fails()
    first, second = transport.capsules()
    assert rows == [[(7,)], [(7,)]]
    assert first["cut"]["/world"] == NOT_NOTED
    assert "statements" not in first
    assert second["statements"][0]["rows"] == [[7]]
    assert "/world" not in second["cut"]


def test_a_step_of_this_machine_is_more_than_nothing() -> None:
    found: Dict[str, float] = {"step": purse.step_of_this_machine()}
    assert 1e-9 < found["step"] < 1e-3
