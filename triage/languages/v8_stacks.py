"""The grammar of V8's stacks, and of Chakra's: `at function (place)`; Node's causes and members inside braces."""

from __future__ import annotations

import re
from collections.abc import Callable

from store.event import ExceptionValue, Frame
from triage.languages.reading import exception, frame, header_above, lines_of

_PLACE = r"(?:.+:\d+(?::\d+)?|native|native code|unknown location|<anonymous>|index \d+|eval at .+|eval code.*|wasm:.+)"
_FRAME = re.compile(
    rf"^\s*(?:eval )?at (?:(?P<await>async )?(?P<function>(?!async )\S.*?) \((?P<place>{_PLACE})\)"
    r"|(?:async )?(?P<tight>[\w$.]+)\((?P<tight_place>[^()\s]+:\d+:\d+)\)"  # React Native
    r"|(?:async )?(?P<bare>(?=.*[A-Za-z])(?=.*[/\\.<])(?!.*[()])\S.*:\d+|\S*\([\w ]+\)\S*:\d+:\d+|<anonymous>)"
    r"|(?P<only>[A-Za-z_$][\w$.]*))(?P<more>,? [{\[]|,)?\s*$"
)
_FOREIGN = re.compile(
    r"\) (?:\[0x[0-9a-f]+\] )?in \S|\.java:\d+\)|\.kt:\d+\)|\.rs:\d+(?::\d+)?$|^\s*at .* line \d+"
)
_INNER_PLACE = re.compile(r"\((?P<path>[^()\s][^()]*?):(?P<line>\d+):(?P<column>\d+)\)")
_NUMBERED = re.compile(r"^(?P<path>.*?):(?P<line>\d+)(?::(?P<column>\d+))?$")
_LEFT_OUT = re.compile(r"^\s*\.\.\. \d+ lines matching ")
_KIND = r"(?P<type>[A-Za-z_$][\w$.]*)(?: \[[\w-]+\])?"
_UNCAUGHT = r"(?:Uncaught (?:\(in promise\) )?|Unhandled(?: promise)? rejection:? |\[cause\]: )?"
_HEADER = re.compile(rf"^{_UNCAUGHT}{_KIND}(?:: (?P<value>.*)|:)?$")
_SURE = re.compile(
    rf"^(?:.{{0,200}}?[\s:\"'>])??{_UNCAUGHT}(?P<type>(?:[A-Za-z_$][\w$]*\.)*[\w$]*(?:Error|Exception|Rejection|Warning))"
    r"(?: \[[\w-]+\])?(?:: (?P<value>.*))?$"
)
_CAUSE = re.compile(r"^\s*\[?(?P<name>cause|errors?)\]?: (?P<rest>.*)$")
_BRACKETED = re.compile(
    r"^\[(?P<type>[\w$.]*Error)(?: \[[\w-]+\])?(?:: (?P<value>.*))?\] \{$"
)  # it has no stack of its own
_ANYTHING = re.compile(r"^(?P<type>)(?P<value>\S.*)$")
NESTING = 8  # causes of causes that are followed


def find_v8_stacks(text: str, in_app: Callable[[str], bool]) -> list[list[ExceptionValue]]:
    """Every stack that has a message above it."""
    lines = lines_of(text)
    found: list[list[ExceptionValue]] = []
    at = floor = 0
    while at < len(lines):
        if bracket := _BRACKETED.match(lines[at]):
            nested, at = _nested(lines, at + 1, in_app, 0)
            chain = _chained(exception(bracket["type"], bracket["value"], []), nested)
        elif _is_frame(lines, at, first=True):
            chain, at = _stack(lines, at, floor, in_app, 0)
        else:
            at += 1
            continue
        floor = at
        if chain:
            found.append(chain)
    return found


def _is_frame(lines: list[str], at: int, *, first: bool = False) -> bool:
    """Whether a frame is here. A frame without any place is one only among others."""
    match = _FRAME.match(lines[at])
    if match is None or _FOREIGN.search(lines[at]):
        return False
    return not (first and match["only"])


def _stack(
    lines: list[str], at: int, floor: int, in_app: Callable[[str], bool], depth: int
) -> tuple[list[ExceptionValue], int]:
    """One stack with what is nested in the braces after it, and the line after all of it."""
    first = at
    head = header_above(lines, at, floor, _HEADER, _SURE)
    frames: list[Frame] = []
    opened = False
    while at < len(lines) and (_is_frame(lines, at) or _LEFT_OUT.match(lines[at])):
        match = _FRAME.match(lines[at])
        if match and not _FOREIGN.search(lines[at]):
            frames.append(_frame(match, in_app))
            opened = (match["more"] or "").endswith(("{", "["))
        at += 1
        if opened:
            break
    nested: list[list[ExceptionValue]] = []
    if opened and depth < NESTING:
        nested, at = _nested(lines, at, in_app, depth)
    if head is None and any(each.function for each in frames):
        head = header_above(lines, first, floor, _ANYTHING, _ANYTHING)
    if head is None:
        return [], at
    own = exception(head[1]["type"] or "Error", head[2], frames)
    return _chained(own, nested), at


def _chained(own: ExceptionValue, nested: list[list[ExceptionValue]]) -> list[ExceptionValue]:
    if not nested:
        return [own]
    if len(nested) == 1 and own.type != "AggregateError":
        return [*nested[0], own.model_copy(update={"chained": "cause"})]
    members = [each for chain in nested for each in chain]
    return [*members, own.model_copy(update={"chained": "group"})]


def _nested(
    lines: list[str], at: int, in_app: Callable[[str], bool], depth: int
) -> tuple[list[list[ExceptionValue]], int]:
    """The errors inside the braces that Node opens after the last frame, up to the brace that closes them."""
    found: list[list[ExceptionValue]] = []
    floor, level = at, 1
    while at < len(lines) and level > 0 and at - floor < 200:
        if _is_frame(lines, at, first=True):
            chain, at = _stack(lines, at, floor, in_app, depth + 1)
            found += [chain] if chain else []
            floor = at
            continue
        stripped = lines[at].strip().rstrip(",")
        level += 1 if stripped.endswith(("{", "[")) else -1 if stripped.startswith(("}", "]")) else 0
        at += 1
    return found, at


def _frame(match: re.Match[str], in_app: Callable[[str], bool]) -> Frame:
    function = match["function"] or match["tight"] or match["only"]
    place = match["place"] or match["tight_place"] or match["bare"] or ""
    place = place.removeprefix("async ")
    if place.startswith("eval at "):
        inner = _INNER_PLACE.search(place)
        path, line, column = (
            (inner["path"], inner["line"], inner["column"]) if inner else ("eval", None, None)
        )
    elif place.startswith("index "):  # of Promise.all
        path, line, column = "", None, None
    elif numbered := _NUMBERED.match(place):
        path, line, column = numbered["path"], numbered["line"], numbered["column"]
    else:
        path, line, column = place, None, None
    return frame(function, path, line, column, in_app=in_app(path))
