"""Ruby: what the interpreter prints of an exception with its causes, and what Rails and loggers make of it."""

from __future__ import annotations

import re

from store.event import ExceptionValue, Frame
from triage.languages.definitions import by_indentation
from triage.languages.reading import exception, frame, header_above, lines_of, without_log_prefix

_PLACE = r"(?P<path>(?:[A-Za-z]:)?[^\s:'\"`][^:\n'\"`]*|-e|\(\w+\)|<internal:[^>\n]+>):(?P<line>\d+)"
_IN = r":in [`'](?P<function>.*?)'"
_FRAME = re.compile(
    rf"^\s*(?:(?:\d+: )?from )?(?:(?P<gem>[\w-]+) \((?P<version>[\w.]+)\) )?{_PLACE}(?:{_IN})?\s*$"
)
_OPENING = re.compile(rf"^(?P<before>.*?\s)??{_PLACE}(?:{_IN})?: (?P<message>.*)$")
_TYPED = re.compile(r"^(?P<value>.*) \((?P<type>[A-Z][\w:]*)\)$", re.DOTALL)
_NUMBERED = re.compile(r"^\s*\d+: from ")
_RAILS = re.compile(r"^(?P<type>[A-Z]\w*(?:::\w+)*) \((?P<value>.*?)\)?:?$")
_NAMED = re.compile(r"^(?P<type>[A-Z]\w*(?:::\w+)*): (?P<value>.*)$")
_LOGGED = re.compile(r"^(?P<value>.*) \((?P<type>[A-Z]\w*(?:::\w+)*)\)$")
_LIBRARY = re.compile(
    r"(^|/)(gems|rubygems|bundler|vendor/bundle|rbenv|rvm|\.asdf)/|/lib/ruby/|^<internal:|^\((eval|irb)\)|/usr/(local/)?lib/"
)
_DEFINITION = re.compile(
    r"^(?P<indent>[ \t]*)(?:def\s+(?:self\.)?|class\s+|module\s+)(?P<name>[A-Za-z_][\w:]*[?!=]?)"
)
MESSAGE_LINES = 12


class Ruby:
    """The `Language` of Ruby (both ways of quoting, both orders of printing)."""

    name = "ruby"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every exception with its causes, those first."""
        if ":in " not in text and "from " not in text and ".rb:" not in text:
            return []
        lines = lines_of(text)
        found: list[list[ExceptionValue]] = []
        at = floor = 0
        while at < len(lines):
            read = self._printed(lines, at) or self._upside_down(lines, at) or self._logged(lines, at, floor)
            if read is None:
                at += 1
                continue
            raised, at = read
            chain = [raised]
            while (cause := self._printed(lines, at)) and cause[0].frames and raised.mechanism is None:
                chain.insert(0, cause[0])
                at = cause[1]
            found.append(
                [each.model_copy(update={"chained": "cause"}) if n else each for n, each in enumerate(chain)]
            )
            floor = at
        return found

    def in_app(self, path: str) -> bool:
        """False for gems, the standard library and what was evaluated."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Module, class and method around a line, by indentation."""
        return by_indentation(source, line, _DEFINITION, "::")

    def _printed(self, lines: list[str], at: int) -> tuple[ExceptionValue, int] | None:
        """`file:1:in 'f': message (Type)` and the frames below it, each after "from"."""
        opening = _OPENING.match(lines[at]) if at < len(lines) and "(" in lines[at] else None
        typed = _TYPED.match(opening["message"]) if opening else None
        if opening is None or typed is None:
            return None
        message, first = [typed["value"]], at + 1
        end = first
        while end < len(lines) and end - at <= MESSAGE_LINES and not lines[end].strip().startswith("from "):
            if _OPENING.match(lines[end]) and _TYPED.match(lines[end]):
                break
            end += 1
        if end < len(lines) and lines[end].strip().startswith("from ") and _FRAME.match(lines[end]):
            message += lines[first:end]
            first = end
        frames = [self._frame(opening)]
        while first < len(lines) and "from " in lines[first] and (match := _FRAME.match(lines[first])):
            frames.append(self._frame(match))
            first += 1
        return exception(typed["type"], "\n".join(message).rstrip(), frames), first

    def _upside_down(self, lines: list[str], at: int) -> tuple[ExceptionValue, int] | None:
        """Ruby 2.5 to 2.7 on a terminal: the oldest frame first, the message last."""
        if not _NUMBERED.match(lines[at]):
            return None
        frames: list[Frame] = []
        while at < len(lines) and _NUMBERED.match(lines[at]) and (match := _FRAME.match(lines[at])):
            frames.append(self._frame(match))
            at += 1
        last = self._printed(lines, at)
        if not frames or last is None:
            return None
        own = last[0]
        return exception(own.type, own.value, [*own.frames[::-1], *frames[::-1]]), last[1]

    def _logged(self, lines: list[str], at: int, floor: int) -> tuple[ExceptionValue, int] | None:
        """Frames as they stand in `backtrace`, below a line that names the exception."""
        if ":in " not in lines[at] or not (_logged_frame(lines[at])):
            return None
        first = at
        frames: list[Frame] = []
        while at < len(lines) and (match := _logged_frame(lines[at])):
            frames.append(self._frame(match))
            at += 1
        if first > floor and not without_log_prefix(lines[first - 1].strip()):
            first -= 1
        for pattern in (_RAILS, _NAMED, _LOGGED):
            if head := header_above(lines, first, floor, pattern, pattern):
                return exception(head[1]["type"], head[2], frames), at
        return None

    def _frame(self, match: re.Match[str]) -> Frame:
        groups = match.groupdict()
        path = (
            f"{groups['gem']} ({groups['version']}) {groups['path']}" if groups.get("gem") else groups["path"]
        )
        own = not groups.get("gem") and self.in_app(path)
        return frame(groups.get("function"), path, groups["line"], in_app=own)


def _logged_frame(line: str) -> re.Match[str] | None:
    match = _FRAME.match(without_log_prefix(line)) or _FRAME.match(line)
    return match if match and match["function"] else None
