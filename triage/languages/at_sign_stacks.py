"""The grammar of SpiderMonkey's and JavaScriptCore's stacks: `function@place`, one a line, often without a message."""

from __future__ import annotations

import re
from collections.abc import Callable

from store.event import ExceptionValue, Frame
from triage.languages.reading import exception, frame, header_above, lines_of

_PLACE = r"(?P<path>(?:[A-Za-z][\w+.-]*:(?=[/\\]))?[^\s@][^@]*?|)(?::(?P<line>\d+))(?::(?P<column>\d+))?"
_FRAME = re.compile(rf"^\s*(?P<function>[^@\n]{{0,300}})@(?:{_PLACE}|(?P<native>\[native code\]))\s*$")
_BARE = re.compile(
    r"^\s*(?:(?P<path>(?:[a-z][\w+.-]*:/{1,3}\S+|[\w./-]+\.\w+)):(?P<line>\d+):(?P<column>\d+)|\[nativ"
    r"e code\]|eval code"
    r"|(?:global|module|eval) code)\s*$"
)
_EVAL = re.compile(r"^(?P<path>.+?) line (?P<line>\d+) > (?:eval|Function|WebAssembly|injectedScript).*$")
_CALLED_WITH = re.compile(r"\([^()]*\)$")  # what Firefox before 14 wrote of the arguments
_HEADER = re.compile(r"^(?:Uncaught )?(?P<type>[A-Za-z_$][\w$.]*)(?:: (?P<value>.*))?$")
_SURE = re.compile(r"^(?:.{0,200}?\s)??(?P<type>[\w$]*(?:Error|Exception|NS_ERROR_\w+))(?:: (?P<value>.*))?$")


def find_at_sign_stacks(text: str, in_app: Callable[[str], bool]) -> list[list[ExceptionValue]]:
    """Every stack of at least two lines, or of one that has a URL or a message."""
    lines = lines_of(text)
    found: list[list[ExceptionValue]] = []
    at = floor = 0
    while at < len(lines):
        if not _is_frame(lines, at):
            at += 1
            continue
        first = at
        while first > floor and _BARE.match(lines[first - 1]):
            first -= 1
        frames: list[Frame] = []
        at = first
        while at < len(lines) and (match := _FRAME.match(lines[at]) or _BARE.match(lines[at])):
            frames.append(_frame(match, in_app))
            at += 1
        head = header_above(lines, first, floor, _HEADER, _SURE)
        named = head is not None and _SURE.match(lines[head[0]].strip()) is not None
        if named or len(frames) > 1:
            kind, value = (head[1]["type"], head[2]) if head and named else ("Error", "")
            found.append([exception(kind, value, frames)])
            floor = at
    return found


def _is_frame(lines: list[str], at: int) -> bool:
    """Addresses look like frames too: a frame has a file's name or a URL before its numbers."""
    match = _FRAME.match(lines[at])
    if match is None:
        return False
    path = match["path"] or ""
    return (
        bool(match["native"])
        or "/" in path
        or re.search(r"\.(?:[mc]?[jt]sx?|bundle|html?)\b", path) is not None
    )


def _frame(match: re.Match[str], in_app: Callable[[str], bool]) -> Frame:
    groups = match.groupdict()
    path = groups.get("path") or "[native code]"
    line, column = groups.get("line"), groups.get("column")
    if inner := _EVAL.match(path):
        path, line, column = inner["path"], inner["line"], None
    function = _CALLED_WITH.sub("", groups.get("function") or "") or None
    if match.re is _BARE and path == "[native code]":
        function = match[0].strip() if "code" in match[0] and "[" not in match[0] else None
    return frame(function, path, line, column, in_app=in_app(path))
