"""Requests that ended, well or not: from transactions and sessions of Sentry's SDKs (`access_logs` has the others).

Without them nobody can tell whether ten failures are one in ten or one in a million. An endpoint is a name with few
values: a route's where the sender gives one, else method and path without what varies in it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from store.event import Served
from triage.fingerprint import template
from triage.formats.shapes import mapping, moment, text
from triage.words import words

_FINE = frozenset(
    words(
        """
    ok unset cancelled not_found already_exists invalid_argument permission_denied unauthenticated
    failed_precondition out_of_range
    """
    )
)
_VARIES = re.compile(r"<\w+>|\d+|[0-9a-f]{8}-[0-9a-f-]{27}|[A-Za-z0-9_-]*\d[A-Za-z0-9_-]*")


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


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else 0
