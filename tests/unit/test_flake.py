"""N runs, one verdict with its bound."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixloop.flake import Scan, miss_bound


@pytest.mark.parametrize(
    ("runs", "misses", "bound"),
    [(200, 0, 0.0149), (200, 1, 0.0235), (20, 0, 0.1391), (1, 0, 0.95), (0, 0, 1.0), (5, 5, 1.0)],
)
def test_the_bound_is_the_exact_one(runs: int, misses: int, bound: float) -> None:
    assert miss_bound(runs, misses) == pytest.approx(bound, abs=5e-5)


@settings(deadline=None)
@given(st.integers(1, 300), st.data())
def test_more_misses_never_lower_the_bound_and_more_runs_never_raise_it(
    runs: int, draw: st.DataObject
) -> None:
    misses = draw.draw(st.integers(0, runs - 1))
    bound = miss_bound(runs, misses)
    assert misses / runs < bound <= 1.0
    assert bound <= miss_bound(runs, misses + 1)
    assert miss_bound(runs + 1, misses) <= bound


def test_a_scan_says_always_never_or_sometimes() -> None:
    assert [Scan(3, hits).verdict for hits in (3, 0, 1)] == ["always", "never", "sometimes"]
    assert Scan(0, 0).verdict == "never"
    assert Scan(200, 200).bound == pytest.approx(0.0149, abs=5e-5)
