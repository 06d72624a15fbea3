"""Two different requests of one moment are made at once, on the schedule on which they lose."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixloop.knowledge import LogLine
from fixloop.reproduce.interleaving import ALONE
from fixloop.reproduce.races import Met, met
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.requests import logged_inputs, same_moment
from fixloop.reproduce.write import call_source
from store.event import Event, Request

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SEATS = """
from flask import Flask, request

app = Flask(__name__)
seats, owners = {"a1": 9}, {}


@app.post("/book")
def book():
    seat, who = request.json["seat"], request.json["who"]
    if owners.get(seat) == who:
        return {"seat": seat}
    if seat in seats:
        price = seats.pop(seat)
        owners[seat] = who
        return {"seat": seat, "price": price}
    return {"error": "taken"}, 409
"""


def booked(who: str, after: float = 0.0, name: str = "e") -> Event:
    request = Request(
        method="POST", url="https://shop.example/book", headers={"Content-Type": "application/json"},
        data={"seat": "a1", "who": who},
    )  # fmt: skip
    return Event(
        event_id=name, project="p", received_at=NOW, timestamp=NOW + timedelta(seconds=after), request=request
    )


def test_the_other_requests_of_a_moment_are_those_that_differ_nearest_first() -> None:
    mine, same = booked("ada"), booked("ada", 0.004, "f")
    far, near, late = booked("eve", 0.09, "g"), booked("bob", 0.007, "h"), booked("zoe", 3.0, "i")
    found = list(
        same_moment(mine, [mine, same, far, near, late, booked("bob", 0.02, "j")], timedelta(seconds=0.1))
    )
    assert [one["json"]["who"] for one in found] == ["bob", "eve"]
    assert list(same_moment(mine.model_copy(update={"request": None}), [near], timedelta(seconds=1))) == []


def logged(number: int, seconds: float, told: str, *, whole: bool = False) -> LogLine:
    at = NOW + timedelta(seconds=seconds)
    stamp = at.isoformat(timespec="seconds" if whole else "milliseconds")
    return LogLine(
        f"L{number}",
        at.replace(microsecond=0) if whole else at,
        "access.log",
        f'{{"time": "{stamp}", {told}}}',
    )


BOOK = '"method": "POST", "path": "/book", "status": 500'
LIST = '"method": "GET", "path": "/seats?free=1", "status": 200'


def test_requests_of_the_same_moment_are_read_from_access_logs_the_event_s_own_left_out() -> None:
    lines = [logged(1, 0.001, BOOK), logged(2, 0.007, BOOK), logged(3, 0.03, LIST), logged(4, 0.4, LIST)]
    found = met(booked("ada"), [*lines, LogLine("L5", NOW, "app.log", "INFO nothing")])
    assert [(one.method, one.path, one.line) for one in found] == [
        ("POST", "/book", "L2"), ("GET", "/seats?free=1", "L3"),
    ]  # fmt: skip
    assert met(booked("ada"), lines[:1]) == []
    assert met(booked("ada").model_copy(update={"request": None}), lines) == []


def test_a_log_of_whole_seconds_tells_of_the_same_address_only() -> None:
    late = booked("ada", after=0.7)
    lines = [
        logged(1, 0.7, BOOK, whole=True),
        logged(2, 0.7, BOOK, whole=True),
        logged(3, 0.7, LIST, whole=True),
    ]
    assert [one.line for one in met(late, lines)] == ["L2"]


def test_another_request_of_the_log_is_made_as_well_where_it_needs_no_body() -> None:
    recipe = Recipe(
        entry="http", repo="app", target={"framework": "flask"}, inputs={"method": "POST", "path": "/book"}
    )
    others = [Met("POST", "/book", "L1"), Met("GET", "/seats?free=1", "L2"), Met("PUT", "/seats", "L3")]
    assert logged_inputs(recipe, others) == [{"method": "GET", "path": "/seats", "query": "free=1"}]


def served(before: str | int) -> Any:
    (other,) = same_moment(booked("ada"), [booked("bob", 0.007, "f")], timedelta(seconds=1))
    (mine,) = same_moment(booked("bob"), [booked("ada", 0.007, "f")], timedelta(seconds=1))
    target = {"framework": "flask", "module": "seats_of_two", "attribute": "app", "factory": False}
    schedule = {"before": before, "lines": 4, "other": other}
    source = call_source(Recipe(entry="http", repo="app", target=target, inputs=mine, schedule=schedule))
    space: dict[str, Any] = {"__name__": "reproducer", "__file__": "reproducer.py"}
    exec(compile(source, "reproducer.py", "exec"), space)  # noqa: S102 - what a sandbox would run
    return space["call"]()


@pytest.mark.parametrize(("before", "status"), [("price = seats.pop(seat)", 500), (ALONE, 409)])
def test_two_requests_lose_on_one_schedule_and_not_one_after_the_other(
    before: str | int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seats_of_two.py").write_text(SEATS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "seats_of_two", raising=False)
    try:
        assert served(before)[0] == status
    finally:
        sys.modules.pop("seats_of_two", None)
