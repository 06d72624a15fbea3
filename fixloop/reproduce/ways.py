"""Ways to have a value that an event shows only in part, each with its cost and with what was guessed."""

from __future__ import annotations

import heapq
import keyword
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Way:
    """One way to have a value. `objects` are made before the call, in order; `value` may refer to them."""

    value: Any
    cost: int = 0
    notes: tuple[str, ...] = ()
    objects: tuple[dict[str, Any], ...] = ()

    def noted(self, note: str | None, cost: int) -> Way:
        """The same way with a note more, which makes it cost more; as it is where there is none."""
        return replace(self, cost=self.cost + cost, notes=(note, *self.notes)) if note else self


@dataclass(frozen=True)
class Wanted:
    """What is known of the thing that is looked for: its name, the kept text, what its place says of its type."""

    name: str
    text: str = ""
    annotation: str = ""
    words: tuple[str, ...] = ()  # class names that the documentation gives it
    used: frozenset[str] = frozenset()  # attributes that the code uses of it


def cheapest(choices: Sequence[Sequence[Way]], most: int) -> Iterator[tuple[Way, ...]]:
    """One way of each, the cheapest together first. Each sequence is sorted by cost."""
    if not all(choices):
        return
    start = (0,) * len(choices)
    pending, seen = [(sum(ways[0].cost for ways in choices), start)], {start}
    for _ in range(most):
        if not pending:
            return
        _, at = heapq.heappop(pending)
        yield tuple(ways[i] for ways, i in zip(choices, at, strict=True))
        for place in range(len(at)):
            following = (*at[:place], at[place] + 1, *at[place + 1 :])
            if following[place] < len(choices[place]) and following not in seen:
                seen.add(following)
                cost = sum(ways[i].cost for ways, i in zip(choices, following, strict=True))
                heapq.heappush(pending, (cost, following))


def variable(name: str, kind: str) -> str:
    """A variable's name for an object: the local's, or the class's in lower case."""
    last = name.rpartition(".")[2].partition("[")[0]
    if last.isidentifier() and last not in ("self", "cls", "args", "kwargs") and not keyword.iskeyword(last):
        chosen = last.lower().strip("_")
    else:
        chosen = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.strip("_")).lower()
    if chosen == kind:
        return f"the_{chosen}"
    return chosen if chosen.isidentifier() and not keyword.iskeyword(chosen) else "made"


def distinct(ways: Iterable[Way]) -> list[Way]:
    """Each way once, the first of it."""
    found: dict[str, Way] = {}
    for way in ways:
        found.setdefault(repr((way.value, way.objects)), way)
    return list(found.values())
