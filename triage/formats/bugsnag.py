"""Bugsnag: what its clients post to `/notify` (payload 4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from store.errors import BadPayload
from store.event import Event
from triage.formats.shapes import read_json
from triage.formats.vendors import Sent, code_around, identity, list_of, mapping_of, platform_of, told, typed

EVENTS = 100  # of one request


class Bugsnag:
    """The `Format` of Bugsnag's clients."""

    name = "bugsnag"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an object with a notifier and a list of events."""
        if not body.lstrip().startswith(b"{") or b'"notifier"' not in body or b'"events"' not in body:
            return False
        try:
            found = read_json(body, "notification")
        except BadPayload:
            return False
        return isinstance(found, dict) and isinstance(found.get("events"), list) and "notifier" in found

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """Every event. Raises BadPayload where there is none."""
        sent = read_json(body, "notification")
        found = list_of(sent.get("events")) if isinstance(sent, dict) else []
        events = [
            _event(each, mapping_of(sent.get("notifier")), project, received_at)
            for each in found[:EVENTS]
            if isinstance(each, dict) and list_of(each.get("exceptions"))
        ]
        if not events:
            raise BadPayload("The notification has no event with an exception.")
        return sorted(events, key=lambda event: event.timestamp)


def _event(event: Sent, notifier: Sent, project: str, received_at: datetime) -> Event:
    app, device, meta = (mapping_of(event.get(name)) for name in ("app", "device", "metaData"))
    raised = [each for each in list_of(event.get("exceptions")) if isinstance(each, dict)]
    kind = raised[0].get("type") if raised else None
    unhandled = event.get("unhandled")
    root = str(event.get("projectRoot") or "")
    sent: Sent = {
        "event_id": identity(event, None if device.get("time") else received_at),
        "timestamp": device.get("time"),
        "platform": platform_of("javascript" if kind in ("nodejs", "browserjs") else kind),
        "level": event.get("severity"),
        "environment": event.get("releaseStage") or app.get("releaseStage"),
        "release": app.get("version"),
        "server_name": device.get("hostname"),
        "transaction": event.get("context"),
        "exception": {"values": [_exception(each, root, unhandled) for each in reversed(raised)]},
        "request": _request(mapping_of(event.get("request")) or mapping_of(meta.get("request"))),
        "user": event.get("user"),
        "extra": {key: value for key, value in meta.items() if value and key != "request"},
        "contexts": {"app": app, "device": device},
        "breadcrumbs": [_crumb(each) for each in list_of(event.get("breadcrumbs")) if isinstance(each, dict)],
        "fingerprint": [event["groupingHash"]] if isinstance(event.get("groupingHash"), str) else None,
        "sdk": {"name": notifier.get("name"), "version": notifier.get("version")},
    }
    return told(sent, project=project, received_at=received_at)


def _exception(raised: Sent, root: str, unhandled: object) -> Sent:
    """One exception; its frames stand newest first."""
    frames = [_frame(each, root) for each in list_of(raised.get("stacktrace")) if isinstance(each, dict)]
    return {
        **typed(raised.get("errorClass")),
        "value": raised.get("message"),
        "stacktrace": {"frames": frames[::-1]},
        "mechanism": {"type": "bugsnag", "handled": not unhandled} if isinstance(unhandled, bool) else None,
    }


def _frame(frame: Sent, root: str) -> Sent:
    path = frame.get("file")
    relative = isinstance(path, str) and not path.startswith(("/", "\\", "http"))
    own = frame.get("inProject")
    return {
        "function": frame.get("method"),
        "filename": path,
        "abs_path": f"{root.rstrip('/')}/{path}" if root and relative and own else path,
        "lineno": frame.get("lineNumber"),
        "colno": frame.get("columnNumber"),
        "in_app": own if isinstance(own, bool) else None,
        **code_around(frame.get("code"), frame.get("lineNumber")),
    }


def _request(request: Sent) -> Sent | None:
    if not request:
        return None
    return {
        "url": request.get("url"),
        "method": request.get("httpMethod") or request.get("method"),
        "headers": request.get("headers"),
        "data": request.get("body") or request.get("params"),
        "env": {"REMOTE_ADDR": request["clientIp"]} if isinstance(request.get("clientIp"), str) else None,
    }


def _crumb(crumb: Sent) -> Sent:
    return {
        "timestamp": crumb.get("timestamp"),
        "category": crumb.get("type"),
        "message": crumb.get("name"),
        "data": crumb.get("metaData"),
    }
