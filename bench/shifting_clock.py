"""A clock that jumps when it is told to: to be imported before anything that asks for the time.

SIGUSR1 moves `time.time` an hour ahead, an hour back, and home again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from itertools import cycle

HOUR = 3600.0

_real: Callable[[], float] = time.time
_shifts = cycle((HOUR, -HOUR, 0.0))
_shift = 0.0


def _shifted() -> float:
    return _real() + _shift


def _jump(*_: object) -> None:
    global _shift
    _shift = next(_shifts)


def install() -> None:
    """Take the place of the clock in this process."""
    time.time = _shifted
    signal.signal(signal.SIGUSR1, _jump)


install()
