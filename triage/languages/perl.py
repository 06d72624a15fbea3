"""Perl: `die` with its place, and the stacks of `confess` and `cluck`.

Like PHP, Perl names what was *called* at a place: each name moves down by one line.
"""

from __future__ import annotations

import re

from store.event import ExceptionValue
from triage.languages.definitions import by_braces
from triage.languages.reading import exception, frame, lines_of, without_log_prefix

_DIED = re.compile(
    r"^(?P<value>\S.*?) at (?P<path>(?:/|[A-Za-z]:|\.{0,2}/)?[^\s()]*[^\s().]|\(eval \d+\)|-e) line (?P<line>\d+)"
    r"(?:, <\w*> (?:line|chunk) \d+)?\.$"
)
_CALLED = re.compile(
    r"^\s+(?P<function>\S.*?) called at (?P<path>\S.*?) line (?P<line>\d+)(?:, <\w*> (?:line|chunk) \d+)?\.?$"
)
_SCRIPT = re.compile(r"(?:\.(?:pl|pm|t|cgi|psgi|fcgi|plx)|^-e|^\(eval \d+\)|^[\w/-]*/s?bin/[\w-]+)$")
_LIBRARY = re.compile(
    r"/perl5?/(\d|site_perl|vendor_perl|lib)|/share/perl|/site_perl/|/local/lib/|^\(eval|/\.cpan|/perlbrew/"
)
_HEADS = (re.compile(r"\bsub\s+(?P<name>[\w:]+)"), re.compile(r"\bpackage\s+(?P<name>[\w:]+)"))


class Perl:
    """The `Language` of Perl."""

    name = "perl"

    def find_traces(self, text: str) -> list[list[ExceptionValue]]:
        """Every message with a place in a Perl file, and the calls below it where they were printed."""
        if " line " not in text or " at " not in text:
            return []
        lines = lines_of(text)
        found: list[list[ExceptionValue]] = []
        at = 0
        while at < len(lines):
            head = _died(lines[at])
            at += 1
            if head is None:
                continue
            calls = []
            while at < len(lines) and (match := _CALLED.match(lines[at])):
                calls.append(match)
                at += 1
            if calls or _SCRIPT.search(head["path"]):
                found.append([self._raised(head, calls)])
        return found

    def in_app(self, path: str) -> bool:
        """False for installed modules and evaluated text."""
        return bool(path) and _LIBRARY.search(path) is None

    def symbol_at(self, source: str, line: int) -> str | None:
        """Package and sub around a line, by braces."""
        return by_braces(source, line, _HEADS, "::")

    def _raised(self, head: re.Match[str], calls: list[re.Match[str]]) -> ExceptionValue:
        functions = [*(_name(call["function"]) for call in calls), "main"]
        places = [(head["path"], head["line"]), *((call["path"], call["line"]) for call in calls)]
        frames = [
            frame(function, path, line, in_app=self.in_app(path))
            for function, (path, line) in zip(functions, places, strict=True)
        ]
        return exception("die", head["value"], frames)


def _died(line: str) -> re.Match[str] | None:
    """The head of a trace. A log's prefix is taken off where that leaves a message with its place."""
    if " line " not in line or line[:1].isspace():
        return None
    return _DIED.match(without_log_prefix(line)) or _DIED.match(line)


def _name(called: str) -> str:
    """The name of what was called, without its arguments."""
    return called if called.startswith(("eval", "require")) else called.partition("(")[0]
