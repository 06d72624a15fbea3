"""Log text with stack traces in it, of whatever language, wrapped by whatever platform it went through."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

from store.errors import BadPayload
from store.event import Event, ExceptionValue
from triage import languages
from triage.formats.log_lines import Stream, streams
from triage.formats.shapes import moment

MARK = b"Traceback (most recent call last):"
LOOK = 1 << 20  # bytes that are looked through to find out whether there is a trace


class TracebackText:
    """The `Format` of plain log text."""

    name = "traceback"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether there is a trace in it, or the sender says that it is text."""
        if MARK in body or headers.get("content-type", "").startswith("text/plain"):
            return True
        if (not body.isascii() and not _is_utf8(body)) or body.lstrip()[:1] in (b"{", b"["):
            return False
        return any(chains(stream.text) for stream in streams(body[:LOOK].decode("utf-8", "replace")))

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """An event for each traceback, in the order of the text. Raises BadPayload where there is none."""
        text = body.decode("utf-8", "replace")
        found = [
            _event(chain, platform, stream, project, received_at, number)
            for stream in streams(text)
            for number, (platform, chain) in enumerate(chains(stream.text))
        ]
        if not found:
            raise BadPayload("There is no traceback in this text.")
        return sorted(found, key=lambda event: event.timestamp)


def chains(text: str) -> list[tuple[str, list[ExceptionValue]]]:
    """Every trace of every known language in clean text: (platform, chain)."""
    return [(language.name, chain) for language in languages.known() for chain in language.find_traces(text)]


def _event(
    chain: list[ExceptionValue],
    platform: str,
    stream: Stream,
    project: str,
    received_at: datetime,
    number: int,
) -> Event:
    stamp = _stamp(chain, stream, received_at)
    identity = "\n".join([project, stream.writer, stamp.isoformat(), str(number), stream.text])
    return Event(
        event_id=hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32],
        project=project,
        received_at=received_at,
        timestamp=stamp,
        platform=platform,
        service=stream.writer.removesuffix("-1") if stream.writer not in _NO_SERVICE else None,
        exceptions=tuple(chain),
    )


_NO_SERVICE = frozenset({"", "json", "stdout", "stderr", "AM", "PM"})


def _stamp(chain: list[ExceptionValue], stream: Stream, received_at: datetime) -> datetime:
    """When the line with the last exception's type was written, else when the text arrived."""
    wanted = (chain[-1].value.partition("\n")[0], chain[-1].type)
    for words in wanted:
        for line, stamp in zip(stream.lines, stream.stamps, strict=True):
            if stamp and words and words in line and not line.startswith(" "):
                return moment(stamp, received_at)
    return received_at


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
