"""What notes may cost: a small share of the processor time that the process itself uses, so that the promise holds by
construction and not by hope.

The purse fills as the process works and pays for the notes of each request. A request that finds it empty at its first
note is not noted at all, and its capsule says so: half a world is none. Where a request without notes fails, the next
ones of its endpoint are noted whatever the purse has, until some of its failures were told with all that they had met.

Nothing here takes a lock: a payment that is lost in a race of two threads is a few microseconds.
"""

from __future__ import annotations

from time import monotonic, process_time, thread_time
from typing import Any, Callable, Dict, Mapping, Sequence

SHARE = 0.01  # of the process' time; hooks that note nothing cost as much again where a request takes a millisecond
MOST = 0.02  # seconds of notes that may be saved up, or owed
OFTEN = 8  # requests after which is asked what the process has used
ENDPOINTS = 256  # that failed, and are remembered
REQUESTS = 10_000  # of such an endpoint that are noted at most, and …
FAILURES = 5  # … how many of its failures, before …
LATER = 3_600.0  # … so many seconds have passed
# What a note costs, its hook included, in steps as `step_of_this_machine` has them.
PRICES = {"exchanges": 170, "statements": 60, "draws": 20, "files": 75, "cache": 40, "flags": 40}
PRICE_OF_A_ROW, PRICE_OF_A_TRAIL = 2.0, 20
_ROUNDS = 300


class Purse:
    """Of one process. `used` is the processor time that it has used, in seconds."""

    def __init__(
        self, used: Callable[[], float] = process_time, clock: Callable[[], float] = monotonic
    ) -> None:
        self._used, self._clock = used, clock
        self._step = 0.0  # seconds; as long as it is not known, everything is noted
        self._seen = self._left = self._usual = 0.0
        self._asked = 0
        self._failed: Dict[str, _Failed] = {}
        self._until, self._is_open = 0.0, False

    def begin(self, step: float) -> None:
        """Count from now on; what the process has used before fills the purse."""
        self._step, self._seen = step, 0.0
        self._fill()

    def may(self) -> bool:
        """Whether there is something for the notes of a request that begins. It pays what requests usually cost;
        `settle` corrects that."""
        self._asked += 1
        if self._asked >= OFTEN:
            self._fill()
        if self._left <= 0 and self._step and not self._is_open:
            return False
        self._left -= self._usual
        return True

    def is_wanted(self, endpoint: str) -> bool:
        """Whether a request for which there is nothing is noted all the same: its endpoint failed without notes."""
        if not self._failed:
            return False
        kept = self._failed.get(endpoint)
        if kept is None or kept.requests <= 0 or kept.failures <= 0:
            return False
        kept.requests -= 1
        self._left = max(self._left - self._usual, -MOST)
        return True

    def settle(self, notes: Mapping[str, Sequence[Any]], rows: int) -> None:
        """A request that was noted has ended: what its notes cost, in place of what is usual."""
        steps = PRICE_OF_A_TRAIL + PRICE_OF_A_ROW * rows
        for kind, each in notes.items():
            steps += PRICES[kind] * len(each)
        cost = steps * self._step
        self._left = max(self._left + self._usual - cost, -MOST)
        self._usual += (cost - self._usual) / 16

    def failed(self, endpoint: str, is_noted: bool) -> None:
        """A request of this endpoint has failed."""
        kept, now = self._failed.get(endpoint), self._clock()
        if kept is not None and now - kept.since <= LATER:
            kept.failures -= is_noted
        elif not is_noted:
            if len(self._failed) >= ENDPOINTS:
                self._failed.pop(next(iter(self._failed)), None)
            self._failed[endpoint] = _Failed(now)

    def open(self, seconds: float) -> None:
        """Note every request for so long: more was asked for."""
        self._until, self._is_open = self._clock() + seconds, True

    def _fill(self) -> None:
        self._asked, now = 0, self._used()
        more = now - self._seen if now >= self._seen else now  # a process that was forked counts anew
        self._seen, self._left = now, min(self._left + SHARE * more, MOST)
        if self._is_open:
            self._is_open = self._clock() < self._until


class _Failed:
    """What an endpoint that failed without notes may still have of them."""

    __slots__ = ("failures", "requests", "since")

    def __init__(self, since: float) -> None:
        self.since, self.requests, self.failures = since, REQUESTS, FAILURES


PURSE_OF_THE_PROCESS = Purse()


def step_of_this_machine() -> float:
    """Seconds of processor time that a small step of Python takes here: to look something up, and keep it."""
    best = 1.0
    for _ in range(3):
        kept: Dict[str, Any] = {"notes": []}
        began = thread_time()
        for at in range(_ROUNDS):
            _keep(kept, at)
        best = min(best, (thread_time() - began) / _ROUNDS)
    return best


def _keep(kept: Dict[str, Any], at: int) -> None:
    notes = kept["notes"]
    notes.append((at, kept))
    if len(notes) > OFTEN:
        del notes[0]
