"""Each template with a policy that the team's own code states, and none without one. Real git, real sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from fixloop.fixers import FixCase, Fixer
from fixloop.loop import FIXERS
from store.repair import Ended, Patch
from tests.sandbox.histories import History, Outcome, crash, frame, run_loop

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

BASKET = '''"""Baskets."""


def pieces(line):
    """How many of it."""
    return line["qty"]


def weight(line):
    """Grams of a line."""
    return line.get("qty", 1) * line["grams"]
'''
STATS = '''"""Figures."""


def longest(waits):
    """The longest wait of the day."""
    return max(waits)


def shortest(waits):
    """The shortest wait of the day."""
    return min(waits, default=0)


def widest(widths):
    """The widest of the day."""
    return max(widths, default=0)
'''


class Onlooker:
    """A fixer that proposes nothing and remembers what it was shown."""

    name = "onlooker"

    def __init__(self) -> None:
        self.cases: list[FixCase] = []

    def propose(self, case: FixCase) -> Sequence[Patch]:
        self.cases.append(case)
        return ()


def fix_case(tmp_path: Path, text: str, before: str, path: str, *crashed: object) -> FixCase:
    """What a fixer is shown of such a crash."""
    onlooker = Onlooker()
    repaired(tmp_path, text, before, path, *crashed, fixers=(onlooker,))
    return onlooker.cases[0]


def repaired(
    tmp_path: Path, text: str, before: str, path: str, *crashed: object, fixers: Sequence[Fixer] = FIXERS
) -> Outcome:
    kind, message, function, line, kept = crashed
    files = {"app/__init__.py": "", path: before}
    history = History("app", [("Start", "2024-01-01", files), ("Simplify", "2024-02-01", {path: text})])
    event = crash(str(kind), str(message), frame(text, path, str(function), str(line), **kept))  # type: ignore[arg-type]
    return run_loop(tmp_path, [history], event, until="repair", fixers=fixers)


def patches(outcome: Outcome) -> dict[str, str]:
    """Fixer to diff, of everything that was judged."""
    attempt = outcome.attempt
    judged = [patch for patch, _ in attempt.rejected] + ([attempt.patch] if attempt.patch else [])
    return {patch.fixer: patch.diffs["app"] for patch in judged}


def test_a_missing_key_gets_the_default_that_a_sibling_states(tmp_path: Path) -> None:
    before = BASKET.replace('return line["qty"]\n', 'return line.get("qty", 1)\n')
    done = repaired(tmp_path, BASKET, before, "app/basket.py",
                    "KeyError", "'qty'", "pieces", 'return line["qty"]', {"line": {"grams": "5"}})  # fmt: skip
    assert done.attempt.ended is Ended.PROVEN, done.attempt.said
    assert "+    return line.get('qty', 1)" in patches(done)["rules"]


def test_a_missing_key_without_a_stated_default_gets_no_template(tmp_path: Path) -> None:
    text = BASKET.replace('line.get("qty", 1)', 'line["qty"]')
    done = repaired(tmp_path, text, text.replace('return line["qty"]\n', "return 1\n"), "app/basket.py",
                    "KeyError", "'qty'", "pieces", 'return line["qty"]', {"line": {"grams": "5"}})  # fmt: skip
    assert "rules" not in patches(done)


@pytest.mark.heavy
def test_the_largest_of_nothing_is_what_siblings_say_it_is(tmp_path: Path) -> None:
    before = STATS.replace("return max(waits)", "return max(waits) if waits else 0")
    done = repaired(tmp_path, STATS, before, "app/stats.py",
                    "ValueError", "max() arg is an empty sequence", "longest", "return max(waits)",
                    {"waits": []})  # fmt: skip
    assert done.attempt.ended is Ended.PROVEN, done.attempt.said
    assert "+    return max(waits, default=0)" in patches(done)["rules"]


@pytest.mark.heavy
def test_where_siblings_do_not_agree_nothing_is_invented(tmp_path: Path) -> None:
    text = STATS.replace("max(widths, default=0)", "max(widths, default=0) or max(widths, default=7)")
    done = repaired(tmp_path, text, text.replace("return max(waits)", "return 0"), "app/stats.py",
                    "ValueError", "max() arg is an empty sequence", "longest", "return max(waits)",
                    {"waits": []})  # fmt: skip
    assert "rules" not in patches(done)


def test_a_fixer_that_fails_inside_keeps_no_other_from_its_patch(tmp_path: Path) -> None:
    class Broken:
        name = "broken"

        def propose(self, case: FixCase) -> Sequence[Patch]:
            raise RuntimeError("a stranger's mistake")

    before = BASKET.replace('return line["qty"]\n', 'return line.get("qty", 1)\n')
    done = repaired(tmp_path, BASKET, before, "app/basket.py",
                    "KeyError", "'qty'", "pieces", 'return line["qty"]', {"line": {"grams": "5"}},
                    fixers=(Broken(), *FIXERS))  # fmt: skip
    assert done.attempt.ended is Ended.PROVEN, done.attempt.said
