"""An argument made again by the function that made it in production, as far as the caller's frame shows how."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixloop.reproduce.producers import with_producers
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.write import call_source
from fixloop.running.worlds import Layout, RepoLayout
from fixloop.situation import ReleaseSources, Situation
from store.mirrors import Mirrors
from tests.sandbox.histories import History, crash, frame, write

LABEL = "def label(order, upper=False):\n    return order['name'].upper()\n"
ROWS = "def record(row, city='Oslo'):\n    return {'title': row[0], 'city': city}\n"
HEAD = "from app.orders import label\nfrom app.rows import record\n\n\ndef parcel(row, other, make):\n"
GIVEN = {"module": "app.orders", "qualname": "label", "receiver": None, "wrap": None, "framework": "python"}


def made_again(tmp_path: Path, body: str, line: str, **shown: object) -> Recipe | None:
    caller = HEAD + body
    shas = write(tmp_path / "origin", History("app", [("Start", "2024-01-01", {
        "app/__init__.py": "", "app/orders.py": LABEL, "app/rows.py": ROWS, "app/parcels.py": caller,
    })]))  # fmt: skip
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.add("app", str(tmp_path / "origin"))
    order = {"title": "'Ada'", "city": "'Oslo'"}
    event = crash(
        "KeyError", "'name'",
        frame(caller, "app/parcels.py", "parcel", line, order=order, **shown),
        frame(LABEL, "app/orders.py", "label", "return order['name'].upper()", order=order),
    )  # fmt: skip
    layout = Layout((RepoLayout("app", shas[-1]),))
    situation = Situation([event], ReleaseSources(mirrors, layout.commits, {}), layout)
    inputs = {"args": [{"title": "Ada", "city": "Oslo"}], "kwargs": {}}
    recipe = Recipe(entry="frame", repo="app", target=GIVEN, inputs=inputs)
    return with_producers(recipe, situation.first, situation)


@pytest.mark.parametrize(
    ("body", "line", "call"),
    [
        (
            "    order = record(row)\n    return make(label(order))\n",
            "return make(label(order))",
            "record(['Ada'])",
        ),
        ("    return make(label(record(row)))\n", "return make(label(record(row)))", "record(['Ada'])"),
        (
            "    order = record(row, city='Rome')\n    if make:\n        return label(order=order)\n",
            "return label(order=order)",
            "record(['Ada'], city='Rome')",
        ),
    ],
)
def test_the_assignment_of_the_callers_frame_is_made_in_the_call(
    tmp_path: Path, body: str, line: str, call: str
) -> None:
    found = made_again(tmp_path, body, line, row=["'Ada'"])
    assert found is not None
    assert f"order = {call}" in call_source(found)
    assert "label(order)" in call_source(found)
    assert found.guessed == ("order: made by record(), as parcel() does",)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            "    order = {}\n    if make:\n        order = record(row)\n    return label(order)\n",
            "return label(order)",
        ),
        (
            "    order = record(row)\n    order = make(order)\n    return label(order)\n",
            "return label(order)",
        ),
        ("    order = record(other)\n    return label(order)\n", "return label(order)"),
        ("    order = record(row + other)\n    return label(order)\n", "return label(order)"),
    ],
    ids=["on one path only", "by something else since", "of what cannot be made", "of an expression"],
)
def test_where_the_frame_does_not_show_who_made_the_argument_nothing_is_made_up(
    tmp_path: Path, body: str, line: str
) -> None:
    assert made_again(tmp_path, body, line, row=["'Ada'"], other="<lost object at 0x7f00>") is None
