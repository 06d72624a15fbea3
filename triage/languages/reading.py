"""What the trace grammars share: bounded lines, frames and exceptions as values, and the header above a stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from store.event import ExceptionValue, Frame
from triage.words import words

LINE_LIMIT = 4096  # characters of a line that a grammar looks at; a longer one is cut
VALUE_LIMIT = 8192  # characters of an exception's text
HEADER_REACH = 20  # lines above the first frame that a message may have
KEPT = 50  # frames kept at each end of a deep recursion
InApp = Callable[[str], bool]

# What loggers write before a message: times, levels, names in brackets. Never the message itself.
_LOG_PREFIX = re.compile(
    r"^(?:\[[^\]\n]{0,80}\]|<\d+>|\W{0,2}\d{2,4}[-/.:]\d\d[-/.:T\d ,+Z]*"
    r"|[DIWEFA], (?=\[)|-- : ?|\w+=\S+ "
    r"|(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|SEVERE|E|F|fail|crit)\b:?"
    r"|[A-Z][a-z]{2} +\d+,? (?:\d{4} )?\d\d?:\d\d:\d\d(?: [AP]M)?"
    r"|[\w.$-]+\[\d+\]: |[\w.$-]+ -{1,2} )[\s:|-]*"
)
_LEVELS = frozenset(words("ERROR ERR WARN WARNING INFO DEBUG FATAL CRITICAL SEVERE NOTICE error warn fail"))
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def lines_of(text: str) -> list[str]:
    """The lines without line ends, colours and whatever lies beyond the limit of a line."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    return [line[:LINE_LIMIT].rstrip("\r\n") for line in text.split("\n")]


def trimmed(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """At most 50 + 50 frames, with one frame between them that says how many were left out."""
    if len(frames) <= 2 * KEPT:
        return tuple(frames)
    mark = Frame(function=f"[{len(frames) - 2 * KEPT} frames left out]")
    return (*frames[:KEPT], mark, *frames[-KEPT:])


def exception(
    kind: str,
    value: str | None,
    newest_first: Iterable[Frame],
    *,
    chained: str | None = None,
    module: str | None = None,
) -> ExceptionValue:
    """An exception from frames in the order in which most runtimes print them."""
    frames = trimmed(tuple(newest_first)[::-1])
    return ExceptionValue(
        type=kind[:500],
        module=module or None,
        value=(value or "").strip()[:VALUE_LIMIT],
        frames=frames,
        chained=chained,
    )


def frame(
    function: str | None,
    path: str | None,
    line: str | int | None = None,
    column: str | int | None = None,
    *,
    module: str | None = None,
    in_app: bool = False,
) -> Frame:
    """One frame; numbers are bounded, and a path is absolute where it reads like it."""
    absolute = path if path and (path.startswith(("/", "\\")) or path[1:3] in (":\\", ":/")) else None
    return Frame(
        function=function or None,
        module=module or None,
        filename=path or None,
        abs_path=absolute,
        lineno=_number(line),
        colno=_number(column),
        in_app=in_app,
    )


def _number(value: str | int | None) -> int | None:
    if value is None or value == "" or (isinstance(value, str) and len(value) > 10):
        return None
    return min(int(value), (1 << 31) - 1)


def caused(newest_first: Sequence[ExceptionValue]) -> list[ExceptionValue]:
    """A chain printed from the outermost to its root cause, in the order of raising."""
    chain = list(newest_first)[::-1]
    return [
        each.model_copy(update={"chained": "cause"}) if place else each for place, each in enumerate(chain)
    ]


def without_log_prefix(line: str) -> str:
    """The line without what loggers put before a message, taken off piece by piece."""
    for _ in range(8):
        shorter = _LOG_PREFIX.sub("", line, count=1)
        if shorter == line:
            return line
        line = shorter
    return line


def header_above(
    lines: Sequence[str], first: int, floor: int, header: re.Pattern[str], sure: re.Pattern[str]
) -> tuple[int, re.Match[str], str] | None:
    """The line that says which exception it was: (its number, the match, the whole message).

    The line above the first frame is taken by `header`; of those above it, which are part of a message of several
    lines, only one that `sure` agrees to. Log prefixes are taken off where the line as it is does not match.
    """
    for number in range(first - 1, max(floor, first - HEADER_REACH) - 1, -1):
        line = lines[number].strip()
        patterns = (header, sure) if number == first - 1 else (sure,)
        tries = (pattern.match(text) for pattern in patterns for text in (line, without_log_prefix(line)))
        match = next((each for each in tries if each and each["type"] not in _LEVELS), None)
        if match:
            rest = [each.rstrip() for each in lines[number + 1 : first]]
            message = "\n".join([match["value"] or "", *rest]).rstrip()
            return number, match, message
    return None
