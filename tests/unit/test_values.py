"""Rebuilding values: a repr in an event is the attacker's text, and nothing but values may come of it."""

from __future__ import annotations

import datetime
import decimal
import math
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixloop.reproduce.requests import Application, request_recipe
from fixloop.reproduce.values import CONSTRUCTORS, plain, rebuild, render, renderable, size
from store.event import Request

UTC = datetime.UTC
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True),
    st.text(max_size=30),
    st.binary(max_size=30),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
)
KEYS = st.one_of(st.text(max_size=8), st.integers(), st.booleans())
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.sets(st.integers(), max_size=4),
        st.frozensets(st.text(max_size=4), max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=12,
)


def evaluated(tree: Any) -> Any:
    """What the rendered expression is in a fresh interpreter's eyes."""
    imports: set[str] = set()
    text = render(tree, imports)
    return eval(text, {name.partition(".")[0]: __import__(name) for name in imports})  # noqa: S307 - that is the test


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and list(one) == list(other)
            and all(same(v, other[k]) for k, v in one.items())
        )
    return type(one) is type(other) and one == other


@settings(deadline=None)
@given(VALUES)
def test_what_is_rebuilt_from_a_repr_and_written_out_is_the_value_again(value: Any) -> None:
    text = repr(value)
    built = rebuild(text, "x")
    if len(text) >= 1024:
        return
    assert built.ok, built.why
    assert same(value, evaluated(built.value))
    assert size(built.value) > 0


@pytest.mark.parametrize(
    "value",
    [
        decimal.Decimal("1.50"),
        uuid.UUID(int=7),
        datetime.timedelta(days=-1),
        float("-inf"),
        set(),
        (1,),
        b"\xfc",
        datetime.datetime(2024, 2, 29, tzinfo=UTC),
        {1: "a", None: {}},
        {"$call": "os.system"},
        frozenset({2}),
    ],
    ids=repr,
)
def test_the_usual_values_of_a_frame_come_back(value: Any) -> None:
    assert evaluated(rebuild(repr(value), "x").value) == value


HOSTILE = [
    "__import__('os').system('touch /tmp/owned')",
    "(lambda: exit())()",
    "[x for x in ().__class__.__bases__[0].__subclasses__()]",
    "open('/etc/passwd').read()",
    "os.system('x')",
    "datetime.datetime.__class__",
    "Decimal.__init__",
    "f'{exit()}'",
    "(yield)",
    "x := 1",
    "print",
    "set.__subclasses__()",
    "Decimal(**{'value': 1})",
    "Decimal(*[1])",
    "datetime.datetime.fromtimestamp(0)",
    "1 if exit() else 2",
    "a + b",
    "-" * 5000 + "1",
    "(" * 5000 + ")" * 5000,
    "[" * 150 + "]" * 150 + "[0]",
    "<object at 0x7f>",
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:40] or "nothing")
def test_a_hostile_repr_builds_nothing(text: str) -> None:
    built = rebuild(text, "x")
    assert built.value is None
    assert built.why
    assert len(built.why) < 300


@pytest.mark.parametrize(
    "name", ["os.system", "eval", "exec", "print", "subprocess.run", "builtins.eval", "open", "type"]
)
def test_names_of_the_standard_library_that_are_not_known_are_refused(name: str) -> None:
    assert not rebuild(f"{name}('x')", "x").ok
    with pytest.raises(ValueError, match="not a constructor"):
        render({"$call": name, "args": [], "kwargs": {}}, set())


@pytest.mark.parametrize("name", ["a b", "x();import os", "if", "a..b", "1.2", "shop.Order if 1 else"])
def test_what_is_no_dotted_name_is_never_written_out(name: str) -> None:
    with pytest.raises(ValueError, match="not a constructor"):
        render({"$call": name, "args": [], "kwargs": {}}, set())


def test_a_keyword_argument_has_to_be_a_name() -> None:
    with pytest.raises(ValueError, match="keyword"):
        render({"$call": "shop.Order", "args": [], "kwargs": {"a=exit(), b": 1}}, set())


def test_tags_in_what_the_sender_kept_are_keys_and_not_tags() -> None:
    kept = {"$call": "'os.system'", "args": ["'touch /tmp/owned'"], "kwargs": {}}
    built = rebuild(kept, "x")
    assert evaluated(built.value) == {"$call": "os.system", "args": ["touch /tmp/owned"], "kwargs": {}}
    sent = {"a": [{"$repr": "exit()"}], "$name": "os"}
    assert evaluated(plain(sent)) == sent


@settings(deadline=None)
@given(st.recursive(ATOMS.filter(lambda v: v is None or type(v) in (bool, int, str)), lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5) | st.just("$call"), inner, max_size=3))))  # fmt: skip
def test_json_that_was_sent_comes_back_as_it_was(value: Any) -> None:
    assert evaluated(plain(value)) == value


def test_a_request_body_with_tags_in_it_is_sent_as_it_was() -> None:
    body = {"$call": "os.system", "args": ["touch /tmp/owned"], "kwargs": {}}
    headers = {"Content-Type": "application/json", "$call": "x"}
    request = Request(method="POST", url="http://shop.example/orders", data=body, headers=headers)
    app = Application("flask", "shop", "shop.app", "app")
    inputs = request_recipe(app, request, lambda: True).inputs
    assert evaluated(inputs["json"]) == body
    assert "headers" not in inputs


def test_large_and_deep_values_are_refused_quickly() -> None:
    assert rebuild("'" + "x" * 10_000_000 + "'", "x").why == "x is too large"
    assert "cut" in str(rebuild("'" + "x" * 1020 + "...", "x").why)
    deep: Any = "1"
    for _ in range(sys.getrecursionlimit() * 2):
        deep = [deep]
    assert rebuild(deep, "x").why == "x is nested too deeply"


def test_ten_entries_are_noted_as_perhaps_cut_and_filtered_ones_as_redacted() -> None:
    assert rebuild(["1"] * 10, "x").guessed == ["x: exactly 10 items, the SDK may have cut the rest"]
    redacted = rebuild({"token": "[Filtered]"}, "x")
    assert (redacted.ok, redacted.redacted) == (False, ["x.token"])


def test_own_classes_are_built_only_where_they_are_known() -> None:
    known = rebuild("Order(1, name='a')", "x", lambda name: "shop.models.Order" if name == "Order" else None)
    imports: set[str] = set()
    assert render(known.value, imports) == "shop.models.Order(1, name='a')"
    assert imports == {"shop.models"}
    assert rebuild("Other(1)", "x", lambda name: None).why == "x is a Other, which is not rebuilt"


@pytest.mark.parametrize(
    ("snapshot", "fit"),
    [
        ([1, {"a": None}], True),
        ({"$tuple": [1]}, True),
        ({"$repr": "float('nan')"}, True),
        ({"$repr": "exit()"}, False),
        ({"$object": "shop.X", "repr": "X()"}, False),
        ({"$call": "os.system", "args": [], "kwargs": {}}, False),
        ({"$name": "os"}, False),
        ([{"$repr": "b'x'", "more": 1}], False),
    ],
)
def test_a_snapshot_is_written_as_a_literal_only_where_it_is_one(snapshot: Any, fit: bool) -> None:
    assert renderable(snapshot) is fit


def test_every_known_constructor_exists_and_is_a_class() -> None:
    for dotted in CONSTRUCTORS.values():
        module, _, name = dotted.rpartition(".")
        assert isinstance(getattr(__import__(module or "builtins"), name, None), type), dotted


def test_a_class_is_rebuilt_when_it_is_built_in_or_the_teams_own() -> None:
    assert rebuild("<class 'int'>", "type").value == {"$name": "int"}
    assert rebuild("<class 'shop.Order'>", "type", lambda name: "shop.models.Order").value == {
        "$name": "shop.models.Order"
    }
    assert (
        rebuild("<class 'os._wrap_close'>", "type").why
        == "type is the class os._wrap_close, which is not rebuilt"
    )
