"""What a fix does beyond its incident: the library's own test, other incidents that it closes, the same defect elsewhere.
Real git, real sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixloop.knowledge import Knowledge
from store.repair import Ended, Oracle, Reproducer
from tests.sandbox.histories import History, crash, frame, run_loop

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

KEPT = '''"""What is asked for often is kept."""

_kept = {}


def keep(function):
    """Ask once, and keep the answer."""

    def inner(*args):
        if (function.__name__, args) in _kept:
            return _kept[function.__name__, args]
        value = function(*args)
        _kept[function.__name__, args] = tuple(value)
        return list(value)

    return inner
'''
DISCOUNTS = '''"""Who gets what off."""

from library.cache import keep


@keep
def discounts_for(customer):
    """The discounts of a customer."""
    return ["loyal-" + customer]
'''
QUOTE = '''"""Quotes."""

from library.discounts import discounts_for


def quote(customer, coupon):
    """Everything that comes off, twice as the form asks it."""
    discounts_for(customer)
    return discounts_for(customer) + [coupon]
'''
BASKET = '''"""Baskets."""


def pieces(line):
    """How many of it."""
    return line["qty"]


def boxes(line):
    """How many boxes for it."""
    return line["qty"] // 10


def weight(line):
    """Grams of a line."""
    return line.get("qty", 1) * line["grams"]
'''


def other(repo: str, name: str, call: str) -> Reproducer:
    """The test of another incident."""
    source = f"from app.basket import boxes, pieces\n\n\ndef {name}():\n    assert {call}\n"
    return Reproducer(
        repo=repo, framework="pytest", test_path=f"tests/{name}.py", source=source, command="", entry="frame",
        oracle=Oracle.SIBLING_CONTRACT,
    )  # fmt: skip


@pytest.mark.heavy
def test_a_fix_in_a_library_goes_forward_and_gets_a_test_of_the_librarys_own(tmp_path: Path) -> None:
    library = {"library/__init__.py": "", "library/discounts.py": DISCOUNTS}
    before = KEPT.replace("= tuple(value)", "= value")
    line = "return discounts_for(customer) + [coupon]"
    message = 'can only concatenate tuple (not "list") to tuple'
    event = crash(
        "TypeError", message, frame(QUOTE, "app/quote.py", "quote", line, customer="'acme'", coupon="'x'")
    )
    done = run_loop(tmp_path, [
        History("app", [("Start", "2024-01-01", {"app/__init__.py": "", "app/quote.py": QUOTE})]),
        History("library", [("Start", "2023-12-01", {**library, "library/cache.py": before}),
                            ("Freeze what is kept", "2024-02-01", {"library/cache.py": KEPT})]),
    ], event, until="repair")  # fmt: skip
    attempt = done.attempt
    assert attempt.ended is Ended.PROVEN, attempt.said
    assert attempt.patch is not None
    assert (attempt.patch.fixer, list(attempt.patch.diffs)) == ("rules", ["library"])
    assert attempt.reproducer is not None
    assert attempt.reproducer.repo == "app"
    (own,) = attempt.tests
    assert (own.repo, own.failures, own.runs) == ("library", 20, 20)
    assert "from library.discounts import discounts_for" in own.source
    assert 'assert result == ["loyal-acme"]' in own.source


@pytest.mark.heavy
def test_a_fix_names_the_incidents_that_it_closes_and_the_defect_that_it_leaves(tmp_path: Path) -> None:
    before = BASKET.replace('return line["qty"]\n', 'return line.get("qty", 1)\n')
    files = {"app/__init__.py": "", "app/basket.py": before}
    history = History(
        "app", [("Start", "2024-01-01", files), ("Simplify", "2024-02-01", {"app/basket.py": BASKET})]
    )
    event = crash(
        "KeyError",
        "'qty'",
        frame(BASKET, "app/basket.py", "pieces", 'return line["qty"]', line={"grams": "5"}),
    )
    tests = (
        ("INC-7", other("app", "test_pieces", 'pieces({"grams": 9}) == 1')),
        ("INC-8", other("app", "test_boxes", 'boxes({"grams": 9}) == 0')),
    )
    done = run_loop(tmp_path, [history], event, until="repair", knowledge=Knowledge(tests=tests))
    attempt = done.attempt
    assert attempt.ended is Ended.PROVEN, attempt.said
    assert attempt.closes == ("INC-7",)
    (sibling,) = attempt.siblings
    assert sibling.recipe["target"]["qualname"] == "boxes"
    assert "boxes(line={" in sibling.source
