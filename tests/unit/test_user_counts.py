"""Users are counted exactly up to a thousand, and by a sketch beyond; only the thousand are kept by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from server.house import House
from store import queries, regrouping
from store.event import Event, ExceptionValue
from store.hyperloglog import SIZE, Sketch
from store.user_counts import EXACT

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def met(number: int, kind: str = "KeyError") -> Event:
    return Event(
        event_id=f"{number:032x}", project="default", received_at=NOW + timedelta(seconds=number), timestamp=NOW,
        exceptions=(ExceptionValue(type=kind, value="x"),), user={"id": str(number)},
    )  # fmt: skip


def named(house: House) -> int:
    with house.database.read() as session:
        return int(session.execute(text("select count(*) from facets where kind = 'user'")).scalar_one())


@pytest.mark.parametrize("count", [0, 1, 100, 5_000, 20_000, 60_000])
def test_a_sketch_tells_any_number_within_five_per_cent(count: int) -> None:
    told = Sketch.of(f"id:{number}" for number in range(count)).count()
    assert abs(told - count) <= 0.05 * count


def test_a_sketch_comes_back_from_its_bytes_and_counts_nobody_twice() -> None:
    drawn = Sketch.of(f"id:{number}" for number in range(3000))
    again = Sketch(bytes(drawn))
    assert not any(again.add(f"id:{number}") for number in range(3000))
    assert again.count() == drawn.count()
    with pytest.raises(ValueError, match="registers"):
        Sketch(bytes(SIZE - 1))


@pytest.mark.heavy
def test_users_are_exact_up_to_a_thousand_and_nearly_so_beyond(house: House) -> None:
    house.keep([met(number) for number in range(EXACT)])
    assert queries.incident(house.database, "INC-1").user_count == EXACT
    house.keep([met(number) for number in range(EXACT, 2 * EXACT)])
    after = queries.incident(house.database, "INC-1").user_count
    assert abs(after - 2 * EXACT) <= 0.05 * 2 * EXACT
    assert named(house) == EXACT
    house.keep(
        [met(number).model_copy(update={"event_id": f"{number + 10**6:032x}"}) for number in range(2 * EXACT)]
    )
    assert queries.incident(house.database, "INC-1").user_count == after


def test_a_merged_incident_counts_the_users_of_both(house: House) -> None:
    house.keep([met(number) for number in range(700)])
    house.keep([met(number, "TypeError") for number in range(400, 1100)])
    regrouping.merge(house.database, "INC-1", "INC-2", "ann")
    assert queries.incident(house.database, "INC-1").user_count == 1100
    assert named(house) == EXACT
    house.keep([met(number) for number in range(1100, 1400)])
    assert abs(queries.incident(house.database, "INC-1").user_count - 1400) <= 70
