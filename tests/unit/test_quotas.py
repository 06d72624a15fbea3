"""How much a sender may send, by a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.ingest.quotas import SPIKE_FLOOR, DiskFull, OverQuota, Quotas, Room
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


def test_a_disk_with_too_little_room_takes_nothing(tmp_path: Path) -> None:
    Room(tmp_path, 0).check()
    with pytest.raises(DiskFull, match="nothing is taken until there is room"):
        Room(tmp_path, 1 << 60).check()
