"""Log lines as JSON: one object a line as loggers and agents write it, and whole documents that log stores export."""

from __future__ import annotations

import json
from typing import Any

_TEXT = ("log", "textPayload", "message", "msg", "@message", "MESSAGE", "event", "body")
_TIME = ("time", "timestamp", "ts", "@timestamp", "ingestionTime", "__REALTIME_TIMESTAMP")
_WRITER = (
    "stream", "container", "container_name", "pod", "pod_name", "host", "hostname", "logger", "pid", "process",
    "logStreamName", "logStream", "_SYSTEMD_UNIT", "_PID", "SYSLOG_IDENTIFIER",
)  # fmt: skip
_TRACE = (
    "exc_info",
    "exception",
    "stack_trace",
    "stackTrace",
    "stacktrace",
    "traceback",
    "stack",
    "backtrace",
    "trace",
)
_INSIDE = ("jsonPayload", "err", "error", "fields", "kubernetes", "_source")
_LISTS = ("events", "logEvents", "entries", "hits", "logs", "data")
Record = tuple[str, str, str | None]  # writer, message, time


def record_of(line: str) -> Record | None:
    """One object as (writer, message, time); None where it is none or has no text."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return _read(record) if isinstance(record, dict) else None


def documents(text: str) -> list[Record] | None:
    """The records of one JSON document, the oldest first; None where the text is not one."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        found = _records(json.loads(text))
    except (ValueError, RecursionError):
        return None
    if not found:
        return None
    times = [stamp for _, _, stamp in found]
    known = [stamp for stamp in times if stamp is not None]
    newest_first = len(known) == len(times) and known == sorted(known, reverse=True) and known[0] != known[-1]
    return found[::-1] if newest_first else found


def _records(document: Any) -> list[Record]:
    if isinstance(document, list):
        return [record for each in document if isinstance(each, dict) and (record := _read(each))]
    if not isinstance(document, dict):
        return []
    if isinstance(result := (document.get("data") or {}), dict) and isinstance(result.get("result"), list):
        return _loki(result["result"])
    for name in _LISTS:
        if isinstance(rows := document.get(name), list) and (found := _records(rows)):
            writer = str(document.get("logStream") or "")
            return [(own or writer, message, stamp) for own, message, stamp in found]
    read = _read(document)
    return [read] if read else []


def _loki(results: list[Any]) -> list[Record]:
    found: list[Record] = []
    for result in results:
        if isinstance(result, dict) and isinstance(rows := result.get("values"), list):
            writer = json.dumps(result.get("stream"), sort_keys=True)[:200]
            pairs = [
                row for row in rows if isinstance(row, list) and len(row) > 1 and isinstance(row[1], str)
            ]
            found += [(writer, row[1], None) for row in sorted(pairs, key=lambda row: str(row[0]))]
    return found


def _read(record: dict[str, Any]) -> Record | None:
    levels = [record, *(record[name] for name in _INSIDE if isinstance(record.get(name), dict))]
    texts = [text for level in levels for key in (*_TEXT, *_TRACE) if (text := _text(level.get(key)))]
    if not texts:
        return None
    stamp = next((stamp for key in _TIME if (stamp := _stamp(record.get(key)))), None)
    names = [str(level[key]) for level in levels for key in _WRITER if isinstance(level.get(key), str | int)]
    return " ".join(names)[:200] or "json", "\n".join(_once(texts)), stamp


def _once(texts: list[str]) -> list[str]:
    """Without a message that the trace after it begins with or ends in anyway."""
    return [
        text for place, text in enumerate(texts) if not any(text in later for later in texts[place + 1 :])
    ]


def _text(value: Any) -> str | None:
    """A text, or the lines of a list."""
    if isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        return "\n".join(line.removesuffix("\n") for line in value)
    return value if isinstance(value, str) and value else None


def _stamp(value: Any) -> str | None:
    """A time as text: ISO as it is, a number as seconds whatever it was counted in."""
    if isinstance(value, str) and not value.isdigit():
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not value:
        return None
    number = float(value)
    while number > 1e11:
        number /= 1000
    return str(number)
