"""OTLP: the errors in spans and log lines. Everything else of a trace is what happened around them."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from store.event import Capsule, Event, ExceptionValue
from triage.formats.capsule import capsule_of
from triage.formats.otlp_records import Record, json_records, protobuf_records
from triage.formats.otlp_replay import broken_invariants, replay_of, timed_out
from triage.formats.shapes import text
from triage.formats.traceback_text import chains
from triage.formats.vendors import Sent, identity, platform_of, told, typed

CRUMBS = 100  # log lines and spans of one trace that are kept with an error, the newest
_SERVER = 2  # the kind of a span that answers a request
_USER = {
    "enduser.id": "id",
    "user.id": "id",
    "user.email": "email",
    "user.name": "username",
    "client.address": "ip_address",
}


class Otlp:
    """The `Format` of OpenTelemetry: traces and logs, protobuf and JSON."""

    name = "otlp"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is OTLP in JSON, or is said to be protobuf."""
        if "protobuf" in headers.get("content-type", ""):
            return True
        start = body.lstrip()[:64]
        return start.startswith(b"{") and (b'"resourceSpans"' in start or b'"resourceLogs"' in start)

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """An event for each error; a body without one has none. Raises BadPayload. Of a protobuf body the header
        `x-otlp-signal` says whether it is `logs`; without it, traces."""
        return errors(records(body, headers), project=project, received_at=received_at)


def records(body: bytes, headers: Mapping[str, str]) -> list[Record]:
    """What the body holds. Raises BadPayload."""
    if "protobuf" not in headers.get("content-type", ""):
        return json_records(body)
    return protobuf_records(body, logs=headers.get("x-otlp-signal") == "logs")


def errors(found: Sequence[Record], *, project: str, received_at: datetime) -> list[Event]:
    """The errors among records, in the order in which they are to be replayed (`otlp_replay.CHOSEN`), oldest first:
    each exception of a trace once, however many spans it went through."""
    around: dict[str, list[Record]] = defaultdict(list)
    for record in found:
        if record.trace_id:
            around[record.trace_id].append(record)
    events: dict[tuple[Any, ...], Event] = {}
    for record in sorted(found, key=lambda each: each.end or each.time):
        near = around.get(record.trace_id or "", ())
        for key, event in _of_record(record, near, project, received_at):
            events.setdefault(key, event)
    return sorted(events.values(), key=lambda event: (event.contexts["replay"]["order"], event.timestamp))


def _of_record(
    record: Record, near: Sequence[Record], project: str, received_at: datetime
) -> Iterable[tuple[tuple[Any, ...], Event]]:
    raised = [(at, said) for name, at, said in record.events if name == "exception"]
    if record.kind == "log" and any(name.startswith("exception.") for name in record.attributes):
        raised = [(record.time, record.attributes)]
    for at, said in raised:
        kind, message = said.get("exception.type"), said.get("exception.message")
        key = (record.kind, record.trace_id or record.span_id or at, typed(kind)["type"], message)
        yield key, _event(record, near, said, at, project, received_at, "error")
    if raised:
        return
    place = (record.trace_id, record.span_id)
    for at, invariant in broken_invariants(record):
        said = {"exception.type": "InvariantViolation", "exception.message": invariant}
        yield (*place, invariant), _event(record, near, said, at, project, received_at, "invariant")
    late = timed_out(record)
    failed_request = record.kind == "span" and (late or (record.failed and record.span_kind == _SERVER))
    if failed_request and not any(name == "exception" for each in near for name, _, _ in each.events):
        chosen = "timeout" if late else "failed"
        yield place, _event(record, near, {}, record.end, project, received_at, chosen)
    elif record.kind == "log" and record.is_error:
        yield (
            (record.trace_id, record.time, str(record.body)),
            _event(record, near, {}, record.time, project, received_at, "error"),
        )


def _event(
    record: Record,
    near: Sequence[Record],
    said: Sent,
    at: float,
    project: str,
    received_at: datetime,
    chosen: str,
) -> Event:
    resource, own = record.resource, record.attributes
    language = platform_of(resource.get("telemetry.sdk.language"))
    exceptions = _raised(said)
    if exceptions and language == "other":
        language = exceptions[0]
    body = text(record.body) if record.kind == "log" else f"{record.name}: {record.status}".rstrip(": ")
    sent: Sent = {
        "event_id": identity(
            record.trace_id,
            record.span_id,
            at,
            *(said.get(f"exception.{n}") for n in ("type", "message")),
            body,
        ),
        "timestamp": at or None,
        "platform": language,
        "level": _level(record),
        "environment": resource.get("deployment.environment.name") or resource.get("deployment.environment"),
        "release": resource.get("service.version"),
        "server_name": resource.get("host.name") or resource.get("k8s.pod.name"),
        "transaction": _transaction(record, near),
        "message": body if record.kind == "log" or not said else None,
        "logger": record.scope or None,
        "exception": {"values": [_named(said)]} if said and not exceptions else None,
        "request": _request(record, near),
        "user": {_USER[name]: own[name] for name in _USER if own.get(name) is not None},
        "tags": _tags(resource),
        "contexts": {
            "trace": {
                "trace_id": record.trace_id,
                "span_id": record.span_id,
                "parent_span_id": record.parent_id,
            },
            "resource": resource,
            "attributes": {name: value for name, value in own.items() if not name.startswith("exception.")},
            "links": list(record.links) or None,
            "replay": replay_of(record, near, chosen),
        },
        "breadcrumbs": [
            _crumb(each) for each in sorted(near, key=lambda each: each.time)[-CRUMBS:] if each is not record
        ],
        "sdk": {"name": resource.get("telemetry.sdk.name"), "version": resource.get("telemetry.sdk.version")},
    }
    event = told(
        sent, project=project, received_at=received_at, exceptions=exceptions[1] if exceptions else None
    )
    service = text(resource.get("service.name"), 200)
    return event.model_copy(update={"service": service, "capsule": _capsule(said)})


def _capsule(said: Sent) -> Capsule | None:
    """The capsule that the capture client's span processor has put on an exception."""
    sent = said.get("nightdesk.capsule")
    try:
        return capsule_of(base64.b64decode(sent, validate=True)) if isinstance(sent, str) else None
    except ValueError:
        return None


def _level(record: Record) -> str:
    if record.severity > 20:
        return "fatal"
    return "error" if record.kind == "span" or record.is_error else "warning"


def _raised(said: Sent) -> tuple[str, list[ExceptionValue]] | None:
    """The exceptions of a stack's text, the last of which is the one that was recorded."""
    trace = said.get("exception.stacktrace")
    found = chains(trace[: 1 << 20]) if isinstance(trace, str) else []
    return found[-1] if found else None


def _named(said: Sent) -> Sent:
    return {**typed(said.get("exception.type")), "value": said.get("exception.message")}


def _transaction(record: Record, near: Sequence[Record]) -> str | None:
    """The name of the request that was being served."""
    served = next((each for each in near if each.kind == "span" and each.span_kind == _SERVER), None)
    chosen = served or (record if record.kind == "span" else None)
    return chosen.name if chosen else None


def _request(record: Record, near: Sequence[Record]) -> Sent | None:
    served = next(
        (each for each in (record, *near) if each.kind == "span" and each.span_kind == _SERVER), None
    )
    if served is None:
        return None
    own = served.attributes
    method = own.get("http.request.method") or own.get("http.method")
    path = own.get("url.full") or own.get("http.url") or own.get("url.path") or own.get("http.target")
    if not method and not path:
        return None
    headers = {
        name.removeprefix("http.request.header."): ", ".join(map(str, value))
        if isinstance(value, list)
        else value
        for name, value in own.items()
        if name.startswith("http.request.header.")
    }
    return {"method": method, "url": path, "query_string": own.get("url.query"), "headers": headers}


def _tags(resource: Sent) -> Sent:
    wanted = {
        "service": "service.name", "commit": "vcs.ref.head.revision", "namespace": "k8s.namespace.name",
        "region": "cloud.region", "container": "container.name",
    }  # fmt: skip
    return {tag: str(resource[name]) for tag, name in wanted.items() if resource.get(name)}


def _crumb(record: Record) -> Sent:
    if record.kind == "log":
        return {
            "timestamp": record.time,
            "category": record.scope or "log",
            "level": record.severity_text.lower() or None,
            "message": text(record.body),
            "data": record.attributes,
        }
    spent = round((record.end - record.time) * 1000, 3)
    return {
        "timestamp": record.time,
        "category": "span",
        "level": "error" if record.failed else "info",
        "message": record.name,
        "data": {**record.attributes, "ms": spent},
    }
