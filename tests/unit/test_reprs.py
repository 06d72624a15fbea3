"""Reprs that are no expressions: what is read out of them, and that nothing more is."""

from __future__ import annotations

import ast

import pytest

from fixloop.reproduce.reprs import class_name, expression, function_name, member, positional, shown
from fixloop.reproduce.values import rebuild


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("[1, <shop.Order object at 0x7f>]", "[1, _nd_hole_('<shop.Order object at 0x7f>')]"),
        ("Foo(a=<Color.RED: 1>, b='<x>')", "Foo(a=_nd_hole_('<Color.RED: 1>'), b='<x>')"),
        ("dict_items([('a', 1)])", "list([('a', 1)])"),
        ("{'a': <A b=<C d='>'>>}", "{'a': _nd_hole_(\"<A b=<C d='>'>>\")}"),
        ("1 < 2", "1 < 2"),
    ],
)
def test_angle_brackets_become_holes_and_the_rest_is_parsed(text: str, shape: str) -> None:
    tree = expression(text)
    assert tree is not None
    assert ast.unparse(tree) == shape


@pytest.mark.parametrize("text", ["<", "[<", "<<>", "a b", "'", "(" * 5000, "{<a>: }", "\x00"])
def test_what_is_no_repr_has_no_expression_and_takes_no_time(text: str) -> None:
    assert expression(text) is None or not isinstance(expression(text), ast.Constant)


def test_attributes_that_a_repr_shows_are_read_with_their_values() -> None:
    assert shown("<Order number=4 name='a b' state=<State.OPEN: 1>>") == {
        "number": "4",
        "name": "'a b'",
        "state": "<State.OPEN: 1>",
    }
    assert shown("(name='driver.py', path='/srv/x')") == {"name": "'driver.py'", "path": "'/srv/x'"}
    assert shown("<shop.Order object at 0x7f00>") == {}
    assert list(positional("<Template 'receipt.html'>")) == ["'receipt.html'"]


def test_the_names_in_a_repr_are_told_apart() -> None:
    assert class_name("<shop.models.Order object at 0x7f00>") == "shop.models.Order"
    assert class_name("URL('https://a.example')") == "URL"
    assert class_name("<function f at 0x7f00>") is None
    assert class_name("<shop.make.<locals>.Inner object at 0x7f>") is None
    assert member("<State.OPEN: 'open'>") == ("State", "OPEN")
    assert function_name("<built-in function add>") == "add"
    assert function_name("<function outer.<locals>.inner at 0x7f>") is None


def test_a_hole_stays_where_it_is_and_what_is_around_it_is_rebuilt() -> None:
    built = rebuild({"a": "[1, <x.Y object at 0x7f>]"}, "kept", holes=True)
    assert built.value == {"a": [1, {"$hole": "<x.Y object at 0x7f>"}]}
    assert not rebuild({"a": "[1, <x.Y object at 0x7f>]"}, "kept").ok
    assert rebuild("[Filtered]", "token", holes=True).redacted == ["token"]


def test_an_enumerations_member_is_named_by_its_own_class_only() -> None:
    known = rebuild("<State.OPEN: 1>", "x", lambda name: "shop.State" if name == "State" else None)
    assert known.value == {"$member": ["shop.State", "OPEN"]}
    assert not rebuild("<State.OPEN: 1>", "x").ok
