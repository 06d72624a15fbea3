"""Two different requests of one moment are made at once, on the schedule on which they lose."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixloop.reproduce.interleaving import ALONE
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.requests import same_moment
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
