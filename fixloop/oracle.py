"""What an outcome means: the same failure, a good answer, a feature that is not there, another failure.

A good answer is a value, or an error that own code raises *on purpose* (its innermost line is a `raise`): a
parent that refused an input properly has shown the right behaviour, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.same import Signature
from fixloop.reproduce.write import assertable
from fixloop.running.runner import CALL_PATH, Outcome, Raised
from fixloop.running.worlds import SOURCES

_PLACE = re.compile(
    r" \((?:/[^()]*|unknown location)\)"
)  # where an interpreter keeps its modules is nobody's business

_ASKED = re.compile(r"missing \d+ required")  # arguments


class Meaning(StrEnum):
    SAME = "same"  # the incident's failure
    GOOD = "good"  # a right answer
    ABSENT = "absent"  # what is called is not there (yet)
    OTHER = "other"  # fails in another way
    BROKEN = "broken"  # cannot be run at all


@dataclass(frozen=True)
class Reading:
    """The meaning of an outcome. `expected` is the snapshot that a GOOD outcome stands for; `said` is for
    people."""

    meaning: Meaning
    said: str
    expected: Any = None


def read(recipe: Recipe, signature: Signature, outcome: Outcome, own_modules: frozenset[str]) -> Reading:
    """What one outcome of a recipe means."""
    if signature.escapes and ended_well(recipe, outcome):
        outcome = replace(outcome, raised=())  # it was raised, caught, and answered
    if signature.matches(outcome) or any(_same_in_older_words(signature, raised) for raised in outcome.seen):
        return Reading(Meaning.SAME, "fails the same way")
    if outcome.status in ("died", "timeout"):
        return Reading(
            Meaning.BROKEN,
            "did not end in time" if outcome.status == "timeout" else "ended without an answer",
        )
    if outcome.exception is not None:
        return _raised(outcome.exception, own_modules)
    if recipe.entry == "http":
        return _answered(outcome)
    if not assertable(outcome.value):
        return Reading(Meaning.GOOD, "gives a value that cannot be written down", None)
    return Reading(Meaning.GOOD, "gives a value", outcome.value)


def ended_well(recipe: Recipe, outcome: Outcome) -> bool:
    """Whether the call came back with an answer instead of an error."""
    if outcome.status != "ok":
        return False
    pair = outcome.value.get("$tuple") if isinstance(outcome.value, dict) else None
    if recipe.entry != "http" or not isinstance(pair, list) or not pair:
        return recipe.entry != "http"
    return isinstance(pair[0], int) and pair[0] < 500


def _same_in_older_words(signature: Signature, raised: Raised) -> bool:
    """The same error with the same words; in that version its line, or its function, may read differently."""
    relaxed = Signature(
        signature.type, None if signature.message else signature.function, None, signature.message
    )
    return relaxed.is_it(raised)


def _raised(error: Raised, own_modules: frozenset[str]) -> Reading:
    said = f"raises {error.type}: {_PLACE.sub('', error.message)[:120]}"
    if error.type in ("ImportError", "ModuleNotFoundError") and error.missing is not None:
        own = error.missing.partition(".")[0] in {name.partition(".")[0] for name in own_modules}
        return Reading(Meaning.ABSENT if own else Meaning.BROKEN, said)
    last = str(error.last.get("path", ""))
    if last == CALL_PATH and error.type == "TypeError" and _ASKED.search(error.message):
        return Reading(Meaning.OTHER, said)  # it is there, and was called otherwise
    if last == CALL_PATH and error.type in ("AttributeError", "TypeError", "ImportError", "NameError"):
        return Reading(Meaning.ABSENT, said)
    if _on_purpose(error):
        return Reading(Meaning.GOOD, said, {"$raises": error.dotted})
    return Reading(Meaning.OTHER, said)


def refuses(outcome: Outcome) -> bool:
    """Whether the call ended in an error that own code raises on purpose."""
    return outcome.status == "raised" and outcome.exception is not None and _on_purpose(outcome.exception)


def _on_purpose(error: Raised) -> bool:
    raising = str(error.last.get("text", "")).startswith("raise ")
    own = str(error.last.get("path", "")).startswith(SOURCES + "/")
    return raising and own and error.type not in ("AssertionError", "NotImplementedError", "SystemExit")


def _answered(outcome: Outcome) -> Reading:
    pair = outcome.value.get("$tuple") if isinstance(outcome.value, dict) else None
    if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], int):
        return Reading(Meaning.OTHER, "gave no HTTP answer")
    if pair[0] in (404, 405, 501):
        return Reading(Meaning.ABSENT, f"answers {pair[0]}")
    if pair[0] >= 500:
        told = outcome.seen[-1] if outcome.seen else None
        return Reading(
            Meaning.OTHER, f"answers {pair[0]}" + (f" ({told.type}: {told.message[:100]})" if told else "")
        )
    return Reading(Meaning.GOOD, f"answers {pair[0]}", outcome.value if assertable(outcome.value) else None)
