"""What platforms put before each line of a program's output, taken off again.

Docker (json-file and compose), Kubernetes CRI, Heroku, Fly, Render, syslog, journald, CloudWatch, GCP, Loki, process
managers, and others that log one JSON object a line; one inside the other too. Lines of several writers may be
interleaved: the lines of each writer become a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from triage.formats.log_records import documents, record_of

_STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_NO_HOST = r"(?!(?:AM|PM|TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|SEVERE) )"
_SYSLOG = rf"(?P<who>{_NO_HOST}[\w.-]+ [\w./@-]+(?:\[\d+\])?): ?(?P<rest>.*)$"
_PREFIXES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?P<at>{_STAMP}) (?P<who>stdout|stderr) (?P<partial>[FP]) (?P<rest>.*)$",  # Kubernetes CRI
        rf"^(?P<at>{_STAMP}) (?P<who>(?:app|heroku)\[[\w.-]+\]): ?(?P<rest>.*)$",  # Heroku
        rf"^(?P<at>{_STAMP}) (?P<who>\w+\[\w+\]) [a-z]{{3}} \[\w+\] ?(?P<rest>.*)$",  # Fly
        rf"^(?:<\d+>)?1 (?P<at>{_STAMP}) (?P<who>\S+ \S+ \S+) \S+ (?:-|\[.*?\]) ?(?P<rest>.*)$",  # RFC 5424
        rf"^(?P<at>(?=[\d-]+T){_STAMP}) {_SYSLOG}",  # syslog and journald with long times
        rf"^(?:<\d+>)?[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d {_SYSLOG}",  # RFC 3164, and journald
        r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?P<who>AM|PM)  (?P<rest>.*)$",  # Render
        rf"^(?P<at>{_STAMP}) (?P<who>\S*\d{{4}}/\d\d/\d\d/\[[\w$.]+\]\w+|[\w.-]+/[\w.-]+/[0-9a-f]{{16,}}) "
        r"(?P<rest>.*)$",  # CloudWatch, of Lambda and of ECS
        rf"^(?P<at>{_STAMP})\t(?P<who>[0-9a-f-]{{36}}|undefined)\t[A-Z]+\t(?P<rest>.*)$",  # Lambda
        r"^(?:\d\d:\d\d:\d\d )?(?P<who>[\w.-]+-\d+|[\w.-]+|\d+\|[\w.-]+) +\| ?(?P<rest>.*)$",  # compose, foreman, pm2
        r"^(?P<who>\[pod/[\w./-]+\]) (?P<rest>.*)$",  # kubectl logs --prefix
    )
)
# What may as well be the program's own: taken off only where nearly every line begins so.
_COMMON = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?:(?P<at>{_STAMP}) )?(?P<who>\[(?:pid )?[\w./#-]*\w\]|\(\w[\w.-]*\)|[\w.-]+\[\d+\]:?) (?P<rest>.*)$",
        rf"^(?P<at>{_STAMP})(?P<who>)(?: (?P<rest>.*))?$",
        r"^(?P<who>[\w.-]*\w[.-]\w+):? (?P<rest>.*)$",
    )
)
_COMMON_SHARE, _COMMON_LINES = 0.9, 4
_NESTING = 3  # prefixes before one line: compose around JSON around syslog


@dataclass
class Stream:
    """The lines of one writer, and when each was written where the platform said so."""

    writer: str
    lines: list[str] = field(default_factory=list)
    stamps: list[str | None] = field(default_factory=list)
    open: bool = False  # the last line is a part whose rest comes with the next one

    def add(self, line: str, stamp: str | None, *, partial: bool = False) -> None:
        if self.open:
            self.lines[-1] += line
        else:
            self.lines.append(line)
            self.stamps.append(stamp)
        self.open = partial

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def streams(text: str) -> list[Stream]:
    """One text for each writer, in the order in which they first wrote."""
    found: dict[str, Stream] = {}
    records = documents(text)
    lines = _unwrapped(text) if records is None else _from_records(records)
    for writer, line, stamp, partial in lines:
        found.setdefault(writer, Stream(writer)).add(line, stamp, partial=partial)
    return list(found.values())


def writer_of(line: str) -> str:
    """Who wrote a line, as the platform says before it; "" where it does not."""
    return next((writer for writer, _, _, _ in _line(line.rstrip("\r"), ())), "")


_Line = tuple[str, str, str | None, bool]


def _from_records(records: list[tuple[str, str, str | None]]) -> Iterator[_Line]:
    for writer, message, stamp in records:
        for part in message.removesuffix("\n").split("\n"):
            yield from _line(part, (), writer, stamp)


def _unwrapped(text: str) -> Iterator[_Line]:
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    common = _common(lines)
    for line in lines:
        yield from _line(line, common)


def _line(
    line: str, common: tuple[re.Pattern[str], ...], writer: str = "", stamp: str | None = None
) -> Iterator[_Line]:
    """What a line is once nothing is before it any more; a JSON record may be several lines."""
    partial = False
    for _ in range(_NESTING):
        if line.startswith("{") and (record := record_of(line)) is not None:
            named, message, said = record
            for part in message.removesuffix("\n").split("\n"):
                yield f"{writer} {named}".strip(), part, said or stamp, False
            return
        match = next((found for each in (*_PREFIXES, *common) if (found := each.match(line))), None)
        if match is None:
            break
        groups = match.groupdict()
        writer = f"{writer} {groups['who']}".strip()
        stamp = groups.get("at") or stamp
        partial = groups.get("partial") == "P"
        line, common = groups["rest"] or "", ()
        if line.startswith("#011"):  # how rsyslog writes a tab
            line = line.replace("#011", "\t")
        if line[:1].isspace():  # nothing writes a prefix after blanks
            break
    yield writer, line, stamp, partial


def _common(lines: list[str]) -> tuple[re.Pattern[str], ...]:
    """A prefix that nearly all lines share, if there is one."""
    written = [line for line in lines if line.strip()]
    if len(written) < _COMMON_LINES:
        return ()
    for pattern in _COMMON:
        matches = [match for line in written if (match := pattern.match(line))]
        continued = any((match["rest"] or "").startswith((" ", "\t")) for match in matches)
        if len(matches) >= _COMMON_SHARE * len(written) and continued:
            return (pattern,)
    return ()
