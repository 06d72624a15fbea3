"""Access logs: each line is a request that ended, with who asked and how long it took where it says so.

Common and combined log format as Apache, nginx, gunicorn, uvicorn and werkzeug write it, and JSON with method, path and
status; behind whatever a platform puts before its lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from store.event import RequestLine, Served
from triage.formats.log_lines import writer_of
from triage.formats.served import endpoint_of
from triage.formats.shapes import clean, moment, text
from triage.words import words

LIMIT = 10_000  # lines of one body that are read
_LONGEST = 86_400.0  # seconds; what is longer is no duration
_ACCESS = re.compile(
    r'(?P<client>\S+) \S+ \S+ \[(?P<time>[^\]]{1,40})\] "(?P<method>[A-Z]{3,10}) (?P<path>\S{1,2048})[^"]*" '
    r"(?P<status>[1-5]\d\d)\b"
    r'|(?P<client2>[\d.:a-f]+:\d+) - "(?P<method2>[A-Z]{3,10}) (?P<path2>\S{1,2048})[^"]*" (?P<status2>[1-5]\d\d)\b'
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MONTHS = {
    name: number for number, name in enumerate(words("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"), 1)
}
_APACHE_TIME = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)(?: ([+-]\d\d)(\d\d))?")
# After the status: `rt=0.012`, `request_time=0.012`, `12ms`, or nginx's seconds at the end of the line. A bare whole
# number may be bytes, milliseconds or microseconds: nobody can tell, so it is none.
_TOOK = re.compile(
    r"\b(?:rt|request_time|duration|took|time|elapsed)[=:] ?\"?(?P<named>\d{1,9}(?:\.\d+)?) ?(?P<unit>ms|us|µs|s)?\b"
    r"|(?<![\w.])(?P<plain>\d{1,9}(?:\.\d+)?) ?(?P<only>ms|us|µs)\b"
    r"|(?<![\w.])(?P<last>\d{1,6}\.\d{1,6})\s*$",
)
_REQUEST_ID = re.compile(
    r"\b(?:x-)?(?:request|req|correlation|trace)[_-]?id[=:] ?\"?(?P<id>[\w:./+=-]{6,128})", re.IGNORECASE
)
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_STATUS_KEYS = ("status", "status_code", "http_status", "statusCode", "response_status", "response_code")
_PATH_KEYS = ("path", "request_path", "uri", "request_uri", "url", "route", "requestUrl")
_METHOD_KEYS = ("method", "request_method", "http_method", "verb", "requestMethod")
_CLIENT_KEYS = (
    "client",
    "client_ip",
    "remote_addr",
    "remote_ip",
    "remoteIp",
    "remoteAddress",
    "clientip",
    "ip",
)
_ID_KEYS = ("request_id", "requestId", "req_id", "correlation_id", "x_request_id", "trace_id")
_WRITER_KEYS = ("container_name", "container", "pod", "hostname", "host_name", "pid")
_SECOND_KEYS = ("request_time", "duration", "duration_s", "latency", "elapsed", "took")
_MILLISECOND_KEYS = (
    "duration_ms",
    "durationMs",
    "response_time",
    "responseTime",
    "latency_ms",
    "elapsed_ms",
    "took_ms",
)


def of_log(body: str, received_at: datetime) -> list[Served]:
    """The requests in log text: lines of access logs, or JSON with method, path and status."""
    if " HTTP/" not in body and '"' not in body:
        return []
    found = (of_line(line, received_at) for line in body.split("\n", LIMIT)[:LIMIT] if len(line) < 8192)
    return [one for one in found if one is not None]


def of_line(line: str, received_at: datetime) -> Served | None:
    """The request of one line of an access log, with its `line`; None for every other line."""
    if (match := _ACCESS.search(line)) is not None:
        rest = line[match.end() :]
        named = _REQUEST_ID.search(rest)
        told = RequestLine(
            method=match["method"] or match["method2"],
            path=clean(match["path"] or match["path2"], 2048),
            status=int(match["status"] or match["status2"]),
            client=clean(match["client"] or match["client2"].rpartition(":")[0], 100),
            seconds=_seconds(_TOOK.search(rest)),
            request_id=named["id"] if named else None,
            writer=clean(writer_of(line), 200) or None,
        )
        return _served(told, _apache(match["time"], received_at) if match["time"] else received_at)
    if not line.lstrip().startswith("{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return _of_record(record, received_at) if isinstance(record, dict) else None


def _of_record(record: Mapping[str, Any], received_at: datetime) -> Served | None:
    inner = record.get("httpRequest") if isinstance(record.get("httpRequest"), dict) else record
    fields = {**record, **(inner or {})}
    method, path, status = (_first(fields, names) for names in (_METHOD_KEYS, _PATH_KEYS, _STATUS_KEYS))
    if not isinstance(method, str) or method.upper() not in _METHODS:
        return None
    if not isinstance(path, str) or not re.fullmatch(r"[1-5]\d\d", str(status)):
        return None
    told = RequestLine(
        method=method.upper(),
        path=clean(path, 2048),
        status=int(str(status)),
        client=text(_first(fields, _CLIENT_KEYS), 100),
        seconds=_said(fields),
        request_id=text(_first(fields, _ID_KEYS), 128),
        writer=text(_first(fields, _WRITER_KEYS), 200),
    )
    stamp = _first(fields, ("time", "timestamp", "ts", "@timestamp"))
    return _served(told, moment(stamp, received_at))


def _served(line: RequestLine, at: datetime) -> Served:
    bad = line.status >= 500
    return Served(endpoint=endpoint_of(line.method, line.path), at=at, good=not bad, bad=bad, line=line)


def _seconds(match: re.Match[str] | None) -> float | None:
    if match is None:
        return None
    number = float(match["named"] or match["plain"] or match["last"])
    return _bounded(number * _UNITS[match["unit"] or match["only"] or "s"])


def _said(fields: Mapping[str, Any]) -> float | None:
    """How long a request took by a record: in seconds, or by a name or a unit that says otherwise."""
    for names, unit in ((_MILLISECOND_KEYS, "ms"), (_SECOND_KEYS, "s")):
        match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?) ?(ms|us|µs|s)?", str(_first(fields, names)))
        if match is not None:
            return _bounded(float(match[1]) * _UNITS[match[2] or unit])
    return None


def _bounded(seconds: float) -> float | None:
    return seconds if seconds <= _LONGEST else None


def _apache(stamp: str, default: datetime) -> datetime:
    """`20/Nov/2026:10:00:49 +0000`, or ISO."""
    match = _APACHE_TIME.match(stamp)
    if match is None or match[2] not in _MONTHS:
        return moment(stamp, default)
    zone = f"{match[5]}:{match[6]}" if match[5] else "+00:00"
    return moment(f"{match[3]}-{_MONTHS[match[2]]:02d}-{match[1]}T{match[4]}{zone}", default)


def _first(fields: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)
