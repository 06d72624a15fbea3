"""Swift: fatal errors with their place, and the backtraces that the runtime prints on Linux since 5.9."""

from __future__ import annotations

import re

from store.event import ExceptionValue, Frame
from triage.languages.definitions import by_braces
from triage.languages.reading import exception, frame, lines_of

_KIND = r"(?P<type>Fatal error|Precondition failed|Assertion failed|Simultaneous accesses)"
_NEW = re.compile(
    rf"^(?:.{{0,200}}?\s)??(?P<path>[^\s:]+\.swift):(?P<line>\d+): {_KIND}(?:: (?P<value>.*))?$"
)
_OLD = re.compile(
    rf"^(?:.{{0,200}}?[\s:])??{_KIND}: (?P<value>.*?):? file (?P<path>\S+\.swift), line (?P<line>\d+)$"
)
_CRASHED = re.compile(r'^Thread \d+(?: "[^"]*")?(?: \S+)? crashed:$')
_FRAME = re.compile(
    r"^\s*(?P<number>\d+)\s+(?:\[[^\]]*\]\s+)?(?:0x[0-9a-f]+\s+)?(?P<function>\S.*?)(?: \+ \d+)? in (?P<image>\S+)"
    r"(?: at (?P<path>.+?\.\w+):(?P<line>\d+)(?::(?P<column>\d+))?)?$"
)
_LIBRARY = re.compile(
    r"^libswift|/swift-[\w.-]+/|\.build/checkouts/|/usr/lib/|^/lib|\.dylib$|\.so(\.\d+)*$|^/home/build-user/"
)
_HEADS = (
    re.compile(r"\b(?:class|struct|enum|extension|protocol|actor)\s+(?P<name>[\w.]+)"),
    re.compile(r"\bfunc\s+(?P<name>\w+)"),
    re.compile(r"\b(?P<name>init|deinit)\b"),
)
REACH = 12  # lines between the message and the crashed thread


class Swift:
    """The `Language` of Swift."""

    name = "swift"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every fatal error: with the stack of the thread that crashed, or else with the place it names."""
        if ".swift" not in text:
            return []
        lines = lines_of(text)
        found: list[list[ExceptionValue]] = []
        at = 0
        while at < len(lines):
            head = (_NEW.match(lines[at]) or _OLD.match(lines[at])) if ".swift" in lines[at] else None
            at += 1
            if head is None:
                continue
            start = next(
                (n for n in range(at, min(len(lines), at + REACH)) if _CRASHED.match(lines[n])), None
            )
            frames, end = self._frames(lines, start + 1) if start is not None else ([], at)
            if not frames:
                frames = [frame(None, head["path"], head["line"], in_app=self.in_app(head["path"]))]
            at = max(at, end)
            found.append([exception(head["type"], head["value"] or "", frames)])
        return found

    def in_app(self, path: str) -> bool:
        """False for the runtime, checked-out packages and system libraries."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Type and function around a line, by braces."""
        return by_braces(source, line, _HEADS)

    def _frames(self, lines: list[str], at: int) -> tuple[list[Frame], int]:
        """Numbered frames; the source that is printed below each is stepped over."""
        frames: list[Frame] = []
        gap = 0
        while at < len(lines) and gap < 12:
            if match := _FRAME.match(lines[at]):
                if frames and match["number"] == "0":
                    break
                path = match["path"] or match["image"]
                own = self.in_app(path) and match["path"] is not None
                frames.append(
                    frame(
                        match["function"],
                        path,
                        match["line"],
                        match["column"],
                        module=match["image"],
                        in_app=own,
                    )
                )
                gap = 0
            elif lines[at].startswith(("Thread ", "Registers:", "Images ")):
                break
            else:
                gap += 1
            at += 1
        return frames, at - gap
