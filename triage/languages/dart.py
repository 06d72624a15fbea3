"""Dart and Flutter: unhandled exceptions with their numbered stack."""

from __future__ import annotations

import re

from store.event import ExceptionValue, Frame
from triage.languages.definitions import by_braces
from triage.languages.reading import exception, frame, lines_of

_FRAME = re.compile(
    r"^\s*#(?P<number>\d+)\s+(?P<function>\S.*?) \((?P<path>(?:dart|package|file|http|https|org-dartla"
    r"ng-\w+):[^()]*?)(?::(?P<line>\d+))?(?::(?P<column>\d+))?\)\s*$"
)
_SUSPENSION = re.compile(r"^\s*<asynchronous suspension>\s*$")
_OPENING = re.compile(
    r"^(?:.{0,200}?\s)??(?:Unhandled exception:|\[ERROR:[^\]]*\] Unhandled Exception: )(?P<rest>.*)$"
)
_NAMED = re.compile(r"^(?P<type>_?[A-Z]\w*(?:Error|Exception)?)(?: \([^)]*\))?: (?P<value>.*)$", re.DOTALL)
_BARE = re.compile(r"^_?[A-Z]\w*(?:Error|Exception)$")
_LIBRARY = re.compile(
    r"^dart:|^package:(?!app/)(?:flutter|http|dio|bloc|provider|async|test)/|^org-dartlang|/\.pub-cache/|/flutter/packages/"
)
_HEADS = (
    re.compile(r"\b(?:class|mixin|extension|enum)\s+(?P<name>\w+)"),
    re.compile(r"\b(?P<name>\w+)\s*\([^{}]*\)\s*(?:async\*?|sync\*)?\s*$"),
)
MESSAGE_LINES = 30


class Dart:
    """The `Language` of Dart."""

    name = "dart"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every exception that has a stack below it."""
        if "#0 " not in text:
            return []
        lines = lines_of(text)
        found: list[list[ExceptionValue]] = []
        at = floor = 0
        while at < len(lines):
            match = _FRAME.match(lines[at])
            if match is None or match["number"] != "0":
                at += 1
                continue
            kind, value = _head(lines, at, floor)
            frames, at = self._frames(lines, at)
            floor = at
            found.append([exception(kind, value, frames)])
        return found

    def in_app(self, path: str) -> bool:
        """False for the core libraries and common packages."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Class and function around a line, by braces."""
        return by_braces(source, line, _HEADS)

    def _frames(self, lines: list[str], at: int) -> tuple[list[Frame], int]:
        frames: list[Frame] = []
        while at < len(lines):
            if match := _FRAME.match(lines[at]):
                if frames and match["number"] == "0":
                    break
                own = self.in_app(match["path"])
                frames.append(
                    frame(match["function"], match["path"], match["line"], match["column"], in_app=own)
                )
            elif not _SUSPENSION.match(lines[at]):
                break
            at += 1
        return frames, at


def _head(lines: list[str], at: int, floor: int) -> tuple[str, str]:
    """(type, message): after the line that announces them, else the line above the stack."""
    for number in range(at - 1, max(floor, at - MESSAGE_LINES) - 1, -1):
        if opening := _OPENING.match(lines[number]):
            rest = [line for line in (opening["rest"], *lines[number + 1 : at]) if line]
            return _split("\n".join(rest))
    return _split(lines[at - 1] if at > floor else "")


def _split(message: str) -> tuple[str, str]:
    if match := _NAMED.match(message):
        return match["type"], match["value"]
    if _BARE.match(message):
        return message, ""
    return "Error", message
