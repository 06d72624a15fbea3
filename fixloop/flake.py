"""N runs, one verdict with its bound: always, never, sometimes."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb


@dataclass(frozen=True)
class Scan:
    """`hits` of `runs` did what was expected. `bound` is the 95 % upper bound of the rate of misses."""

    runs: int
    hits: int

    @property
    def verdict(self) -> str:
        if self.runs and self.hits == self.runs:
            return "always"
        return "sometimes" if self.hits else "never"

    @property
    def bound(self) -> float:
        return miss_bound(self.runs, self.runs - self.hits)


def miss_bound(runs: int, misses: int, confidence: float = 0.95) -> float:
    """The exact (Clopper-Pearson, one-sided) upper bound of a rate: 0 of 200 gives 1.49 %, 1 of 200 gives
    2.35 %."""
    if runs <= 0 or misses >= runs:
        return 1.0
    if misses == 0:
        return 1.0 - (1.0 - confidence) ** (1.0 / runs)
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        seen = sum(comb(runs, k) * middle**k * (1 - middle) ** (runs - k) for k in range(misses + 1))
        low, high = (middle, high) if seen > 1.0 - confidence else (low, middle)
    return high
