"""Who is alive: leases with a clock that the test turns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from server.work.leases import FILE, LEASE, ONE, QUEUES, STARTING, Leases, new_name


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_worker_is_alive_until_its_lease_ends_or_it_leaves(tmp_path: Path) -> None:
    clock = Clock()
    leases = Leases(tmp_path / FILE, clock)
    leases.renew("a", QUEUES)
    clock.now += LEASE / 2
    leases.renew("b", ONE)
    assert leases.alive() == {"a": QUEUES, "b": ONE}
    clock.now += LEASE / 2 + 0.1
    assert leases.alive() == {"b": ONE}
    leases.leave("b")
    assert leases.alive() == {}


def test_a_place_is_kept_for_a_worker_that_is_being_started_but_not_for_ever(tmp_path: Path) -> None:
    clock = Clock()
    leases = Leases(tmp_path / FILE, clock)
    assert leases.reserve("a")
    assert not leases.reserve("b")
    clock.now += STARTING + 0.1
    assert leases.reserve("b")


def test_a_repair_at_a_terminal_does_not_keep_a_worker_from_being_started(tmp_path: Path) -> None:
    leases = Leases(tmp_path / FILE)
    leases.renew("a", ONE)
    assert leases.reserve("b")


def test_of_many_who_ask_at_once_one_gets_the_place(tmp_path: Path) -> None:
    names = [new_name() for _ in range(16)]
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda name: Leases(tmp_path / FILE).reserve(name), names))
    assert got.count(True) == 1


def test_no_two_names_are_equal_and_older_ones_sort_first() -> None:
    names = [new_name() for _ in range(100)]
    assert len(set(names)) == 100
    assert names[0] < names[-1]
