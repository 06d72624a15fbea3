"""Minimising: the result still fails, nothing of it can be left out alone, and it is the same every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fixloop.minimise import minimise

NAMES = "abcdef"
FAMILIES = st.lists(st.sets(st.sampled_from(NAMES), min_size=1), min_size=1, max_size=3)


def needs(families: list[set[str]]) -> Callable[[Any], bool]:
    """Fails where all of one of the families is there."""
    return lambda value: any(family <= set(value) for family in families)


@settings(deadline=None)
@given(FAMILIES)
def test_a_mapping_still_fails_and_no_entry_of_it_can_go(families: list[set[str]]) -> None:
    fails = needs(families)
    smallest = minimise(dict.fromkeys(NAMES, 1), fails, budget=1000)
    assert fails(smallest)
    assert not any(fails({k: v for k, v in smallest.items() if k != gone}) for gone in smallest)


@settings(deadline=None)
@given(FAMILIES)
def test_a_list_still_fails_and_no_item_of_it_can_go(families: list[set[str]]) -> None:
    fails = needs(families)
    smallest = minimise(list(NAMES), fails, budget=1000)
    assert fails(smallest)
    assert not any(fails(smallest[:i] + smallest[i + 1 :]) for i in range(len(smallest)))


@settings(deadline=None)
@given(st.recursive(st.integers() | st.text(max_size=3), lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=2), inner, max_size=4)), max_leaves=10),
    st.integers(0, 200))  # fmt: skip
def test_with_any_value_and_budget_the_result_fails_and_is_the_same_again(value: Any, budget: int) -> None:
    def fails(candidate: Any) -> bool:
        return str(candidate).count("1") >= str(value).count("1")

    asked: list[Any] = []

    def counted(candidate: Any) -> bool:
        asked.append(candidate)
        return fails(candidate)

    smallest = minimise(value, counted, budget=budget)
    assert fails(smallest)
    assert len(str(smallest)) <= len(str(value))
    assert len(asked) <= budget
    assert minimise(value, fails, budget=budget) == smallest


def test_the_empty_container_is_tried_first() -> None:
    asked: list[Any] = []
    assert minimise({"a": 1, "b": 2}, lambda value: asked.append(value) is None) == {}
    assert asked == [{}]


def test_what_is_to_be_kept_is_kept_and_what_is_inside_shrinks() -> None:
    value = {"method": "POST", "json": {"a": 1, "b": [1, 2, 3]}, "headers": {"x": "1"}}
    smallest = minimise(value, lambda v: 2 in v.get("json", {}).get("b", ()), keep=(("method",),))
    assert smallest == {"method": "POST", "json": {"b": [2]}}


def test_a_constructor_call_is_one_piece_and_long_texts_are_cut() -> None:
    call = {"$call": "datetime.date", "args": [2024, 1, 1], "kwargs": {}}
    smallest = minimise(
        {"when": call, "note": "x" * 500}, lambda v: "when" in v and v.get("note", "").startswith("xx")
    )
    assert smallest == {"when": call, "note": "x" * 8}


def test_a_tuple_stays_a_tuple_and_a_pair_a_pair() -> None:
    value = {"$tuple": [1, {"$dict": [[1, [2, 3]], [4, 5]]}, {"$set": [6, 7]}]}

    def fails(candidate: Any) -> bool:
        inner = candidate.get("$tuple", [])
        return any("$dict" in one and any(3 in pair[1] for pair in one["$dict"] if isinstance(pair[1], list))
                   for one in inner if isinstance(one, dict))  # fmt: skip

    assert minimise(value, fails) == {"$tuple": [{"$dict": [[1, [3]]]}]}
