"""A hypothesis before it has a number."""

from __future__ import annotations

from dataclasses import dataclass

from store.repair import Evidence, Prediction


@dataclass(frozen=True)
class Guess:
    """What a pattern says. Citations that could not be made are None and left out."""

    kind: str
    score: float
    statement: str
    evidence: tuple[Evidence | None, ...]
    predicts: str = ""
    test: Prediction | None = None
    missing: tuple[str, ...] = ()
