"""C and C++: gdb and lldb, the sanitizers, valgrind, and what the C++ runtime says as it ends."""

from __future__ import annotations

import re

from store.event import ExceptionValue, Frame
from triage.languages.definitions import by_braces
from triage.languages.reading import exception, frame, lines_of

_SANITIZER = re.compile(
    r"^(?:.{0,200}?\s)??(?:==\d+==\s*)?(?:ERROR|WARNING): (?P<tool>\w+Sanitizer): (?P<type>attempting "
    r"(?:double-)?free|detected memory leaks|data race|[\w-]+)(?P<value>.*)$"
)
_UNDEFINED = re.compile(r"^(?P<path>\S+?):(?P<line>\d+):(?P<column>\d+): runtime error: (?P<value>.*)$")
_SIGNAL = re.compile(
    r"^(?:.{0,200}?\s)??Program (?:received|terminated with) signal (?P<type>SIG\w+|\?), ?(?P<value>.*?)\.?$"
)
_TERMINATE = re.compile(
    r"^(?:.{0,200}?\s)??terminate called after throwing an instance of '(?P<type>[^']+)'$"
)
_TERMINATED = re.compile(
    r"^(?:.{0,200}?\s)??(?:libc\+\+abi: )?terminating (?:due to|with) uncaught exception of type (?P<t"
    r"ype>[^:\n]+(?:::[^:\n]+)*)(?:: (?P<value>.*))?$"
)
_WHAT = re.compile(r"^\s*what\(\): (?P<value>.*)$")
_ASSERT = re.compile(
    r"^(?:.{0,100}?[\s:])??(?P<path>[^\s:]+\.\w+):(?P<line>\d+): (?P<function>.*?): Assertion [`'](?P<"
    r"value>.*)' failed\.?$"
)
_VALGRIND = re.compile(
    r"^==\d+== (?P<value>(?:Invalid (?:read|write|free)|Conditional jump|Use of uninitialised|Process "
    r"terminating|Mismatched free|Source and destination|[\d,]+ (?:\([^)]*\) )?bytes in).*)$"
)
_LLDB = re.compile(r"^\* thread #\d+.*stop reason = (?P<type>EXC_\w+|signal SIG\w+)(?P<value>.*)$")
_NUMBERED = re.compile(
    r"^\s*(?:\* )?(?:frame )?#(?P<number>\d+):?\s+(?:(?P<address>0x[0-9a-fA-F]+)\s+)?(?:in )?(?P<rest>\S.*)$"
)
_VALGRIND_FRAME = re.compile(
    r"^==\d+==\s+(?:at|by) 0x[0-9A-F]+: (?P<function>.+?) \((?:in )?(?P<path>[^()\s]+?)(?::(?P<line>\d+))?\)$"
)
_THREAD = re.compile(r"^Thread (?P<number>\d+) \(.*$|^\[Switching to thread|^\s*$")
_GDB_PLACE = re.compile(
    r"^(?P<function>.+?) (?P<arguments>\(.*\))(?: const)?(?: at (?P<path>.+?):(?P<line>\d+)| from (?P<library>\S+))?$"
)
_ASAN_PLACE = re.compile(
    r"^(?P<function>.+?) (?:(?P<path>[^\s()]+?):(?P<line>\d+)(?::(?P<column>\d+))?|\((?P<library>[^()"
    r"\s+]+)\+0x[0-9a-f]+\).*)$"
)
_NAMELESS = re.compile(r"^\((?P<library>[^()\s+]+)\+0x[0-9a-f]+\)")
_LLDB_PLACE = re.compile(
    r"^(?P<library>[^\s`]+)`(?P<function>[^(]+?)(?:\(.*\))?(?: at (?P<path>[^\s:]+):(?P<line>\d+)(?::("
    r"?P<column>\d+))?)?(?: \+ \d+)?$"
)
_LIBRARY = re.compile(
    r"^/usr/(?!local/src|src)|^/lib(64)?/|sysdeps/|libsanitizer|compiler-rt|^\.\.?/(nptl|stdlib|csu|malloc|libio|string|debug|misc)/"
    r"|\.so(\.\d+)*$|/bits/|/c\+\+/\d|^/build/|\.dylib$|^/opt/|vg_replace|^\.\./\.\./"
)
_LIBRARY_NAMES = re.compile(
    r"^(?:std::|__|_start$|_init$|operator new|operator delete|abort$|raise$|malloc$|free$|boost::|\?\?$)"
)
_HEADS = (
    re.compile(r"\b(?:class|struct|namespace|union)\s+(?P<name>\w+)"),
    re.compile(
        r"(?P<name>~?\w+(?:::~?\w+)*)\s*\([^{}]*\)\s*(?:const|noexcept|override|final|\s|->[^{]*|:[^{]*)*$"
    ),
)
_MARKS = (
    "Sanitizer",
    "runtime error",
    " signal ",
    "terminate called",
    "terminating ",
    "Assertion",
    "==",
    "stop reason",
)
REACH = 40  # lines between what failed and its stack


class Native:
    """The `Language` of C and C++."""

    name = "native"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every report of a crash; the stack is the one that the tool prints first, or of gdb's first thread."""
        if not any(mark in text for mark in _MARKS):
            return []
        lines = lines_of(text)
        found: list[list[ExceptionValue]] = []
        at = 0
        while at < len(lines):
            if head := _head(lines[at]):
                raised, at = self._report(lines, at, head)
                found.append([raised])
            else:
                at += 1
        return found

    def in_app(self, path: str) -> bool:
        """False for system libraries, the C library and what the compiler brings."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Namespace, class and function around a line, by braces."""
        return by_braces(source, line, _HEADS, "::")

    def _report(
        self, lines: list[str], at: int, head: tuple[str, str, Frame | None]
    ) -> tuple[ExceptionValue, int]:
        kind, value, own = head
        at += 1
        end = min(len(lines), at + REACH)
        for number in range(at, end):
            if what := _WHAT.match(lines[number]):
                value = what["value"]
            elif _stack_line(lines[number]):
                frames, at = self._frames(lines, number)
                return exception(kind, value, frames), _past_other_stacks(lines, at)
            elif (again := _head(lines[number])) and not again[0].startswith("SIG"):
                break
            at = number + 1 if what else at
        return exception(kind, value, [own] if own else []), at

    def _frames(self, lines: list[str], at: int) -> tuple[list[Frame], int]:
        """One numbered stack. Locals that gdb prints between are stepped over."""
        frames: list[Frame] = []
        last = -1
        while at < len(lines):
            if match := _VALGRIND_FRAME.match(lines[at]):
                frames.append(self._made(match["function"], match["path"], match["line"]))
            elif match := _NUMBERED.match(lines[at]):
                if int(match["number"][:6]) <= last:
                    break
                last = int(match["number"][:6])
                frames.append(self._placed(match["rest"]))
            elif not (
                lines[at].startswith((" ", "\t", "No locals", "No symbol table")) and lines[at].strip()
            ):
                break
            at += 1
        return frames, at

    def _placed(self, rest: str) -> Frame:
        rest = rest.rstrip()
        patterns: tuple[re.Pattern[str], ...] = (_GDB_PLACE, _ASAN_PLACE)
        if "`" in rest:
            patterns = (_LLDB_PLACE, *patterns)
        elif only := _NAMELESS.match(rest):
            return self._made("??", only["library"], None)
        elif rest.endswith(")") and " at " not in rest and "+0x" in rest:
            patterns = (_ASAN_PLACE, _GDB_PLACE)
        elif not re.search(r"\) (?:const )?at \S|\) from \S|\)$", rest):
            patterns = (_ASAN_PLACE, *patterns)
        for pattern in patterns:
            if match := pattern.match(rest):
                groups = match.groupdict()
                path = groups.get("path") or groups.get("library")
                return self._made(groups["function"], path, groups.get("line"), groups.get("column"))
        return self._made(rest, None, None)

    def _made(self, function: str, path: str | None, line: str | None, column: str | None = None) -> Frame:
        known = path is not None and (line is not None or "/" in path)
        own = known and self.in_app(path or "") and _LIBRARY_NAMES.match(function) is None
        return frame(function, path, line, column, in_app=own)


def _stack_line(line: str) -> bool:
    match = _NUMBERED.match(line)
    return bool(match and int(match["number"][:6]) == 0) or _VALGRIND_FRAME.match(line) is not None


def _head(line: str) -> tuple[str, str, Frame | None] | None:
    """What failed: kind, message, and the place where the message itself names one."""
    if match := _SANITIZER.match(line):
        return match["type"], f"{match['type']}{match['value']}", None
    if match := _UNDEFINED.match(line):
        own = frame(
            None, match["path"], match["line"], match["column"], in_app=_LIBRARY.search(match["path"]) is None
        )
        return "undefined-behavior", match["value"], own
    if match := _ASSERT.match(line):
        own = frame(
            match["function"], match["path"], match["line"], in_app=_LIBRARY.search(match["path"]) is None
        )
        return "Assertion", match["value"], own
    for pattern in (_SIGNAL, _TERMINATE, _TERMINATED, _LLDB):
        if match := pattern.match(line):
            return (
                match["type"].removeprefix("signal "),
                (match.groupdict().get("value") or "").strip(" ,()"),
                None,
            )
    if match := _VALGRIND.match(line):
        return "valgrind", match["value"], None
    return None


def _past_other_stacks(lines: list[str], at: int) -> int:
    """Step over where memory came from and went to, other threads, and the shadow bytes: one report, one crash."""
    limit = min(len(lines), at + 2000)
    number = at
    while number < limit and _head(lines[number]) is None:
        if (
            _NUMBERED.match(lines[number])
            or _VALGRIND_FRAME.match(lines[number])
            or _THREAD.match(lines[number])
        ) or re.match(
            r"^(?:0x[0-9a-f]+ is|allocated by|freed by|previously allocated|SUMMARY:|\s|==\d+==)",
            lines[number],
        ):
            number += 1
        else:
            break
    return number
