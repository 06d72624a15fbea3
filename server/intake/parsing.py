"""Bodies to events, for each door: what comes at a Sentry address, at our own, and from files.

A format that fails in a way it does not say must not become a failure of ours: it is logged, and the sender is told.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from store.errors import BadPayload, NightdeskError
from store.event import Event, Over, Served
from triage import Alarms, Format, formats
from triage.formats.access_logs import of_log
from triage.formats.sentry import receive
from triage.formats.sentry_glimpse import Rages
from triage.outline import Glimpse

log = logging.getLogger("nightdesk.parsing")

NAMES = {"auto": "auto", "sentry": "sentry", "text": "traceback", "json": "json"}
_EVENT_FIELDS = frozenset({"exception", "logentry", "traceback", "message", "event_id"})


@dataclass(frozen=True)
class Told:
    """What a body tells: events, requests that ended, and the id that its sender wants to be answered."""

    events: list[Event]
    event_id: str | None = None
    served: Sequence[Served] = ()
    over: Sequence[Over] = ()  # alerts
    glimpse: Glimpse | None = None  # in the place of an event of a storm


def sentry_events(
    body: bytes,
    headers: Mapping[str, str],
    *,
    project: str,
    received_at: datetime,
    rages: Rages | None = None,
) -> Told:
    """An envelope or a bare event. Transactions and sessions are counted, items of other types are skipped: there may
    be no event at all. Raises BadPayload."""
    received = receive(body, project=project, received_at=received_at, rages=rages)
    first = received.glimpse.event if received.glimpse else next(iter(received.events), None)
    named = first.event_id if first else received.event_id
    return Told(list(received.events), named, received.served, glimpse=received.glimpse)


def own_events(body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime) -> Told:
    """The events of JSON or log text from an application's own error handler, or of whatever a plug-in
    recognises; in log text requests that ended are counted, and there need be no failure then. Raises BadPayload."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    own = formats.by_name("traceback" if kind == "text/plain" else "json")
    chosen = next((each for each in formats.plugged() if each.recognises(body, headers)), own)
    served = of_log(body.decode("utf-8", "replace"), received_at) if chosen.name == "traceback" else []
    try:
        events = _parsed(chosen, body, headers, project, received_at)
    except BadPayload:
        if not served:
            raise
        events = []
    return Told(events, events[0].event_id if events else None, served)


def named_events(
    name: str, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
) -> Told:
    """What a body in the format of that name tells; there may be no event. Raises BadPayload."""
    chosen = formats.by_name(name)
    events = _parsed(chosen, body, headers, project, received_at)
    over = chosen.over(body, received_at=received_at) if isinstance(chosen, Alarms) else []
    return Told(events, events[0].event_id if events else None, over=over)


def file_events(body: bytes, name: str, *, project: str, received_at: datetime) -> list[Event]:
    """The events of a file in the format of that NAME (one of NAMES, or a plug-in's); `auto` looks. JSON lines are
    taken line by line.

    Raises BadPayload where there is nothing that can be read as an event.
    """
    if name in {"auto", "json"} and (lines := _json_lines(body)):
        parts = [_one_part(line, "auto", project, received_at) for line in lines]
        return [event for part in parts for event in part]
    return _one_part(body, NAMES.get(name, name), project, received_at)


def _one_part(body: bytes, name: str, project: str, received_at: datetime) -> list[Event]:
    if name == "auto" and _is_log_text(body):
        name = "traceback"
    chosen = formats.detect(body, {}) if name == "auto" else formats.by_name(name)
    try:
        return _parsed(chosen, body, {}, project, received_at)
    except BadPayload:
        if chosen.name == "traceback":  # text in which nothing crashed is a fine file with no event in it
            return []
        raise


def _parsed(
    chosen: Format, body: bytes, headers: Mapping[str, str], project: str, received_at: datetime
) -> list[Event]:
    """What the format makes of it. Raises BadPayload."""
    try:
        return chosen.parse(body, headers, project=project, received_at=received_at)
    except NightdeskError:
        raise
    except Exception as error:
        log.exception("The format %s failed on a body of %d bytes.", chosen.name, len(body))
        raise BadPayload(f"This could not be read as {chosen.name}.") from error


def _is_log_text(body: bytes) -> bool:
    """Whether it is text and not JSON."""
    try:
        return not body.decode("utf-8").lstrip("\ufeff \t\r\n").startswith(("{", "["))
    except UnicodeDecodeError:
        return False


def _json_lines(body: bytes) -> list[bytes]:
    """The lines of a file in which each line is an event by itself; empty where it is something else."""
    lines = [line for line in body.splitlines() if line.strip()]
    if len(lines) < 2 or not all(line.lstrip().startswith(b"{") for line in lines):
        return []
    try:
        first = json.loads(lines[0])
    except (ValueError, RecursionError):
        return []
    is_event = (
        isinstance(first, dict) and _EVENT_FIELDS & set(first) and not {"dsn", "sent_at", "log"} & set(first)
    )
    return lines if is_event and b'"type"' not in lines[1].partition(b"{")[2][:12] else []
