"""Data-shape drift: what sampled payloads look like, in counts, and the sentence that is made of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from fixloop.changes.ranking import rank
from fixloop.drift import Records, records_in_tests, sentence
from fixloop.running.worlds import Layout, RepoLayout
from fixloop.situation import ReleaseSources, Situation
from server.house import House
from store import journal, queries, sketches
from store.event import Event, ExceptionValue, Frame, Request
from store.field_shapes import FIELDS
from store.incident import Fingerprint
from store.mirrors import Mirrors
from store.shapes import FieldDay, Presence, entry_of, shapes_of
from tests.sandbox.histories import History, crash, frame, write

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
BEFORE = '''"""Orders."""


def total(order):
    """The sum of an order."""
    return order["count"] * order["price"]
'''
AFTER = BEFORE.replace('order["price"]', 'order["unit_price"]')
TEST = """from orders import total


def test_total():
    assert total({"count": 2, "price": 3, "unit_price": 3}) == 6
"""


def event(body: Any, number: int = 0, at: datetime = NOW, **fields: Any) -> Event:
    raised = ExceptionValue(type="KeyError", value="'unit_price'")
    return Event(
        event_id=f"{number:032x}", project="default", received_at=at, timestamp=at, exceptions=(raised,),
        transaction="POST /orders", request=Request(method="POST", data=body), **fields,
    )  # fmt: skip


def test_a_sketch_holds_names_kinds_and_lengths_and_no_value() -> None:
    body = {
        "name": "Ada Lovelace",
        "lines": [{"sku": "abcd", "gift": None}],
        "ada@example.org": 1,
        "1815": True,
    }
    query = Request(method="POST", data=body, query_string="token=verysecret&page=2")
    shapes = shapes_of(event(None).model_copy(update={"request": query}))
    assert ("body.name", "text:4") in shapes
    assert ("body.lines[].gift", "null") in shapes
    assert ("query.token", "text:4") in shapes
    assert [shape for field, shape in shapes if field == "body.*"] == ["number", "bool"]
    assert not {"Ada", "ada", "1815", "abcd", "verysecret"} & {
        word for pair in shapes for word in pair[0].split(".")
    }


def test_the_mappings_of_the_failing_function_count_and_an_event_has_so_many_fields() -> None:
    deep: Any = {}
    deep["again"] = deep
    frames = (
        Frame(function="view", in_app=True, vars={"hidden": {"a": 1}}),
        Frame(function="total", in_app=True, vars={"order": {"count": 2}, "rate": 0.2, "deep": deep}),
    )
    raised = (ExceptionValue(type="KeyError", frames=frames),)
    shapes = shapes_of(event(None).model_copy(update={"exceptions": raised}))
    assert ("total.order.count", "number") in shapes
    assert not any("hidden" in field or "rate" in field for field, _ in shapes)
    assert len(shapes_of(event({f"field_{chr(97 + n % 26)}_{n}": n for n in range(500)}))) == FIELDS


def test_an_entry_is_the_transaction_or_the_path_without_its_numbers_or_the_outermost_function() -> None:
    nameless = event({}).model_copy(update={"transaction": None})
    asked = Request(method="GET", url="https://shop.example/orders/4711/lines?x=1")
    assert entry_of(event({})) == "POST /orders"
    assert entry_of(nameless.model_copy(update={"request": asked})) == "GET /orders/*/lines"
    raised = (ExceptionValue(type="E", frames=(Frame(function="work", module="jobs", in_app=True),)),)
    job = nameless.model_copy(update={"request": None, "exceptions": raised})
    assert entry_of(job) == "jobs:work"


def test_the_share_that_lacks_a_field_is_known_by_day_and_old_days_go(house: House) -> None:
    database = house.database
    old = NOW - timedelta(days=3)
    bodies = [{"count": 1, "unit_price": 2}, {"count": 1}, {"count": 1, "unit_price": None}]
    events = [event(bodies[n % 3], n, NOW if n % 2 else old) for n in range(12)]
    for one in events:
        print_ = Fingerprint(mechanism="code", key="k", parts=("k",))
        journal.record(database, house.artifacts, [(one, print_, "KeyError", "total")])
    project = queries.project(database, "default").id
    found = sketches.presences(database, project, "POST /orders", ["unit_price"])
    days = (FieldDay(date(2026, 5, 17), 6, 4, 2), FieldDay(date(2026, 5, 20), 6, 4, 2))
    assert found == [Presence("POST /orders", "body.unit_price", days, ("count",))]
    assert sketches.forget(database, NOW + sketches.KEPT) > 0
    assert sketches.presences(database, project, "POST /orders", ["unit_price"])[0].days == days[1:]


def presence(*days: FieldDay) -> Presence:
    return Presence("POST /orders", "body.unit_price", days, ("count", "price"))


def test_the_sentence_says_share_first_day_and_tests() -> None:
    days = (
        FieldDay(date(2026, 4, 1), 10, 10, 0),
        FieldDay(date(2026, 5, 1), 4, 2, 1),
        FieldDay(date(2026, 5, 6), 6, 2, 0),
    )
    said = sentence("unit_price", presence(*days), Records(3, None))
    assert "60 % of the recent payloads of POST /orders lack body.unit_price (6 of 10" in said
    assert "in 1 it is null" in said
    assert "the first that was seen came on 2026-05-01" in said
    assert "no test has such a record: all 3 that look like it have 'unit_price'" in said
    assert "a test has such a record (tests/t.py:3)" in sentence(
        "x", presence(*days), Records(3, "tests/t.py:3")
    )


def test_the_change_that_began_to_read_the_field_is_told_with_the_share_and_the_tests(tmp_path: Path) -> None:
    history = History("shop", [
        ("Start", "2024-01-01", {"orders.py": BEFORE, "tests/test_orders.py": TEST}),
        ("Prices by unit", "2024-02-01", {"orders.py": AFTER}),
    ])  # fmt: skip
    commits = write(tmp_path / "origin", history)
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.add("shop", str(tmp_path / "origin"))
    line = 'return order["count"] * order["unit_price"]'
    failed = crash("KeyError", "'unit_price'", frame(AFTER, "orders.py", "total", line))
    layout = Layout((RepoLayout("shop", commits[-1]),))
    situation = Situation([failed], ReleaseSources(mirrors, layout.commits, {}), layout)
    seen = presence(FieldDay(date(2026, 5, 1), 8, 5, 0))
    first = rank(situation, mirrors, {}, presences=[seen])[0]
    assert first.commit == commits[-1]
    assert first.reasons[0].startswith(
        "began to read 'unit_price': 38 % of the recent payloads of POST /orders lack"
    )
    assert "the one that looks like it has 'unit_price'" in first.reasons[0]
    records = records_in_tests(mirrors.get("shop"), commits[-1], "city", ["count", "price"])
    assert records == Records(1, "tests/test_orders.py:5")
