"""How much a sender may send, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

import server.ingest.quotas as quotas_module
from server.ingest.quotas import SPIKE_FLOOR, DiskFull, OverQuota, Quotas, Room
from store import hosts, journal, queries
from store.database import Database
from store.errors import Unavailable
from store.hosts import Sent
from store.project import Key


class Clock:
    """Seconds that go by when the test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_015.0

    def __call__(self) -> float:
        return self.now


def key(number: int = 1, project: str = "shop", *, public: bool = False) -> Key:
    return Key(id=number, project=project, key=f"k{number}", public=public, created_at=datetime.now(UTC))


def test_a_project_over_its_quota_is_told_when_the_next_minute_begins() -> None:
    clock = Clock()
    quotas = Quotas(quota=3, key_quota=0, clock=clock)
    quotas.take(key(1), 2)
    quotas.take(key(2), 1)

    with pytest.raises(OverQuota, match="Project shop may send 3 events a minute") as refused:
        quotas.take(key(1), 1)
    assert (refused.value.wait, refused.value.scope) == (45, "project")
    quotas.take(key(3, "other"), 3)

    clock.now += refused.value.wait
    quotas.take(key(1), 3)


def test_a_key_has_a_quota_of_its_own() -> None:
    quotas = Quotas(quota=0, key_quota=2, clock=Clock())
    quotas.take(key(1), 2)

    with pytest.raises(OverQuota, match="A key may send 2"):
        quotas.check(key(1))
    quotas.check(key(2))


def test_a_request_larger_than_the_quota_is_taken_when_the_minute_is_empty() -> None:
    clock = Clock()
    quotas = Quotas(quota=5, key_quota=0, clock=clock)
    quotas.take(key(), 50)

    with pytest.raises(OverQuota):
        quotas.take(key(), 1)


def test_a_public_key_that_sends_far_more_than_usual_is_held_and_a_secret_one_is_not() -> None:
    clock = Clock()
    quotas = Quotas(quota=0, key_quota=0, clock=clock)
    for _ in range(5):
        quotas.take(key(1, public=True), 10)
        quotas.take(key(2), 10)
        clock.now += 60

    for each in (key(1, public=True), key(2)):
        quotas.take(each, SPIKE_FLOOR)
    with pytest.raises(OverQuota, match="20 times what it usually does"):
        quotas.take(key(1, public=True), 1)
    quotas.take(key(2), 1)


def test_what_another_process_has_taken_counts_here_and_after_a_restart(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas_module, "TOGETHER", 0.0)  # as if a second went by before each
    ours, theirs = Database.open(database_url), Database.open(database_url)
    (own,) = queries.keys(ours, "default")
    clock = Clock()
    here, there = (Quotas(5, 0, partial(hosts.add_sent, db), clock) for db in (ours, theirs))
    here.take(own, 2)
    there.take(own, 2)
    here.take(own, 1)
    started = Quotas(5, 0, partial(hosts.add_sent, ours), clock)
    for each in (here, there, started):
        with pytest.raises(OverQuota, match="Project default may send 5 events a minute"):
            each.take(own, 1)
    clock.now += 60
    there.take(own, 5)
    ours.close()
    theirs.close()


def test_what_a_public_key_usually_sends_is_known_after_a_restart(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas_module, "TOGETHER", 0.0)
    database = Database.open(database_url)
    public = journal.add_key(database, "default", public=True)
    clock = Clock()
    before = Quotas(0, 0, partial(hosts.add_sent, database), clock)
    for _ in range(3):
        before.take(public, 100)
        clock.now += 60
    before.take(public, 1)  # tells what the last minute had
    after = Quotas(0, 0, partial(hosts.add_sent, database), clock)
    after.take(public, 20 * 100)
    with pytest.raises(OverQuota, match="20 times what it usually does"):
        after.take(public, 1)
    database.close()


def test_counts_that_could_not_be_told_are_told_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas_module, "TOGETHER", 0.0)
    told: list[int] = []

    def shared(counts: Mapping[tuple[int, int], int], since: int) -> list[Sent]:
        if not told:
            told.append(0)
            raise Unavailable("The database is away.")
        told.extend(counts.values())
        return []

    quotas = Quotas(500, 0, shared, Clock())
    quotas._own["shop", 1, quotas._minute()] = 3
    with pytest.raises(Unavailable):
        quotas.take(key(), 1)
    quotas.take(key(), 1)
    assert told == [0, 3]


def test_a_disk_with_too_little_room_takes_nothing(tmp_path: Path) -> None:
    Room(tmp_path, 0).check()
    with pytest.raises(DiskFull, match="nothing is taken until there is room"):
        Room(tmp_path, 1 << 60).check()
