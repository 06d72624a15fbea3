"""The clock of a call: stopped at the moment of the incident, where the failure depends on what time it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from fixloop.reproduce.recipe import Recipe

LATER = timedelta(
    days=400, hours=7, minutes=13
)  # a moment at which a test that does not ask for the time fails as well
_READS = re.compile(
    r"\b(?:utcnow|now|today|localtime|gmtime|localdate|localtime_r)\(|\btime\.time(?:_ns)?\(|\bauto_now"
    r"|\bfrom time import\b.*\btime\b|\butils import timezone\b"
)


def reads_clock(texts: Iterable[str]) -> bool:
    """Whether the code may ask what time it is."""
    return any(_READS.search(text) for text in texts)


def stopped(recipe: Recipe, moment: datetime) -> Recipe:
    """The call with the clock stopped at a moment, to the second."""
    return recipe.model_copy(update={"now": moment.astimezone(UTC).replace(microsecond=0).isoformat()})


def travelling(now: str) -> list[str]:
    """The line that stops the clock for what stands in its block."""
    return [f"with time_machine.travel({now!r}, tick=False):"]
