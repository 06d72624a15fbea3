"""What an application's own error handler posts: `{"traceback", "message", "level", …}` (see docs: POST
/ingest)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from store.errors import BadPayload
from store.event import Breadcrumb, Event, ExceptionValue
from triage.formats.sentry_event import request_of
from triage.formats.shapes import bounded, clean, mapping, moment, read_json, string_map, text
from triage.formats.traceback_text import chains

LOG_LINES = 100  # of `logs`, the newest
_FIELDS = frozenset(
    {"traceback", "message", "level", "environment", "release", "request", "tags", "user", "logs"}
)


class ErrorJson:
    """The `Format` of our own JSON."""

    name = "json"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is a JSON object with a traceback, or one with nothing but our fields."""
        if not body.lstrip().startswith(b"{") or not (b'"traceback"' in body or b'"message"' in body):
            return False
        try:
            found = read_json(body, "body")
        except BadPayload:
            return False
        return isinstance(found, dict) and ("traceback" in found or not set(found) - _FIELDS)

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """One event for each traceback in `traceback`, or one for the message. Raises BadPayload for
        anything else."""
        sent = read_json(body, "body")
        if not isinstance(sent, dict):
            raise BadPayload('The body is not a JSON object with "traceback" or "message".')
        trace, message = text(sent.get("traceback"), 1 << 20), text(sent.get("message"))
        if not trace and not message:
            raise BadPayload('The body has neither "traceback" nor "message".')
        found = chains(trace or "")
        if trace and not found:
            message = "\n".join(part for part in (message, clean(trace)) if part)
        digest = hashlib.sha256(body + received_at.isoformat().encode()).hexdigest()
        return [
            _event(sent, platform, chain, message, project, received_at, f"{digest[:30]}{number:02x}")
            for number, (platform, chain) in enumerate(found or [("python", [])])
        ]


def _event(
    sent: dict[str, Any],
    platform: str,
    chain: list[ExceptionValue],
    message: str | None,
    project: str,
    received_at: datetime,
    event_id: str,
) -> Event:
    stamp = moment(sent.get("timestamp"), received_at)
    named = text(sent.get("event_id"), 32)
    return Event(
        event_id=named if named and named.isalnum() else event_id[-32:],
        project=project,
        received_at=received_at,
        timestamp=stamp.astimezone(UTC),
        platform=text(sent.get("platform"), 32) or platform,
        level=(text(sent.get("level"), 16) or "error").lower(),
        environment=text(sent.get("environment"), 200),
        release=text(sent.get("release"), 200),
        service=text(sent.get("service"), 200),
        server_name=text(sent.get("server_name"), 200),
        transaction=text(sent.get("transaction"), 400),
        message=message,
        exceptions=tuple(chain),
        request=request_of(sent.get("request")),
        breadcrumbs=tuple(_log(line) for line in _logs(sent)),
        tags=string_map(sent.get("tags"), 400),
        user=bounded(mapping(sent.get("user"))),
        extra=bounded(mapping(sent.get("extra"))),
        contexts=bounded(mapping(sent.get("contexts"))),
    )


def _logs(sent: dict[str, Any]) -> list[Any]:
    logs = sent.get("logs")
    return logs[-LOG_LINES:] if isinstance(logs, list) else []


def _log(line: Any) -> Breadcrumb:
    if not isinstance(line, dict):
        return Breadcrumb(category="log", message=text(line))
    at = moment(line.get("timestamp"), datetime.min.replace(tzinfo=UTC))
    return Breadcrumb(
        timestamp=at if at.year > 1 else None,
        category=text(line.get("logger"), 200) or "log",
        level=text(line.get("level"), 16),
        message=text(line.get("message")),
    )
