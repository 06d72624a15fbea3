"""Rust: panics with and without a backtrace, and errors that `anyhow` and `eyre` print."""

from __future__ import annotations

import re

from store.event import ExceptionValue, Frame
from triage.languages.definitions import by_braces
from triage.languages.reading import LINE_LIMIT, exception, frame, lines_of

_PANIC = re.compile(
    r"^(?:.{0,200}?\s)??thread '(?P<thread>[^']*)'(?: \(\d+\))? (?:has )?panicked at "
    r"(?:'(?P<old>.*)', )?(?P<path>[^\s'][^\n']*?):(?P<line>\d+)(?::(?P<column>\d+))?(?P<colon>:)?$"
)
_OLD_START = re.compile(r"^(?:.{0,200}?\s)??thread '[^']*'(?: \(\d+\))? panicked at '")
_STACK = re.compile(r"^\s*(?:stack backtrace|Stack backtrace):\s*$")
_NUMBERED = re.compile(r"^\s*(?P<number>\d+):\s+(?:(?P<address>0x[0-9a-f]+) - )?(?P<function>\S.*?)\s*$")
_AT = re.compile(r"^\s+at (?P<path>.+?):(?P<line>\d+)(?::(?P<column>\d+))?\s*$")
_ERROR = re.compile(r"^(?:.{0,200}?\s)??Error: (?P<value>.*)$")
_NOTE = re.compile(r"^(?:note: |stack backtrace:|thread '|\s*$)")
_HASH = re.compile(r"::h[0-9a-f]{16}$")
_LIBRARY = re.compile(
    r"^/rustc/|/rustlib/|/\.cargo/(registry|git)/|/library/(std|core|alloc|panic_unwind|test)/|/vendor/"
    r"|/index\.crates\.io-|^<\w+ macros>"
    r"|/\.rustup/"
)
_LIBRARY_NAMES = re.compile(
    r"^<?(?:&?(?:mut )?)?(?:std|core|alloc|__rustc|rust_begin_unwind|__libc_start|_start|main$|backtrace|anyhow|eyre"
    r"|tokio)\b(?:::|$|_)?"
)
_HEADS = (
    re.compile(r"\bfn\s+(?P<name>\w+)"),
    re.compile(r"\bimpl(?:<[^{]*?>)?\s+(?:[^{]*?\s+for\s+)?(?P<name>\w+)"),
    re.compile(r"\b(?:mod|trait|struct|enum)\s+(?P<name>\w+)"),
)
MESSAGE_LINES = 20


class Rust:
    """The `Language` of Rust."""

    name = "rust"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every panic: with its backtrace, or else with the one place that the message names."""
        if "panicked at" not in text and "tack backtrace:" not in text:
            return []
        lines = lines_of(text)
        found: list[list[ExceptionValue]] = []
        at = floor = 0
        while at < len(lines):
            if "panicked at" in lines[at] and (panic := _panic(lines, at)):
                raised, at = self._panicked(lines, *panic)
                found.append([raised])
                floor = at
            elif _STACK.match(lines[at]):
                chain, at = self._error(lines, at, floor)
                found += [chain] if chain else []
                floor = at
            else:
                at += 1
        return found

    def in_app(self, path: str) -> bool:
        """False for the standard library and for crates."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Module, type and function around a line, by braces."""
        return by_braces(source, line, _HEADS, "::")

    def _panicked(
        self, lines: list[str], head: re.Match[str], message: str, at: int
    ) -> tuple[ExceptionValue, int]:
        ahead = at
        while ahead < len(lines) and ahead - at < 4 and not _STACK.match(lines[ahead]):
            if lines[ahead].strip() and not lines[ahead].startswith("note: "):
                break
            ahead += 1
        frames: list[Frame] = []
        if ahead < len(lines) and _STACK.match(lines[ahead]):
            frames, at = self._frames(lines, ahead + 1)
        if not any(each.lineno for each in frames):
            own = self.in_app(head["path"])
            frames = [frame(None, head["path"], head["line"], head["column"], in_app=own)]
        return exception("panic", message, frames), at

    def _error(self, lines: list[str], at: int, floor: int) -> tuple[list[ExceptionValue], int]:
        """An error that `main` returned: message, causes, backtrace."""
        frames, end = self._frames(lines, at + 1)
        for number in range(at - 1, max(floor, at - MESSAGE_LINES) - 1, -1):
            if match := _ERROR.match(lines[number]):
                rest = [line.strip() for line in lines[number + 1 : at]]
                causes = [
                    re.sub(r"^\d+: ", "", line)
                    for line in rest
                    if line and line not in ("Caused by:", "Location:")
                ]
                texts = [match["value"], *causes][::-1]
                chain = [
                    exception("Error", text, [], chained="cause" if n else None)
                    for n, text in enumerate(texts)
                ]
                return [
                    *chain[:-1],
                    chain[-1].model_copy(update={"frames": exception("", "", frames).frames}),
                ], end
        return [], end

    def _frames(self, lines: list[str], at: int) -> tuple[list[Frame], int]:
        frames: list[Frame] = []
        while at < len(lines):
            match = _NUMBERED.match(lines[at])
            if match:
                frames.append(_named(match["function"]))
            elif frames and (place := _AT.match(lines[at])):
                function = frames[-1].function or ""
                own = self.in_app(place["path"]) and _LIBRARY_NAMES.match(function) is None
                if frames[-1].filename:  # inlined into the call above it: one number, several places
                    frames.append(_named(function))
                frames[-1] = frame(function, place["path"], place["line"], place["column"], in_app=own)
            else:
                break
            at += 1
        return frames, at


def _named(function: str) -> Frame:
    return frame(_HASH.sub("", function), None)


def _panic(lines: list[str], at: int) -> tuple[re.Match[str], str, int] | None:
    """The head of a panic, its message, and the line after both. Before 1.73 the message stood in quotes on the line
    of the head, and could have several lines."""
    if match := _PANIC.match(lines[at]):
        if match["old"] is not None or match["colon"] is None:
            return match, match["old"] or "", at + 1
        end = at + 1
        while end < len(lines) and end - at <= MESSAGE_LINES and not _NOTE.match(lines[end]):
            end += 1
        return match, "\n".join(lines[at + 1 : end]), end
    if not _OLD_START.match(lines[at]):
        return None
    for end in range(at + 1, min(len(lines), at + MESSAGE_LINES)):
        joined = "\x1f".join(lines[at : end + 1])
        if len(joined) > LINE_LIMIT:
            return None
        if match := _PANIC.match(joined):
            return match, (match["old"] or "").replace("\x1f", "\n"), end + 1
    return None
