"""What platforms put before each line of a program's output, taken off again.

Docker (json-file and compose), Kubernetes CRI, Heroku, Render, syslog, journald, GCP and others that log
one JSON object a line. Lines of several writers may be interleaved: the lines of each writer become a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_PREFIXES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^(?P<at>{_STAMP}) (?P<who>stdout|stderr) (?P<partial>[FP]) (?P<rest>.*)$",  # Kubernetes CRI
        rf"^(?P<at>{_STAMP}) (?P<who>(?:app|heroku)\[[\w.-]+\]): ?(?P<rest>.*)$",  # Heroku
        rf"^<\d+>1 (?P<at>{_STAMP}) (?P<who>\S+ \S+ \S+) \S+ (?:-|\[.*?\]) ?(?P<rest>.*)$",  # RFC 5424
        r"^(?:<\d+>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d "  # syslog, RFC 3164, and journald
        r"(?P<who>(?!AM |PM )[\w.-]+ [\w./@-]+(?:\[\d+\])?): ?(?P<rest>.*)$",
        r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?P<who>AM|PM)  (?P<rest>.*)$",  # Render
        r"^(?P<who>[\w.-]+-\d+|[\w.-]+) +\| ?(?P<rest>.*)$",  # docker compose
        r"^(?P<who>\[pod/[\w./-]+\]) (?P<rest>.*)$",  # kubectl logs --prefix
    )
)
_JSON_TEXT = ("log", "textPayload", "message", "msg", "@message", "MESSAGE")
_JSON_TIME = ("time", "timestamp", "ts", "@timestamp")
_JSON_WRITER = ("stream", "container", "pod", "host", "logger")
_JSON_TRACE = ("exc_info", "exception", "stack_trace", "traceback", "stack")


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
    for writer, line, stamp, partial in _unwrapped(text):
        found.setdefault(writer, Stream(writer)).add(line, stamp, partial=partial)
    return list(found.values())


def _unwrapped(text: str) -> Iterator[tuple[str, str, str | None, bool]]:
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        if line.startswith("{") and (record := _json_record(line)) is not None:
            writer, message, stamp = record
            for part in message.removesuffix("\n").split("\n"):
                yield writer, part, stamp, False
            continue
        for pattern in _PREFIXES:
            if match := pattern.match(line):
                groups = match.groupdict()
                yield groups["who"], groups["rest"], groups.get("at"), groups.get("partial") == "P"
                break
        else:
            yield "", line, None, False


def _json_record(line: str) -> tuple[str, str, str | None] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    texts = [record[key] for key in (*_JSON_TEXT, *_JSON_TRACE) if isinstance(record.get(key), str)]
    if not texts:
        return None
    stamp = next((record[key] for key in _JSON_TIME if isinstance(record.get(key), str)), None)
    writer = " ".join(str(record[key]) for key in _JSON_WRITER if isinstance(record.get(key), str))
    return writer or "json", "\n".join(texts), stamp
