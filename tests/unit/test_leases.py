"""Who is alive: leases with a clock that the test turns."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url, text

from server.work.leases import FILE, LEASE, ONE, QUEUES, STARTING, Leases, new_name
from store.postgres import DRIVER


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


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | URL:
    """Where leases are kept, of each kind in turn."""
    if request.param == "postgresql":
        return make_url(request.getfixturevalue("postgres_url")).set(drivername=DRIVER)
    return tmp_path / FILE


def test_of_many_who_ask_at_once_one_gets_the_place(place: Path | URL) -> None:
    names = [new_name() for _ in range(16)]
    asking = [Leases(place) for _ in names]
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda leases, name: leases.reserve(name), asking, names))
    (winner,) = (name for name, won in zip(names, got, strict=True) if won)
    assert asking[0].alive() == {winner: QUEUES}
    asking[1].leave(winner)
    assert asking[0].alive() == {}
    for leases in asking:
        leases.close()


def test_a_lease_of_before_the_machine_was_started_anew_is_none(tmp_path: Path) -> None:
    leases = Leases(tmp_path / FILE)
    leases.renew("a", QUEUES)
    with leases._writing() as connection:
        connection.execute(text("UPDATE nightdesk_leases SET until = until + 1e9, boot = 'of another start'"))
    assert leases.alive() == {}
    assert leases.reserve("b")


def test_what_a_clock_on_the_wall_says_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = Leases(tmp_path / FILE)
    leases.renew("a", QUEUES)
    for jump in (-3600, 3600, -20 * 365 * 86400):
        monkeypatch.setattr(time, "time", lambda jump=jump: 1_800_000_000.0 + jump)
        assert leases.alive() == {"a": QUEUES}


def test_no_two_names_are_equal_and_older_ones_sort_first() -> None:
    names = [new_name() for _ in range(100)]
    assert len(set(names)) == 100
    assert names[0] < names[-1]
