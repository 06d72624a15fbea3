"""Labelled rows of `eval noise` as events. Only the fields named here are read: the rest may tell the answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from store.errors import BadPayload
from store.event import Event, ExceptionValue, Frame
from triage.fingerprint import fingerprint
from triage.formats.sentry_event import event_of
from triage.learning.alerts import CONTEXT, Past
from triage.redact import Redactor

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_LABELS = {"actionable": True, "noise": False}
_LEVELS = {"severe": "error", "failure": "fatal", "critical": "fatal", "warn": "warning"}
_LONGEST = 64 << 20  # bytes of one line


@dataclass(frozen=True)
class Row:
    """One labelled event. `matters` is for scoring only; `past` is what the same alert did before in its source,
    None where the rows have no time."""

    id: str
    source: str
    event: Event
    past: Past | None
    matters: bool


def read_rows(path: Path) -> list[Row]:
    """The rows of a file of JSON lines (`.gz` too). Raises BadPayload, naming the line."""
    opened = gzip.open if path.suffix == ".gz" else open
    rows = []
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    rows.append(_row(line, path, number))
    except (OSError, UnicodeDecodeError) as error:
        raise BadPayload(f"{path} cannot be read: {error}.") from error
    if not rows:
        raise BadPayload(f"{path} holds no labelled event.")
    return _with_history(rows)


def _row(line: str, path: Path, number: int) -> Row:
    try:
        sent = json.loads(line)
        return Row(
            id=str(sent["id"]),
            source=str(sent["source"]),
            event=_event(sent),
            past=None,
            matters=_LABELS[sent["label"]],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadPayload(
            f"Line {number} of {path} is not a labelled event: {type(error).__name__}: {error}."
        ) from error


def _event(sent: Mapping[str, Any]) -> Event:
    """A Sentry event as it came; else what the row says, put where an event has it."""
    if isinstance(sent.get("event"), dict):
        return Redactor(b"eval").redact(event_of(sent["event"], project="eval", received_at=NOW))
    context = _mapping(sent.get("context"))
    message, text, stack = (str(sent.get(name) or "") for name in ("message", "text", "stack"))
    kind = str(sent.get("kind") or "")
    contexts: dict[str, Any] = {}
    if kind == "metric-alert" or "page" in context:
        contexts[CONTEXT] = {**_mapping(context.get("page")), "pattern": _mapping(context.get("pattern"))}
        message = text or message
    elif kind == "human-report":
        contexts["report"] = {"text": text}
    raised = sent.get("exception")
    exceptions = (
        (_raised(str(raised or ""), text, stack, context),) if "report" not in contexts and stack else ()
    )
    return Event(
        event_id=str(sent["id"]), project="eval", received_at=NOW, timestamp=_time(context),
        level=_level(context), message=message, exceptions=exceptions, contexts=contexts,
        service=_service(context),
    )  # fmt: skip


def _raised(kind: str, code: str, place: str, context: Mapping[str, Any]) -> ExceptionValue:
    """The exception of an `except` block that logs, at the place of the log call."""
    filename, _, function = place.partition(" in ")
    frame = Frame(filename=filename, function=function or None, context_line=code, in_app=True)
    module, _, name = kind.rpartition(".")
    return ExceptionValue(
        type=name, module=module or None, handled=context.get("reraises") is not True, frames=(frame,)
    )


def _level(context: Mapping[str, Any]) -> str:
    level = str(context.get("level") or "error").lower()
    return _LEVELS.get(level, level)


def _service(context: Mapping[str, Any]) -> str | None:
    service = _mapping(context.get("page")).get("service") or context.get("component")
    return str(service) if service else None


def _time(context: Mapping[str, Any]) -> datetime:
    """When it was reported; `NOW` where the row does not say."""
    value = _mapping(context.get("page")).get("fired_at") or context.get("time")
    try:
        if str(value).isdigit():
            return datetime.fromtimestamp(int(str(value)), UTC)
        found = datetime.fromisoformat(str(value))
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return NOW


def _with_history(rows: Iterable[Row]) -> list[Row]:
    """The rows in the order of the file, each with what its past was. Rows without a time have none."""
    listed = list(rows)
    seen: dict[tuple[str, str], Past] = {}
    past: dict[int, Past] = {}
    timed = [at for at, row in enumerate(listed) if row.event.timestamp != NOW]
    for at in sorted(timed, key=lambda one: (listed[one].event.timestamp, one)):
        key = (listed[at].source, fingerprint(listed[at].event).key)
        past[at] = seen.get(key, Past())
        seen[key] = past[at].after(listed[at].event)
    return [Row(row.id, row.source, row.event, past.get(at), row.matters) for at, row in enumerate(listed)]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
