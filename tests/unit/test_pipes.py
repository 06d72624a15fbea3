"""Which frames only hand on what they were given, and how far they then count from the failure."""

from __future__ import annotations

import pytest

from fixloop.changes.clues import Spot
from fixloop.changes.pipes import hands_on
from fixloop.changes.regions import regions_of

CURSOR = """def execute(self, sql, params=None):
    if params is None:
        return self.cursor.execute(sql)
    return self.cursor.execute(sql, params)
"""
QUERY = """class Query:
    def rows(self, table):
        sql, params = self.as_sql(table)
        return execute(self, sql, params)
"""


@pytest.mark.parametrize(
    ("source", "line", "expected"),
    [
        (CURSOR, 4, True),
        (CURSOR, 3, True),
        (CURSOR, 2, False),
        ("def wrapper(*args, **kwargs):\n    return view(*args, **kwargs)\n", 2, True),
        (
            "async def call(self, request):\n    answer = await self.app(request)\n    return answer\n",
            2,
            True,
        ),
        ("def close(self):\n    raise Failed(self.name) from self.error\n", 2, True),
        ("def check(value):\n    raise ValueError(value)\n", 2, False),
        ("def total(order):\n    return add(order['a'])\n", 2, False),
        ("def now():\n    return clock()\n", 2, False),
        ("def broken(:\n    return f(x)\n", 2, False),
        ("def long(x):\n" + "    x = x\n" * 30 + "    return f(x)\n", 32, False),
    ],
)
def test_a_frame_hands_on_where_it_calls_with_its_own_parameters_or_raises_again(
    source: str, line: int, expected: bool
) -> None:
    assert hands_on(source.splitlines(), line) is expected


def test_who_made_the_value_counts_before_the_pipe_that_it_went_through() -> None:
    texts = {"db.py": CURSOR, "query.py": QUERY}
    spots = (Spot("shop", "db.py", 4, "execute", 0), Spot("shop", "query.py", 4, "rows", 1))
    pipe, query = regions_of(spots, "shop", texts.get)
    assert (pipe.depth, pipe.failing) == (1, True)
    assert (query.depth, query.failing) == (0, False)


def test_where_all_frames_hand_on_the_innermost_stays_the_first() -> None:
    spots = (Spot("shop", "a.py", 4, "execute", 0), Spot("shop", "b.py", 4, "execute", 1))
    regions = regions_of(spots, "shop", {"a.py": CURSOR, "b.py": CURSOR}.get)
    assert [one.depth for one in regions] == [0, 1]
