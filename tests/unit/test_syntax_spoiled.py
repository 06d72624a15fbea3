"""Locals in an event are post mortem: which of them may not be what the call was given?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

from fixloop.reproduce.syntax import function_at, functions, parameter_names, parse, required, spoiled


def reasons(source: str, crash: str) -> dict[str, str]:
    """What is spoiled at the line with the text `crash` in the only function of `source`."""
    text = dedent(source).strip()
    tree = parse(text)
    assert tree is not None
    function = next(functions(tree))
    line = next(i for i, found in enumerate(text.splitlines(), 1) if crash in found)
    return spoiled(function.node, line)


@pytest.mark.parametrize(
    ("body", "spoils"),
    [
        ("items.pop()", {"items"}),
        ("items.sort()", {"items"}),
        ("items[0] = 1", {"items"}),
        ("del items[0]", {"items"}),
        ("items.name = 1", {"items"}),
        ("items = list(items)", {"items"}),
        ("items += [1]", {"items"}),
        ("first = next(items)", {"items"}),
        ("for items in other: pass", {"items"}),
        ("with other as items: pass", {"items"}),
        ("(items := 3)", {"items"}),
        ("other.update(a=1); items.append(2)", {"items", "other"}),
        ("first = items[0]", set()),
        ("count = len(items); local = []; local.append(1)", set()),
        ("inner = lambda: items.pop()", set()),
    ],
)
def test_what_is_rebound_changed_or_consumed_before_the_crash_is_spoiled(body: str, spoils: set[str]) -> None:
    found = reasons(f"def f(items, other):\n    {body}\n    crash()\n", "crash()")
    assert set(found) == spoils
    assert all("line 2, before the crash" in why for why in found.values())


def test_what_happens_after_the_crash_spoils_nothing() -> None:
    assert reasons("def f(items):\n    crash()\n    items.pop()\n", "crash()") == {}


def test_inside_a_loop_later_lines_are_earlier_ones_too() -> None:
    source = """
    def f(items, rest):
        for one in range(3):
            crash(items)
            items.pop()
        rest.pop()
    """
    assert set(reasons(source, "crash")) == {"items"}


def test_a_loop_that_is_over_counts_as_what_it_is() -> None:
    source = """
    def f(items):
        while items:
            items.pop()
        crash(items)
    """
    assert set(reasons(source, "crash")) == {"items"}


def test_a_call_on_the_crash_line_itself_may_have_happened() -> None:
    assert set(reasons("def f(items):\n    return items.pop(0)['x']\n", "pop")) == {"items"}


def test_parameters_of_every_kind_are_seen() -> None:
    tree = parse("def f(a, /, b, *rest, c, d=1, **words):\n    words.pop('x')\n    rest = 1\n    crash()\n")
    assert tree is not None
    node = next(functions(tree)).node
    assert parameter_names(node) == ["a", "b", "c", "d", "rest", "words"]
    assert required(node) == {"a", "b", "c"}
    assert set(spoiled(node, 4)) == {"words", "rest"}


def test_the_innermost_function_around_a_line_is_found_with_its_decorators() -> None:
    tree = parse(
        "class A:\n    @cached\n    def f(self):\n        def g():\n            return 1\n        return g\n"
    )
    assert tree is not None
    assert [(at := function_at(tree, line)) and at.qualname for line in (1, 2, 3, 5, 6)] == [
        None, "A.f", "A.f", "A.f.g", "A.f",
    ]  # fmt: skip


def test_text_that_is_not_python_has_no_tree() -> None:
    assert parse("def f(:") is None
    assert parse("x = " + "(" * 10_000) is None
    assert parse("\0") is None


def test_many_threads_may_read_sources_at_once() -> None:
    text = "\n".join(f"x{i} = [(({i} + 1) * (2 - {i})) for _ in range({i})]" for i in range(400))
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(parse, [text] * 24))
    assert all(tree is not None and len(tree.body) == 400 for tree in trees)
