"""Rollbar: what its clients post to `/api/1/item/`, and the occurrence inside its webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from store.errors import BadPayload
from store.event import Event
from triage.formats.shapes import read_json, text
from triage.formats.traceback_text import chains
from triage.formats.vendors import Sent, list_of, mapping_of, platform_of, told, typed


class Rollbar:
    """The `Format` of Rollbar's clients."""

    name = "rollbar"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an object with `data.body`."""
        if not body.lstrip().startswith(b"{") or b'"body"' not in body or b'"data"' not in body:
            return False
        try:
            found = read_json(body, "item")
        except BadPayload:
            return False
        return isinstance(found, dict) and isinstance(mapping_of(found.get("data")).get("body"), dict)

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """One event. Raises BadPayload where there is no `data.body`."""
        sent = read_json(body, "item")
        item = mapping_of(sent.get("data")) if isinstance(sent, dict) else {}
        return [occurrence(item, project=project, received_at=received_at)]


def occurrence(item: Sent, *, project: str, received_at: datetime) -> Event:
    """The event of one occurrence (`data` of an item). Raises BadPayload where it has no body."""
    body = item.get("body")
    if not isinstance(body, dict) or not body:
        raise BadPayload('The item has no "data.body".')
    platform = platform_of(item.get("language") or item.get("platform"))
    server, person, request = (mapping_of(item.get(name)) for name in ("server", "person", "request"))
    client, notifier = mapping_of(item.get("client")), mapping_of(item.get("notifier"))
    message = mapping_of(body.get("message")).get("body")
    traces = list_of(body.get("trace_chain")) or [each for each in (body.get("trace"),) if each]
    sent: Sent = {
        "event_id": item.get("uuid"),
        "timestamp": item.get("timestamp"),
        "platform": platform,
        "level": item.get("level"),
        "environment": item.get("environment"),
        "release": item.get("code_version") or server.get("code_version"),
        "server_name": server.get("host"),
        "transaction": item.get("context"),
        "message": message or item.get("title"),
        "logger": "rollbar" if message else None,
        "exception": {
            "values": [_exception(each, platform) for each in reversed(traces) if isinstance(each, dict)]
        },
        "request": _request(request) if request else None,
        "user": {key: person[key] for key in ("id", "username", "email") if person.get(key) is not None},
        "tags": {"framework": item["framework"]} if isinstance(item.get("framework"), str) else {},
        "extra": {key: value for key, value in (("custom", item.get("custom")), ("client", client)) if value},
        "contexts": {"server": server} if server else {},
        "breadcrumbs": [_crumb(each) for each in list_of(body.get("telemetry")) if isinstance(each, dict)],
        "fingerprint": [item["fingerprint"]] if isinstance(item.get("fingerprint"), str) else None,
        "sdk": {"name": notifier.get("name"), "version": notifier.get("version")},
    }
    raw = text(mapping_of(body.get("crash_report")).get("raw"), 1 << 20)
    found = chains(raw) if raw else []
    if found:
        sent["platform"] = found[0][0]
    return told(sent, project=project, received_at=received_at, exceptions=found[0][1] if found else None)


def _exception(trace: Sent, platform: str) -> Sent:
    """One trace; its frames stand oldest first, as ours do."""
    raised = mapping_of(trace.get("exception"))
    frames = [_frame(each) for each in list_of(trace.get("frames")) if isinstance(each, dict)]
    return {
        **typed(raised.get("class")),
        "value": raised.get("message") or raised.get("description"),
        "stacktrace": {"frames": frames},
    }


def _frame(frame: Sent) -> Sent:
    path = frame.get("filename")
    around = mapping_of(frame.get("context"))
    return {
        "function": frame.get("method"),
        "module": frame.get("class_name"),
        "filename": path,
        "abs_path": path if isinstance(path, str) and path.startswith("/") else None,
        "lineno": frame.get("lineno"),
        "colno": frame.get("colno"),
        "context_line": frame.get("code"),
        "pre_context": around.get("pre"),
        "post_context": around.get("post"),
        "vars": frame.get("locals"),
    }


def _request(request: Sent) -> Sent:
    return {
        "url": request.get("url"),
        "method": request.get("method"),
        "headers": request.get("headers"),
        "query_string": request.get("query_string") or request.get("GET"),
        "data": request.get("POST") or request.get("body") or request.get("params"),
        "env": {"REMOTE_ADDR": request["user_ip"]} if isinstance(request.get("user_ip"), str) else None,
    }


def _crumb(crumb: Sent) -> Sent:
    stamp: Any = crumb.get("timestamp_ms")
    said = mapping_of(crumb.get("body"))
    return {
        "timestamp": stamp / 1000 if isinstance(stamp, int | float) else None,
        "category": crumb.get("type"),
        "level": crumb.get("level"),
        "message": said.get("message"),
        "data": {key: value for key, value in said.items() if key != "message"},
    }
