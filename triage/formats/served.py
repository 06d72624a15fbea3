"""Requests that ended, well or not: from transactions and sessions of Sentry's SDKs, and from access logs.

Without them nobody can tell whether ten failures are one in ten or one in a million. An endpoint is a name with few
values: a route's where the sender gives one, else method and path without what varies in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from store.event import Served
from triage.fingerprint import template
from triage.formats.shapes import mapping, moment, text
from triage.words import words

LIMIT = 10_000  # lines of one body that are read
_FINE = frozenset(
    words(
        """
    ok unset cancelled not_found already_exists invalid_argument permission_denied unauthenticated
    failed_precondition out_of_range
    """
    )
)
_ACCESS = re.compile(  # common and combined log format, as Apache, nginx, gunicorn, uvicorn and werkzeug write it
    r'(?P<client>\S+) \S+ \S+ \[(?P<time>[^\]]{1,40})\] "(?P<method>[A-Z]{3,10}) (?P<path>\S{1,2048})[^"]*" '
    r"(?P<status>[1-5]\d\d)\b"
    r'|(?P<client2>[\d.:a-f]+:\d+) - "(?P<method2>[A-Z]{3,10}) (?P<path2>\S{1,2048})[^"]*" (?P<status2>[1-5]\d\d)\b'
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MONTHS = {
    name: number for number, name in enumerate(words("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"), 1)
}
_APACHE_TIME = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d)(?: ([+-]\d\d)(\d\d))?")
_VARIES = re.compile(r"<\w+>|\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[A-Za-z0-9_-]*\d[A-Za-z0-9_-]*")
_STATUS_KEYS = ("status", "status_code", "http_status", "statusCode", "response_status", "response_code")
_PATH_KEYS = ("path", "request_path", "uri", "request_uri", "url", "route", "requestUrl")
_METHOD_KEYS = ("method", "request_method", "http_method", "verb", "requestMethod")


def of_transaction(sent: Any, received_at: datetime) -> list[Served]:
    """A transaction of a Sentry SDK."""
    event = mapping(sent)
    name = text(event.get("transaction"), 200)
    trace = mapping(mapping(event.get("contexts")).get("trace"))
    status = str(trace.get("status") or "unset").lower()
    code = mapping(mapping(event.get("contexts")).get("response")).get("status_code")
    bad = code >= 500 if isinstance(code, int) else status not in _FINE
    at = moment(event.get("timestamp"), received_at)
    return [Served(endpoint=name, at=at, good=not bad, bad=bad)] if name else []


def of_sessions(sent: Any, received_at: datetime) -> list[Served]:
    """Sessions, one or added up: of the whole project, which is the endpoint without a name."""
    found = mapping(sent)
    listed = found.get("aggregates")
    sums = [mapping(each) for each in listed] if isinstance(listed, list) else []
    served = [
        Served(
            endpoint="",
            at=moment(each.get("started"), received_at),
            good=_number(each.get("exited")),
            bad=_number(each.get("errored")) + _number(each.get("crashed")) + _number(each.get("abnormal")),
        )
        for each in sums
    ]
    if not sums and found.get("status") in ("exited", "crashed", "abnormal"):
        bad = found["status"] != "exited" or _number(found.get("errors")) > 0
        served.append(
            Served(endpoint="", at=moment(found.get("timestamp"), received_at), good=not bad, bad=bad)
        )
    return served


def of_log(body: str, received_at: datetime) -> list[Served]:
    """The requests in log text: lines of access logs, or JSON with method, path and status."""
    if " HTTP/" not in body and '"' not in body:
        return []
    found = (_of_line(line, received_at) for line in body.split("\n", LIMIT)[:LIMIT] if len(line) < 8192)
    return [one for one in found if one is not None]


def asked(line: str) -> tuple[str, str, int] | None:
    """Method, path with its query, and status of one line of an access log; None for every other line."""
    if (match := _ACCESS.search(line)) is not None:
        return (
            match["method"] or match["method2"],
            match["path"] or match["path2"],
            int(match["status"] or match["status2"]),
        )
    record = _json_line(line)
    return _asked(record) if record is not None else None


def endpoint_of(method: str, path: str) -> str:
    """Method and path without ids and without a query: "GET /orders/<n>"."""
    try:
        bare = urlsplit(path).path
    except ValueError:
        bare = path.partition("?")[0]
    parts = [_part(part) for part in bare.split("/")[:12]]
    return f"{method} {'/'.join(parts)}"[:200]


def _part(part: str) -> str:
    if part in ("v1", "v2", "v3", "v4") or not part:
        return part
    return "<n>" if _VARIES.fullmatch(part) or len(part) > 40 or "<" in template(part) else part


def _of_line(line: str, received_at: datetime) -> Served | None:
    found = asked(line)
    if found is None:
        return None
    match, record = _ACCESS.search(line), _json_line(line)
    at = received_at
    if match is not None:
        at = _apache(match["time"], received_at) if match["time"] else received_at
    elif record is not None:
        at = moment(_first(record, ("time", "timestamp", "ts", "@timestamp")), received_at)
    return _served(*found, at)


def _json_line(line: str) -> dict[str, Any] | None:
    """The fields of a line that is a JSON object; those of a cloud's request beside the others."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    inner = record.get("httpRequest")
    return {**record, **inner} if isinstance(inner, dict) else record


def _asked(fields: Mapping[str, Any]) -> tuple[str, str, int] | None:
    method, path, status = (_first(fields, names) for names in (_METHOD_KEYS, _PATH_KEYS, _STATUS_KEYS))
    if not isinstance(method, str) or method.upper() not in _METHODS:
        return None
    if not isinstance(path, str) or not re.fullmatch(r"[1-5]\d\d", str(status)):
        return None
    return method.upper(), path, int(str(status))


def _served(method: str, path: str, status: int, at: datetime) -> Served:
    return Served(endpoint=endpoint_of(method, path), at=at, good=status < 500, bad=status >= 500)


def _apache(stamp: str, default: datetime) -> datetime:
    """`20/Nov/2026:10:00:49 +0000`, or ISO."""
    match = _APACHE_TIME.match(stamp)
    if match is None or match[2] not in _MONTHS:
        return moment(stamp, default)
    zone = f"{match[5]}:{match[6]}" if match[5] else "+00:00"
    return moment(f"{match[3]}-{_MONTHS[match[2]]:02d}-{match[1]}T{match[4]}{zone}", default)


def _first(fields: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else 0
