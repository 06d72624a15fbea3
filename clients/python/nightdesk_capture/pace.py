"""How many capsules a place in the code may have, and the key of this process under which they are redacted.

Both are made anew in a process that was forked: its tokens are its own, and a lock that another thread held at that
moment is never freed.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from types import TracebackType
from typing import Dict, Optional, Tuple

from nightdesk_capture.rules.capsule_walk import CapsuleRedactor
from nightdesk_capture.rules.redaction_rules import Rules

AT_ONCE = 5  # capsules of one place in the code before it has to wait, and …
PAUSE = 60.0  # … the seconds between those that follow
PLACES = 256  # that are counted


class Pace:
    """Of one integration. Safe for several threads."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._recent: Dict[Tuple[str, int], Tuple[int, float]] = {}
        self._fresh()

    def _fresh(self) -> None:
        """A key that lives as long as the process: tokens of two processes cannot be compared."""
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._redactor = CapsuleRedactor(secrets.token_bytes(32), self._rules)

    def redactor(self) -> CapsuleRedactor:
        """The redactor of this process."""
        if self._owner != os.getpid():
            self._fresh()
        return self._redactor

    def may(self, trace: Optional[TracebackType]) -> bool:
        """Whether the place that failed has a capsule to spare: a storm of one error needs no thousand of them."""
        if trace is None:
            return False
        self.redactor()  # a process that was forked has a lock of its own
        while trace.tb_next is not None:
            trace = trace.tb_next
        place, now = (trace.tb_frame.f_code.co_filename, trace.tb_lineno), time.monotonic()
        with self._lock:
            made, last = self._recent.get(place, (0, 0.0))
            if made >= AT_ONCE and now - last < PAUSE:
                return False
            if place not in self._recent and len(self._recent) >= PLACES:
                self._recent.pop(next(iter(self._recent)))
            self._recent[place] = (made + 1, now)
        return True
