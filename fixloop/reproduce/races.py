"""Which schedules may lose: when two calls at once are looked for, and the lines before which the first waits."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from fixloop.knowledge import LogLine
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.syntax import function_at, functions, parse
from fixloop.reproduce.tasks import awaits
from store.event import Event
from triage.formats.access_logs import of_line

MOST = 40  # schedules of one call that are explored
TOGETHER = timedelta(milliseconds=100)  # events of one incident that lie this close were served at once
SECOND = timedelta(seconds=1)
_FINER = re.compile(r":\d\d[.,]\d")  # a time with parts of a second
_TYPES = re.compile(
    r"^(?:Integrity|UniqueViolation|Duplicate|Deadlock|Serialization|StaleData|Conflict|FileExists|FileNotFound)\w*$"
)
_WORDS = re.compile(
    r"changed size during iteration|mutated during iteration|changed during iteration|UNIQUE constraint|deadlock"
    r"|duplicate (?:key|entry)|could not serialize|database is locked",
    re.IGNORECASE,
)


def suspected(event: Event, others: Sequence[Event], lines: Sequence[LogLine] = ()) -> bool:
    """Whether a failure may need two calls at once: by its kind, because two of its events lie close together, or
    because an access log has another request at that moment."""
    error = event.exception
    if error is None:
        return False
    if _TYPES.match(error.type.rpartition(".")[2]) or _WORDS.search(error.value):
        return True
    close = (
        abs(one.timestamp - event.timestamp) <= TOGETHER for one in others if one.event_id != event.event_id
    )
    return any(close) or bool(met(event, lines))


@dataclass(frozen=True)
class Met:
    """Another request that an access log has at an event's moment. `path` with its query."""

    method: str
    path: str
    line: str


def met(event: Event, lines: Sequence[LogLine]) -> list[Met]:
    """The requests that access logs have at the moment of an event's, its own left out, nearest first. A log that tells
    whole seconds tells of those of the same address only: a second is a long time."""
    request = event.request
    found = [
        (abs(line.at - event.timestamp), line, (told.line.method, told.line.path))
        for line in lines
        if (told := of_line(line.text, line.at)) is not None and told.line is not None
    ]
    if request is None or not found:
        return []
    found.sort(key=lambda one: one[0])
    mine = request.method.upper() or "GET", urlsplit(request.url).path or "/"
    same = [(method, path.partition("?")[0]) == mine for _, _, (method, path) in found]
    own = same.index(True) if True in same else None  # one of them is the event's own
    others = []
    for at, (away, line, (method, path)) in enumerate(found):
        whole = not line.at.microsecond and not _FINER.search(line.text)
        near = away <= TOGETHER or (whole and same[at] and away <= TOGETHER + SECOND)
        if at != own and near:
            others.append(Met(method, path, line.id))
    return others


def schedules(
    own: Sequence[OwnFrame], lines: Mapping[str, Sequence[int]], texts: Mapping[str, str]
) -> list[str]:
    """Lines before which the first call stands still while the second runs, the likeliest first: where the trace
    stood, innermost first; then what else ran of the functions of the trace, and of their files.

    What is asynchronous is left out: tasks change places where one awaits (see `suspensions`).
    `lines`: the numbers of the lines that one call alone has run, by path; `texts`: the files' texts by path."""
    found = [_line(frame.source, frame.location.line or 0) for frame in reversed(own) if not _is_async(frame)]
    names = {(frame.frame.function or "").rpartition(".")[2] for frame in own}
    for inside_trace in (True, False):
        for path, numbers in lines.items():
            if path in texts:
                found += _inside(texts[path], numbers, names if inside_trace else None)
    return [text for text in dict.fromkeys(found) if text][:MOST]


def suspensions(
    own: Sequence[OwnFrame], lines: Mapping[str, Sequence[int]], texts: Mapping[str, str]
) -> list[str]:
    """Lines at which a task may be suspended while another runs, those that the trace had behind it first. As
    `schedules`, for an asynchronous application; none where no frame of the trace is asynchronous."""
    if not any(_is_async(frame) for frame in own):
        return []
    found: dict[str, int] = {}
    last = {f"{frame.location.repo}/{frame.location.path}": frame.location.line or 0 for frame in own}
    for path, numbers in lines.items():
        waiting = awaits(texts[path]) if path in texts else set()
        crashed = next((line for place, line in last.items() if path.endswith("/" + place)), 0)
        for number in sorted(numbers, key=lambda n: (n > crashed, abs(crashed - n))):
            if (text := _line(texts.get(path, ""), number)) in waiting:
                found.setdefault(text, number)
    return list(found)[:MOST]


def _is_async(frame: OwnFrame) -> bool:
    tree = parse(frame.source)
    name = (frame.frame.function or "").rpartition(".")[2]
    function = function_at(tree, frame.location.line or 0, name or None) if tree else None
    return function is not None and function.is_async


def _inside(text: str, numbers: Sequence[int], names: set[str] | None) -> Iterator[str]:
    """The texts of those lines that stand in the body of a function, of one of these names where names are given."""
    tree = parse(text)
    spans = [
        (function.node.body[0].lineno, function.node.end_lineno or 0)
        for function in (functions(tree) if tree else ())
        if (names is None or function.node.name in names) and not function.is_async
    ]
    starts = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)} if tree else set()
    for number in sorted(numbers, reverse=True):
        if number in starts and any(first <= number <= last for first, last in spans):
            yield _line(text, number)


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""
