"""How much of a value is kept: bounds for one capsule, and coarser ones for when it came out too large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

BUDGET = 64 * 1024  # bytes of a capsule as it is sent
SECONDS = 0.25  # that building one may take; what is not reached by then is marked as cut


@dataclass(frozen=True)
class Limits:
    """Bounds of one pass. `nodes` is for the capsule, the others are for each value."""

    text: int  # characters
    items: int  # of a container
    depth: int
    nodes: int
    frames: int


# Tried in this order until one fits the budget.
LEVELS: Tuple[Limits, ...] = (
    Limits(text=98_304, items=2_000, depth=16, nodes=20_000, frames=40),
    Limits(text=32_768, items=1_000, depth=12, nodes=15_000, frames=40),
    Limits(text=8_192, items=200, depth=10, nodes=8_000, frames=30),
    Limits(text=1_024, items=40, depth=7, nodes=3_000, frames=20),
    Limits(text=256, items=12, depth=5, nodes=800, frames=8),
    Limits(text=64, items=5, depth=3, nodes=150, frames=2),
)
