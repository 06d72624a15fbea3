"""How long work waits in the queue, against load: a small simulation, by the figures that were measured.

    uv run python -m bench.queueing [--minutes 2.5] [--write docs/scaling.md]

Repairs are asked for at random moments and take times that scatter (log-normal around the mean given); workers take the
most urgent first, one each. A fifth is in focus. What is told is how long a repair waits until it begins.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import statistics
from dataclasses import dataclass
from pathlib import Path

REPAIRS = 20_000  # of one simulation
SPREAD = 0.8  # of the logarithm of a repair's time
FOCUS = 0.2
WORKERS = (1, 2, 4, 8)
LOADS = (0.5, 0.7, 0.8, 0.9, 0.95)
MARK = "<!-- queueing -->"


@dataclass(frozen=True)
class Waits:
    """Minutes that repairs waited: the median and the ninetieth of a hundred, of those in focus and of the others."""

    focus: tuple[float, float]
    others: tuple[float, float]


def simulate(workers: int, load: float, minutes: float, *, seed: int = 7) -> Waits:
    """Waiting times with so many workers, of whose time the share `load` is asked for."""
    chance = random.Random(seed)  # noqa: S311
    between = minutes / (workers * load)
    mean = math.log(minutes) - SPREAD**2 / 2
    arrivals, at = [], 0.0
    for number in range(REPAIRS):
        at += chance.expovariate(1 / between)
        arrivals.append(
            (at, 0 if chance.random() < FOCUS else 1, number, chance.lognormvariate(mean, SPREAD))
        )
    free = [0.0] * workers
    queue: list[tuple[int, float, int, float]] = []
    waited: tuple[list[float], list[float]] = ([], [])
    coming = iter(arrivals)
    following = next(coming, None)
    while queue or following is not None:
        now = heapq.heappop(free)
        if not queue and following is not None:
            now = max(now, following[0])
        while following is not None and following[0] <= now:
            heapq.heappush(queue, (following[1], following[0], following[2], following[3]))
            following = next(coming, None)
        lane, asked, _, takes = heapq.heappop(queue)
        waited[lane].append(now - asked)
        heapq.heappush(free, now + takes)
    return Waits(_shape(waited[0]), _shape(waited[1]))


def _shape(waits: list[float]) -> tuple[float, float]:
    ordered = sorted(waits)
    return statistics.median(ordered), ordered[int(0.9 * (len(ordered) - 1))]


def table(minutes: float) -> str:
    """The waits, in Markdown."""
    lines = [
        "| workers | load | repairs an hour | focus: median min | focus: 9 of 10 | others: median min | others: 9 of 10 |",
        "|---|---|---|---|---|---|---|",
    ]
    for workers in WORKERS:
        for load in LOADS:
            found = simulate(workers, load, minutes)
            cells = [workers, f"{load:.0%}", round(60 / minutes * workers * load)]
            cells += [f"{figure:.1f}" for figure in (*found.focus, *found.others)]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table, or put it into a page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=2.5, help="what a repair takes on average")
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    found = table(given.minutes)
    print(found)
    if given.write:
        before, _, rest = given.write.read_text(encoding="utf-8").partition(MARK)
        _, _, after = rest.partition(MARK)
        given.write.write_text(f"{before}{MARK}\n{found}\n{MARK}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
