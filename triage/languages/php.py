"""PHP: uncaught exceptions as the engine, `__toString` and Laravel print them, and fatal errors without a stack.

PHP names the function that was *called* at a place. A frame here is, as everywhere, a place with the function that it
is in: so each name moves down by one line, and the place where the exception was made is the newest frame.
"""

from __future__ import annotations

import re

from store.event import ExceptionValue
from triage.languages.definitions import by_braces
from triage.languages.reading import VALUE_LIMIT, exception, frame, lines_of

_NAME = r"\\?[A-Za-z_\x80-\uffff][\w\\\x80-\uffff]*(?:@anonymous)?"
_PLACE = r"(?P<path>\S.*?)(?::| on line |\()(?P<line>\d+)\)?"
_HEADERS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rf"^.*?Uncaught exception '(?P<type>{_NAME})' with message '(?P<value>.*)' in {_PLACE}$",
        rf"^(?:.*?\s)?exception '(?P<type>{_NAME})' with message '(?P<value>.*)' in {_PLACE}$",
        rf"^.*?Uncaught (?P<type>{_NAME})(?:: (?P<value>.*))? in {_PLACE}$",
        rf"^Next (?P<type>{_NAME})(?:: (?P<value>.*))? in {_PLACE}$",
        rf"^.*?\[(?:previous )?(?:object|exception)\] \((?P<type>{_NAME})\(code: .*?\): (?P<value>.*) at {_PLACE}\)?$",
        rf"^(?:.*?[\s:])??(?P<type>{_NAME}(?:Exception|Error))(?:: (?P<value>.*))? in {_PLACE}$",
    )
)
_MENTIONED = re.compile(r"xception|rror|Uncaught |^Next ")
_STACK = re.compile(r"^\s*(?:Stack trace:|\[stacktrace\]|#0 )", re.IGNORECASE)
_CALL = re.compile(
    r"^\s*#\d+ (?:(?P<path>\S.*?)\((?P<line>\d+)\)(?: : [^:]+)?|\[internal function\]): (?P<function>."
    r"+?)(?P<arguments>\(.*)?$"
)
_MAIN = re.compile(r"^\s*#\d+ \{main\}")
_THROWN = re.compile(r"^\s*thrown in .+ on line \d+$")
_FATAL = re.compile(
    r"^(?:.*?PHP )?(?P<type>(?:Fatal|Parse|Core|Compile|Recoverable fatal) error): +(?!Uncaught )(?P<value>.+) in "
    r"(?P<path>/\S.*|[A-Za-z]:\\.+) on line (?P<line>\d+)$"
)
_LIBRARY = re.compile(r"(^|/)vendor/|/usr/share/(php|pear)/|^phar://|/pear/|^\[internal function\]$")
_HEADS = (
    re.compile(r"\b(?:class|interface|trait|enum)\s+(?P<name>\w+)"),
    re.compile(r"\bfunction\s+&?(?P<name>\w+)\s*\("),
)
MESSAGE_LINES = 20


class Php:
    """The `Language` of PHP."""

    name = "php"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every uncaught or logged exception with what it was made from, that first; then fatal errors."""
        if "#0 " not in text and "#1 " not in text and " error: " not in text:
            return []
        lines = lines_of(text)
        found: list[list[ExceptionValue]] = []
        at = floor = 0
        while at < len(lines):
            if fatal := _FATAL.match(lines[at]):
                place = frame(None, fatal["path"], fatal["line"], in_app=self.in_app(fatal["path"]))
                found.append([exception(fatal["type"], fatal["value"], [place])])
                at += 1
            elif _STACK.match(lines[at]) and (head := _head(lines, at, floor)):
                chain, at = self._chain(lines, at, head)
                floor = at
                if not _told_twice(found, chain, head):
                    found.append(chain)
            else:
                at += 1
        return found

    def in_app(self, path: str) -> bool:
        """False for packages of composer and PEAR, archives, and functions of PHP itself."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Class and function around a line, by braces."""
        return by_braces(source, line, _HEADS)

    def _chain(self, lines: list[str], at: int, head: re.Match[str]) -> tuple[list[ExceptionValue], int]:
        chain: list[ExceptionValue] = []
        following: re.Match[str] | None = head
        previous_first = True
        while following is not None:
            calls, at = _calls(lines, at)
            chain.append(self._raised(following, calls))
            following, at = _following(lines, at)
            previous_first = previous_first and not (following and "[previous" in following[0])
        if not previous_first:
            chain.reverse()
        linked = [each.model_copy(update={"chained": "cause"}) if n else each for n, each in enumerate(chain)]
        return linked, at

    def _raised(self, head: re.Match[str], calls: list[re.Match[str]]) -> ExceptionValue:
        functions = [*(call["function"] for call in calls), "{main}"]
        places = [(head["path"], head["line"]), *((call["path"], call["line"]) for call in calls)]
        frames = [
            frame(
                function.replace("\\\\", "\\"),
                path or "[internal function]",
                line,
                in_app=self.in_app(path or ""),
            )
            for function, (path, line) in zip(functions, places, strict=True)
        ]
        return exception(head["type"].lstrip("\\"), (head["value"] or "").replace('\\"', '"'), frames)


def _head(lines: list[str], at: int, floor: int) -> re.Match[str] | None:
    """The header above a stack; its message may have several lines, and its place may stand on the last of them."""
    for number in range(at - 1, max(floor, at - MESSAGE_LINES) - 1, -1):
        if not _MENTIONED.search(lines[number]):
            continue
        text = "\n".join(lines[number:at]).rstrip()[:VALUE_LIMIT]
        for pattern in _HEADERS:
            if match := pattern.match(text):
                return match
    return None


def _calls(lines: list[str], at: int) -> tuple[list[re.Match[str]], int]:
    """The numbered calls of one stack, and the line after it."""
    calls: list[re.Match[str]] = []
    while at < len(lines):
        if match := _CALL.match(lines[at]):
            calls.append(match)
        elif not (_STACK.match(lines[at]) or _MAIN.match(lines[at])):
            break
        at += 1
    return calls, at


def _following(lines: list[str], at: int) -> tuple[re.Match[str] | None, int]:
    """The next exception of the chain, where "Next" or Laravel's "[previous exception]" begins one."""
    ahead = at
    while ahead < len(lines) and ahead - at < MESSAGE_LINES:
        line = lines[ahead].strip()
        if line.startswith(("Next ", "[previous exception]")):
            end = next(
                (
                    n
                    for n in range(ahead + 1, min(len(lines), ahead + MESSAGE_LINES))
                    if _STACK.match(lines[n])
                ),
                None,
            )
            match = _head(lines, end, ahead) if end is not None else None
            if match is not None and end is not None:
                return match, end
            return None, at
        if line and line != '"}':
            break
        ahead += 1
    while at < len(lines) and _THROWN.match(lines[at]):
        at += 1
    return None, at


def _told_twice(found: list[list[ExceptionValue]], chain: list[ExceptionValue], head: re.Match[str]) -> bool:
    """With logging and display both on, PHP writes one exception to each: "PHP Fatal error: …", "Fatal error: …"."""
    return bool(found) and found[-1] == chain and head[0].startswith("Fatal error:")
