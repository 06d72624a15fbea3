"""The grammar of Python tracebacks in clean text (what platforms put before each line is already off)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from store.event import ExceptionValue, Frame
from triage.languages.reading import trimmed

HEADER = "Traceback (most recent call last):"
_HEADER = re.compile(r"^(?P<before>.*?)(?P<group>Exception Group )?Traceback \(most recent call last\):\s*$")
_FRAME = re.compile(r'^File "(?P<file>[^"\n]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
_REPEATED = re.compile(r"^\[Previous line repeated (?P<times>\d+) more times?\]$")
_RAISED = re.compile(r"^(?P<type>[A-Za-z_][\w.]*(?:<locals>[\w.]*)*)(?:: ?(?P<value>.*))?$", re.DOTALL)
_CARETS = re.compile(r"^\s*[~^]+[~^\s]*$")
_RECORD = re.compile(
    r"^\W{0,3}(\d{2,4}[-/:.]\d\d|\d+\.\d+\.\d+\.\d+ "
    r"|(DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL|NOTICE|TRACE)\b"
    r"|[A-Z][a-z]{2} +\d+ \d\d:)|^Traceback \(|^\s*\{\""
)
_LINKS = {
    "The above exception was the direct cause of the following exception:": "cause",
    "During handling of the above exception, another exception occurred:": "context",
}
_MEMBER = re.compile(r"^\s*\+(?:-\+)?-+(?: (?P<number>\d+|\.\.\.) -+)?$")
_BAR = re.compile(r"^(?P<indent>\s*)[|+] ?(?P<rest>.*)$")
MESSAGE_LINES = 40  # lines of one exception's text, notes included


@dataclass
class _Lines:
    """The text with a position that only goes forward."""

    lines: list[str]
    at: int = 0
    offset: int = 0  # columns that every line of the current traceback is shifted by

    def peek(self, ahead: int = 0) -> str | None:
        index = self.at + ahead
        if index >= len(self.lines):
            return None
        line = self.lines[index].rstrip("\r\n")
        if self.offset and (not line[: self.offset].strip() or len(line) > self.offset):
            return line[self.offset :]
        return line


@dataclass
class _Raised:
    frames: list[Frame] = field(default_factory=list)
    type: str = ""
    value: str = ""

    def as_value(self, chained: str | None) -> ExceptionValue:
        module, _, name = self.type.rpartition(".")
        return ExceptionValue(
            type=name,
            module=module or None,
            value=self.value,
            frames=trimmed(tuple(self.frames)),
            chained=chained,
        )


def find_traces(text: str, in_app: Callable[[str], bool]) -> list[list[ExceptionValue]]:
    """Every traceback in the text, in order; each a chain with the exception raised last at the end."""
    found: list[list[ExceptionValue]] = []
    lines = _Lines(text.split("\n"))
    while lines.at < len(lines.lines):
        match = _HEADER.match(lines.lines[lines.at].rstrip("\r"))
        if match is None:
            lines.at += 1
            continue
        chain = _group(lines, in_app) if match["group"] else _chain(lines, in_app)
        if chain:
            found.append(chain)
    return found


def _chain(lines: _Lines, in_app: Callable[[str], bool]) -> list[ExceptionValue]:
    chain: list[ExceptionValue] = []
    linked: str | None = None
    lines.offset = _shift(lines)
    while True:
        lines.at += 1  # the header
        raised = _one(lines, in_app)
        if raised is None:
            return chain
        chain.append(raised.as_value(linked))
        linked = _link(lines)
        if linked is None:
            lines.offset = 0
            return chain


def _shift(lines: _Lines) -> int:
    """How many columns the frames stand to the right of where Python wrote them."""
    following = lines.lines[lines.at + 1] if lines.at + 1 < len(lines.lines) else ""
    place = following.find('File "')
    return max(0, place - 2) if place >= 0 and not following[:place].strip() else 0


def _link(lines: _Lines) -> str | None:
    """Step over the sentence between two tracebacks to the next header; None where the chain ends."""
    ahead = 0
    linked: str | None = None
    while (line := lines.peek(ahead)) is not None and ahead < 6:
        stripped = line.strip()
        if stripped in _LINKS:
            linked = _LINKS[stripped]
        elif linked and stripped == HEADER:
            lines.at += ahead
            return linked
        elif stripped:
            return None
        ahead += 1
    return None


def _one(lines: _Lines, in_app: Callable[[str], bool]) -> _Raised | None:
    raised = _Raised()
    while (line := lines.peek()) is not None:
        stripped = line.strip()
        if match := _FRAME.match(stripped):
            raised.frames.append(_frame(match, in_app))
        elif match := _REPEATED.match(stripped):
            if raised.frames:
                raised.frames.extend([raised.frames[-1]] * min(int(match["times"]), 10_000))
        elif line.startswith(" ") or not stripped:
            _source(raised.frames, line)
            if not stripped and _ends_here(lines):
                return None
        elif match := _RAISED.match(stripped):
            raised.type = match["type"]
            raised.value = _message(lines, match["value"] or "")
            return raised
        else:
            return None
        lines.at += 1
    return None


def _ends_here(lines: _Lines) -> bool:
    following = lines.peek(1)
    return following is None or not (following.startswith(" ") or _RAISED.match(following))


def _frame(match: re.Match[str], in_app: Callable[[str], bool]) -> Frame:
    path = match["file"]
    return Frame(
        function=match["function"],
        filename=path,
        abs_path=path if path.startswith(("/", "\\")) or path[1:2] == ":" else None,
        lineno=min(int(match["line"]), (1 << 31) - 1),
        in_app=in_app(path),
    )


def _source(frames: list[Frame], line: str) -> None:
    """Keep the first source line under a frame; caret lines and further lines say nothing new."""
    if frames and frames[-1].context_line is None and line.strip() and not _CARETS.match(line):
        frames[-1] = frames[-1].model_copy(update={"context_line": line.strip()[:1024]})


def _message(lines: _Lines, first: str) -> str:
    """The exception's text and its notes: on to a blank line, a new log record or the bound."""
    parts = [first]
    lines.at += 1
    while (line := lines.peek()) is not None and len(parts) < MESSAGE_LINES:
        if not line.strip() or _RECORD.match(line) or line.strip() in _LINKS or _MEMBER.match(line):
            break
        parts.append(line.rstrip())
        lines.at += 1
    return "\n".join(parts)[:8192]


def _group(lines: _Lines, in_app: Callable[[str], bool]) -> list[ExceptionValue]:
    """An exception group: its members' chains first, the group itself last."""
    block: list[str] = [lines.lines[lines.at].strip().removeprefix("+ ")]
    lines.at += 1
    while lines.at < len(lines.lines) and _BAR.match(lines.lines[lines.at]):
        block.append(lines.lines[lines.at].rstrip("\r"))
        lines.at += 1
    outer = [HEADER]
    members: list[list[str]] = []
    for line in block[1:]:
        match = _BAR.match(line)
        if _MEMBER.match(line) and match:
            members.append([])
        elif members and match:
            members[-1].append(line)
        elif match:
            outer.append(match["rest"])
    chain = [value for member in members for value in _member(member, in_app)]
    own = _chain(_Lines(outer), in_app)
    if own:
        own[-1] = own[-1].model_copy(update={"chained": "group" if chain else own[-1].chained})
    return chain + own


def _member(block: list[str], in_app: Callable[[str], bool]) -> list[ExceptionValue]:
    rests = [match["rest"].removeprefix("Exception Group ") for line in block if (match := _BAR.match(line))]
    chains = find_traces("\n".join(rests), in_app)
    if chains:
        return [value for chain in chains for value in chain]
    bare = _RAISED.match(rests[0]) if rests else None
    return [_Raised(type=bare["type"], value=bare["value"] or "").as_value(None)] if bare else []
