"""Answers beside answers: is what the patched code gives what the code gave before, and what it should
give?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fixloop.oracle import Meaning, Reading, ended_well, read, refuses
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.same import Signature
from fixloop.running.runner import Outcome

NONE = {"$repr": "None"}  # a None that was given, as against a value that cannot be written down


def told(
    recipe: Recipe,
    signature: Signature,
    outcome: Outcome,
    modules: frozenset[str],
    failed_before: bool = False,
) -> Reading:
    """What an outcome means. With `failed_before` the unpatched call ended in an error: then an answer counts
    as one even though the same exception is still raised inside, for the patch may catch it where it
    should, and so does an error that own code raises on purpose in its place."""
    if failed_before and (ended_well(recipe, outcome) or refuses(outcome)):
        outcome = replace(outcome, raised=())
    reading = read(recipe, signature, outcome, modules)
    given_none = outcome.status == "ok" and outcome.value is None and recipe.entry != "http"
    return replace(reading, expected=NONE) if reading.meaning == Meaning.GOOD and given_none else reading


def fault(before: Reading, parent: Reading | None, after: Reading) -> str | None:
    """What is wrong with the patched answer to a neighbour, or None. `before` is the unpatched release's,
    `parent` the one of the proven cause's parent."""
    if before.meaning == Meaning.GOOD:
        if after.meaning != Meaning.GOOD:
            return f"a neighbour that worked now {after.said}"
        return None if before.expected == after.expected else "a neighbour's answer has changed"
    if before.meaning == Meaning.SAME and after.meaning == Meaning.SAME:
        failed_always = (
            parent is not None and parent.meaning == Meaning.SAME
        )  # nobody ever served it: not this fault
        return None if failed_always else "a neighbour still fails the same way"
    right = parent if parent is not None and parent.meaning == Meaning.GOOD else None
    if after.meaning == Meaning.GOOD:
        if right is not None and not keeps(right.expected, after.expected):
            return "a neighbour's answer is not what it was before the change"
        refused = Meaning.OTHER in (before.meaning, parent.meaning if parent else None)
        if refused and parent is not None and (before.meaning, before.said) == (parent.meaning, parent.said):
            hides = "before the change as well, now gives a value: that hides the error"
            return f"a neighbour that {before.said}, {hides}"
        return None
    if before.meaning == Meaning.SAME and (parent is None or right is not None):
        return f"a neighbour now {after.said}"
    return None


def keeps(expected: Any, actual: Any) -> bool:
    """The assertion of the written tests, on snapshots: all of `expected` is in `actual`, which may say more.
    At the top, None means that nothing is known of what is right."""
    return expected is None or _keeps(expected, actual)


def _keeps(expected: Any, actual: Any) -> bool:
    if isinstance(expected, dict) and not any(key.startswith("$") for key in expected):
        return isinstance(actual, dict) and all(
            k in actual and _keeps(v, actual[k]) for k, v in expected.items()
        )
    if isinstance(expected, dict) and "$tuple" in expected:
        return isinstance(actual, dict) and _keeps(expected["$tuple"], actual.get("$tuple"))
    if isinstance(expected, list):
        return (
            isinstance(actual, list) and len(actual) == len(expected) and all(map(_keeps, expected, actual))
        )
    return type(actual) is type(expected) and bool(actual == expected)
