"""N runs, one verdict with its bound: always, never, sometimes."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma, log, log1p

COLD = 3  # runs that load everything themselves, beside those that are forked from a process that has


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
        return 1.0 - float((1.0 - confidence) ** (1.0 / runs))
    ways = [lgamma(runs + 1) - lgamma(k + 1) - lgamma(runs - k + 1) for k in range(misses + 1)]
    low, high = 0.0, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        if rate in (low, high):
            break
        yes, no = log(rate), log1p(-rate)
        seen = sum(exp(way + k * yes + (runs - k) * no) for k, way in enumerate(ways))
        low, high = (rate, high) if seen > 1.0 - confidence else (low, rate)
    return high
