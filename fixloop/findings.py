"""What a repair knows between two steps, as one value: written down after each step, read by whoever goes on."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, Self

from fixloop.agent.purse import Spent
from fixloop.bench import Bench
from fixloop.judging.witness import Trial
from fixloop.prove import Search
from fixloop.reproduce.ladder import Reproduction
from fixloop.reproduce.recipe import Recipe
from fixloop.situation import Situation
from store.event import Value
from store.repair import CandidateChange, Ended, Hypothesis, Patch, Proof, Reproducer, Validation


class Findings(Value):
    """Nothing in here is tied to a process. `recipe`, `expected` and `parent` (repository, commit) are those of
    the minimal reproducer: the call, what is right, and the commit that gave it. Once `ended` is set no step is
    left. `spent` is in seconds."""

    candidates: tuple[CandidateChange, ...] | None = None  # ranked, before anything was run; None: not yet
    hypotheses: tuple[Hypothesis, ...] = ()  # whose citations hold
    reproduction: Reproduction | None = None
    search: Search | None = None
    recipe: Recipe | None = None
    expected: Any = None
    parent: tuple[str, str] | None = None
    reproducer: Reproducer | None = None
    patch: Patch | None = None
    validation: Validation | None = None
    proof: Proof | None = None
    rejected: tuple[tuple[Patch, Validation], ...] = ()
    tests: tuple[Reproducer, ...] = ()  # of the libraries that the patch changes
    closes: tuple[str, ...] = ()
    siblings: tuple[Reproducer, ...] = ()
    ended: Ended | None = None
    said: str = ""
    spent: float = 0.0
    model: Spent = Spent()  # what a model has used of its budget

    def to_json(self) -> str:
        """As plain ASCII: half characters and infinities, which an application may give, survive the way."""
        return json.dumps(self.model_dump(), separators=(",", ":"), sort_keys=True, default=_plain)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` wrote."""
        return cls.model_validate(json.loads(text))

    def trial(self, situation: Situation, bench: Bench) -> Trial | None:
        """What a patch can be judged against, once the reproducer is written."""
        if self.reproducer is None or self.recipe is None or self.reproduction is None:
            return None
        return Trial(
            reproducer=self.reproducer,
            recipe=self.recipe,
            signature=self.reproduction.signature,
            expected=self.expected,
            parents=bench.at(*self.parent) if self.parent else None,
            modules=frozenset(situation.modules),
        )


def _plain(value: object) -> object:
    """What JSON has no word for: moments and sets."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not part of any finding")


def input_hash(step: str, findings: Findings) -> str:
    """By what two runs of a step are the same one: its name, and all that it goes by except the time."""
    goes_by = findings.model_copy(update={"spent": 0.0}).to_json()
    return hashlib.sha256(f"{step}\0{goes_by}".encode()).hexdigest()[:16]
