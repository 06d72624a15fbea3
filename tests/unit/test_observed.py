"""What a function has seen of its objects, what an error implies, and functions inside functions: read as text."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.implied import implied
from fixloop.reproduce.nested import decorated, given_by
from fixloop.reproduce.observed import answering, first_state, observations
from fixloop.reproduce.syntax import Function, FunctionNode, functions
from fixloop.reproduce.values import render
from fixloop.reproduce.ways import Way

SHOP = """
from collections import namedtuple
from typing import NamedTuple

Point = namedtuple("Point", "x, y")


class Price(NamedTuple):
    net: float
    rate: float

    def gross(self):
        return self.net * self.rate


def price(n):
    return n


def checked(kind):
    def wrap(function):
        def inner(value, *args, **kwargs):
            return function(kind(value), *args, **kwargs)
        return inner
    return wrap


def column(name):
    def show(row):
        return row[name]
    return show
"""


def node_of(text: str) -> FunctionNode:
    return next(functions(ast.parse(text))).node


def inner(name: str) -> Function:
    return next(one for one in functions(ast.parse(SHOP)) if one.node.name == name)


def seen_as(text: str, root: str, message: str = "", /, **kept: Any) -> str:
    """The stand-in for a parameter, as it is written, where the last line of the function failed."""
    node = node_of(text)
    found = observations(node, node.end_lineno or 0, kept, message)
    way = answering(found[root], lambda name, value: Way(value))
    assert way is not None
    return render(way.value, set()).replace("unittest.mock.", "")


@pytest.mark.parametrize(
    ("body", "kept", "written"),
    [
        ("row = s.store.get(key)", {"row": 5}, "MagicMock(store=MagicMock(get=MagicMock(return_value=5)))"),
        ("row = await s.get(key)", {"row": 5}, "MagicMock(get=AsyncMock(return_value=5))"),
        ("kind = s.kind", {"kind": "a"}, "MagicMock(kind='a')"),
        ("kind = s.name", {"kind": "a"}, "types.SimpleNamespace(name='a')"),
        ("with s.open(1) as f: pass", {"f": 3}, "MagicMock(open=MagicMock(return_value=MagicMock(__enter__=MagicMock(return_value=3))))"),
        ("store = s.store; row = store.get()", {"row": 7}, "MagicMock(store=MagicMock(get=MagicMock(return_value=7)))"),
        ("for n, one in enumerate(reversed(s.layers)): pass", {"one": 2}, "MagicMock(layers=[2])"),
        ("for k, v in s.table.items(): pass", {"k": "a", "v": 1}, "MagicMock(table={'a': 1})"),
        ("a, b = s.pair()", {"a": 1, "b": 2}, "MagicMock(pair=MagicMock(return_value=[1, 2]))"),
    ],
)  # fmt: skip
def test_a_stand_in_answers_as_the_locals_show_it(body: str, kept: dict[str, Any], written: str) -> None:
    parts = "\n    ".join(body.split("; "))
    assert seen_as(f"async def f(s, key):\n    {parts}\n    return fail()\n", "s", **kept) == written


def test_what_comes_after_the_line_that_failed_was_not_seen() -> None:
    node = node_of("def f(s):\n    fail()\n    x = s.get()\n")
    assert observations(node, 2, {"x": 1}) == {}


@pytest.mark.parametrize(
    ("line", "message", "said"),
    [
        ("s.owner.upper()", "'NoneType' object has no attribute 'upper'", [("s.owner", None)]),
        ("s.find(n).text", "'NoneType' object has no attribute 'text'", [("s.find(n)", None)]),
        ("s.rows[0]", "list index out of range", [("s.rows", [])]),
        ("s.names['k']", "'k'", [("s.names", {})]),
        ("s.total / s.count", "division by zero", [("s.count", 0)]),
        ("len(s.rows)", "object of type 'NoneType' has no len()", [("s.rows", None)]),
        ("'a' in s.rows", "argument of type 'NoneType' is not iterable", [("s.rows", None)]),
        ("s.a + s.b", "unsupported operand type(s) for +: 'int' and 'NoneType'", [("s.a", 1), ("s.b", None)]),
        ("s.a < s.b", "'<' not supported between instances of 'str' and 'int'", [("s.a", "a"), ("s.b", 1)]),
        ("s.a.upper()", "something else", []),
    ],
)
def test_an_error_says_what_a_value_was(line: str, message: str, said: list[tuple[str, Any]]) -> None:
    node = node_of(f"def f(s, n):\n    return {line}\n")
    assert [(ast.unparse(part), value) for part, value in implied(node, 2, message)] == said


def test_moments_with_and_without_a_zone_are_told_apart_by_the_error() -> None:
    node = node_of("def f(s):\n    return s.a < s.b\n")
    found = [value for _, value in implied(node, 2, "can't compare offset-naive and offset-aware datetimes")]
    assert [render(value, set()) for value in found] == [
        "datetime.datetime(2024, 1, 1)",
        "datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)",
    ]


def test_a_constructor_gives_some_state_whatever_it_is_called_with() -> None:
    init = node_of("def __init__(self, a, b=3, *, c='x'):\n    self.a, self.n = a, 1\n    self.b = b\n    self.c = c\n"
                   "    self.rows = []\n    self.seen: set = set()\n    self.other = make()\n")  # fmt: skip
    assert first_state(init) == {"b": 3, "c": "x", "rows": [], "seen": {"$set": []}}
    assert first_state(None) == {}


def test_a_list_of_the_right_length_is_a_named_tuple_that_has_the_attributes() -> None:
    known = Catalogue(lambda: {"shop": SHOP})
    assert known.records({"x"}, 2, "shop") == ["shop.Point"]
    assert known.records({"gross", "net"}, 2, "shop") == ["shop.Price"]
    assert known.records({"x"}, 3, "shop") == []
    assert [known.is_record(one) for one in known.classes("Price")] == [True]


def test_a_wrapper_is_reached_by_what_it_decorates_and_a_closure_by_what_gives_it() -> None:
    known, tree = Catalogue(lambda: {"shop": SHOP}), ast.parse(SHOP)
    assert decorated(inner("inner"), {"function": "<function price at 0x7f>"}, known, "shop") == "shop.price"
    assert decorated(inner("inner"), {"function": "<function system at 0x7f>"}, known, "shop") is None
    assert (
        decorated(inner("inner"), {"function": "<function Price.gross at 0x7f>"}, known, "shop")
        == "shop.Price.gross"
    )
    outer = given_by(inner("show"), tree)
    assert outer is not None
    assert outer.qualname == "column"
    assert given_by(inner("inner"), tree) is None
