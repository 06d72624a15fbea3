"""What is behind a test that fails only sometimes: it is run again with one thing held still at a time.

Where all runs agree then, and would hardly have agreed by chance, that thing is named. What is drawn, the clock and the
switches between threads are held in forks of a warm process; hash seeds and addresses differ between processes only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fixloop.flake import Scan
from fixloop.running.runner import Outcome

HELD = 40  # runs with one thing held still
CHANCE = 0.01  # with which so many runs may agree by themselves, where that still counts
SEEDS = ("1", "2", "3", "4")  # hash seeds that are tried beside 0

_DRAWS = """
import os, random
_drawn = random.Random(0)
os.urandom = random._urandom = lambda size: _drawn.randbytes(size)
"""
_CLOCK = """
import datetime, time
_now = time.time()
time.time = time.monotonic = time.perf_counter = lambda: _now
time.time_ns = time.monotonic_ns = time.perf_counter_ns = lambda: int(_now * 10**9)
class _Standing(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_now, tz)
    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(_now, datetime.timezone.utc).replace(tzinfo=None)
datetime.datetime = _Standing
"""
_SWITCHES = """
import os, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.setswitchinterval(60)
"""


@dataclass(frozen=True)
class Factor:
    """One thing that can be held still: its name, the sentence, and the lines that hold it."""

    name: str
    said: str
    head: str


FACTORS = (
    Factor("draws", "what is drawn at random decides: with fixed draws all runs agree", _DRAWS),
    Factor("time", "the clock decides: with a clock that stands all runs agree", _CLOCK),
    Factor(
        "race",
        "the switches between threads decide: on one processor, without switches, all runs agree",
        _SWITCHES,
    ),
)
HASHES = Factor("order", "the order of hashes decides: it fails with some hash seeds and not with others", "")
ADDRESSES = Factor(
    "process",
    "what differs from process to process decides, with one hash seed: addresses, or the machine",
    "",
)


def behind(
    warm: Scan, cold: Scan, seeded: Scan, again: Callable[[str, int], Sequence[Outcome]]
) -> Factor | None:
    """What decides whether a test fails; None where it always or never does, or none of these does. `again` runs the
    test with lines before it, so many times in forks of a warm process."""
    if warm.verdict == "sometimes":
        return next((factor for factor in FACTORS if _decides(factor, warm, again)), None)
    if cold.verdict != warm.verdict:
        return ADDRESSES
    return HASHES if seeded.verdict != warm.verdict else None


def _decides(factor: Factor, warm: Scan, again: Callable[[str, int], Sequence[Outcome]]) -> bool:
    rate = warm.hits / warm.runs
    if rate**HELD + (1 - rate) ** HELD > CHANCE:
        return False  # so many runs would agree in any case
    statuses = {outcome.status for outcome in again(factor.head, HELD)}
    return len(statuses) == 1 and statuses <= {"ok", "raised"}
