"""Is this the same failure? Exception type, the own frame it came through (function and line text), the
message.

Line numbers, addresses and values in the message are left out: a smaller input still fails for the same
reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fixloop.running.runner import Outcome, Raised
from store.event import Event, Frame

_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_NUMBER = re.compile(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-fA-F]{8,}\b|\d+")
_ENDLESS = "maximum recursion depth exceeded"  # what it was doing just then follows, and is chance
_WORD = re.compile(r"^[A-Za-z_][\w.\-/ ]{0,60}$")


@dataclass(frozen=True)
class Signature:
    """What must be the same. `function` is the last part of the qualified name; `text` the normalised source
    line. `escapes`: it ended the call, so that a call which catches it and answers does not fail this way."""

    type: str
    function: str | None
    text: str | None
    message: str
    escapes: bool = False

    def matches(self, outcome: Outcome) -> bool:
        """Whether any exception of the run is this failure, also one that the application caught."""
        return any(self.is_it(raised) for raised in outcome.seen)

    def is_it(self, raised: Raised) -> bool:
        if raised.type != self.type or normal_message(raised.message) != self.message:
            return False
        if self.function is None:
            return True
        return any(
            _last(frame["function"]) == self.function
            and (self.text is None or normal_line(frame["text"]) == self.text)
            for frame in raised.frames
        )


def signature(event: Event, own: Sequence[Frame], line_text: str | None = None) -> Signature | None:
    """The signature of an event. `own` are its located frames, oldest first; None where there is no
    exception."""
    error = event.exception
    if error is None:
        return None
    frame = own[-1] if own else None
    if error.type.rpartition(".")[2] == "RecursionError":
        return _endless(error.value, own)
    text = line_text if line_text is not None else (frame.context_line if frame else None)
    return Signature(
        type=error.type.rpartition(".")[2],
        function=_last(frame.function) if frame and frame.function else None,
        text=normal_line(text) if text and text.strip() else None,
        message=normal_message(error.value),
    )


def _endless(message: str, own: Sequence[Frame]) -> Signature:
    """Where a recursion hits the limit is chance; what must be the same is the function that goes round most."""
    names = Counter(_last(frame.function) for frame in own if frame.function)
    most = names.most_common(1)[0][0] if names else None
    return Signature("RecursionError", most, None, normal_message(message))


def normal_line(text: str) -> str:
    return " ".join(text.split())


def normal_message(message: str) -> str:
    """The message without what varies: numbers, and quoted text that is not a name."""

    def quoted(match: re.Match[str]) -> str:
        inner = match.group(1) if match.group(1) is not None else match.group(2)
        return f"'{inner}'" if _WORD.match(inner) and not _NUMBER.search(inner) else "'…'"

    if message.startswith(_ENDLESS):
        return _ENDLESS
    first = message.strip().splitlines()[0] if message.strip() else ""
    return _NUMBER.sub("#", _QUOTED.sub(quoted, first))[:300]


def _last(function: str) -> str:
    return function.rpartition(".")[2]
