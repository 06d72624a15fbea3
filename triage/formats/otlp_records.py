"""OTLP bodies, protobuf or JSON, as the same plain records: spans and log lines with their attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from store.errors import BadPayload
from triage.formats.shapes import read_json
from triage.formats.vendors import Sent, list_of, mapping_of

RECORDS = 20_000  # spans or log lines of one body
ATTRIBUTES = 200  # of one of them
LINKS = 50  # of one span
DEPTH = 8
_ERROR = 17  # the severity number of ERROR, and the code of a status is 2
_COLLECTOR = "opentelemetry.proto.collector"


@dataclass(frozen=True)
class Record:
    """One span or log line. Times are seconds since 1970, ids hexadecimal."""

    kind: str  # "span" or "log"
    resource: Sent
    scope: str
    attributes: Sent
    name: str = ""  # of a span
    body: Any = None  # of a log line
    time: float = 0.0
    end: float = 0.0
    severity: int = 0
    severity_text: str = ""
    trace_id: str | None = None
    span_id: str | None = None
    parent_id: str | None = None
    span_kind: int = 0
    failed: bool = False
    status: str = ""
    events: tuple[tuple[str, float, Sent], ...] = ()
    links: tuple[Sent, ...] = field(
        default=()
    )  # trace, span and attributes of what it hangs on beside its parent

    @property
    def is_error(self) -> bool:
        """Whether a log line is at least an error, by number or by name."""
        return self.severity >= _ERROR or self.severity_text.upper() in ("ERROR", "FATAL", "CRITICAL")


def json_records(body: bytes) -> list[Record]:
    """The records of OTLP in JSON (ids hexadecimal, numbers of 64 bits as text). Raises BadPayload."""
    sent = read_json(body, "OTLP body")
    if not isinstance(sent, dict) or not ("resourceSpans" in sent or "resourceLogs" in sent):
        raise BadPayload('The OTLP body has neither "resourceSpans" nor "resourceLogs".')
    return _bounded(_of_json(sent))


def protobuf_records(body: bytes, *, logs: bool) -> list[Record]:
    """The records of OTLP in protobuf; which of the two messages it is, only the address says. Raises BadPayload."""
    signal = "logs" if logs else "trace"
    module = import_module(
        f"{_COLLECTOR}.{signal}.v1.{signal}_service_pb2"
    )  # a third of a second, so when first needed
    message = module.ExportLogsServiceRequest() if logs else module.ExportTraceServiceRequest()
    try:
        message.ParseFromString(body)
    except Exception as error:  # of a class that is only known once the library is there
        raise BadPayload("The body is not OTLP in protobuf.") from error
    return _bounded(_of_logs(message) if logs else _of_spans(message))


def _bounded(records: Iterator[Record]) -> list[Record]:
    found = [record for record, _ in zip(records, range(RECORDS + 1), strict=False)]
    if len(found) > RECORDS:
        raise BadPayload(f"The OTLP body has more than {RECORDS} records; send smaller batches.")
    return found


# --- JSON ---


def _of_json(sent: Sent) -> Iterator[Record]:
    for group, scopes, rows, made in (
        ("resourceSpans", "scopeSpans", "spans", _json_span),
        ("resourceLogs", "scopeLogs", "logRecords", _json_log),
    ):
        for one in map(mapping_of, list_of(sent.get(group))):
            resource = _json_attributes(mapping_of(one.get("resource")).get("attributes"))
            for scope in map(mapping_of, list_of(one.get(scopes))):
                name = str(mapping_of(scope.get("scope")).get("name") or "")
                for row in map(mapping_of, list_of(scope.get(rows))):
                    yield made(row, resource, name)


def _json_span(span: Sent, resource: Sent, scope: str) -> Record:
    status = mapping_of(span.get("status"))
    return Record(
        "span",
        resource,
        scope,
        _json_attributes(span.get("attributes")),
        name=str(span.get("name") or ""),
        time=_seconds(span.get("startTimeUnixNano")),
        end=_seconds(span.get("endTimeUnixNano")),
        trace_id=_id(span.get("traceId")),
        span_id=_id(span.get("spanId")),
        parent_id=_id(span.get("parentSpanId")),
        span_kind=_whole(span.get("kind")),
        failed=status.get("code") in (2, "2", "STATUS_CODE_ERROR"),
        status=str(status.get("message") or ""),
        events=tuple(
            (
                str(each.get("name") or ""),
                _seconds(each.get("timeUnixNano")),
                _json_attributes(each.get("attributes")),
            )
            for each in map(mapping_of, list_of(span.get("events")))
        ),
        links=tuple(
            _link(_id(each.get("traceId")), _id(each.get("spanId")), _json_attributes(each.get("attributes")))
            for each in map(mapping_of, list_of(span.get("links"))[:LINKS])
        ),
    )


def _json_log(line: Sent, resource: Sent, scope: str) -> Record:
    return Record(
        "log",
        resource,
        scope,
        _json_attributes(line.get("attributes")),
        body=_json_value(line.get("body"), DEPTH),
        time=_seconds(line.get("timeUnixNano")) or _seconds(line.get("observedTimeUnixNano")),
        severity=_whole(line.get("severityNumber")),
        severity_text=str(line.get("severityText") or ""),
        trace_id=_id(line.get("traceId")),
        span_id=_id(line.get("spanId")),
    )


def _json_attributes(pairs: Any) -> Sent:
    rows = [mapping_of(pair) for pair in list_of(pairs)[:ATTRIBUTES]]
    return {str(row.get("key"))[:200]: _json_value(row.get("value"), DEPTH) for row in rows}


def _json_value(value: Any, depth: int) -> Any:
    value = mapping_of(value)
    if depth == 0 or not value:
        return None
    for name in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if name in value:
            return value[name]
    if "intValue" in value:
        return _whole(value["intValue"])
    if "arrayValue" in value:
        return [
            _json_value(each, depth - 1) for each in list_of(mapping_of(value["arrayValue"]).get("values"))
        ]
    if "kvlistValue" in value:
        rows = map(mapping_of, list_of(mapping_of(value["kvlistValue"]).get("values")))
        return {str(row.get("key")): _json_value(row.get("value"), depth - 1) for row in rows}
    return None


def _link(trace: str | None, span: str | None, attributes: Sent) -> Sent:
    found: Sent = {"trace_id": trace, "span_id": span}
    return {**found, "attributes": attributes} if attributes else found


def _whole(value: Any) -> int:
    try:
        return int(str(value)[:20])
    except ValueError:
        return 0


def _seconds(nanoseconds: Any) -> float:
    return _whole(nanoseconds) / 1e9


def _id(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) and value.strip("0") else None


# --- protobuf ---


def _of_spans(message: Any) -> Iterator[Record]:
    for one in message.resource_spans:
        resource = _attributes(one.resource.attributes)
        for scope in one.scope_spans:
            for span in scope.spans:
                yield Record(
                    "span",
                    resource,
                    scope.scope.name,
                    _attributes(span.attributes),
                    name=span.name,
                    time=span.start_time_unix_nano / 1e9,
                    end=span.end_time_unix_nano / 1e9,
                    trace_id=_id(span.trace_id.hex()),
                    span_id=_id(span.span_id.hex()),
                    parent_id=_id(span.parent_span_id.hex()),
                    span_kind=span.kind,
                    failed=span.status.code == 2,
                    status=span.status.message,
                    events=tuple(
                        (each.name, each.time_unix_nano / 1e9, _attributes(each.attributes))
                        for each in span.events
                    ),
                    links=tuple(
                        _link(_id(each.trace_id.hex()), _id(each.span_id.hex()), _attributes(each.attributes))
                        for each in span.links[:LINKS]
                    ),
                )


def _of_logs(message: Any) -> Iterator[Record]:
    for one in message.resource_logs:
        resource = _attributes(one.resource.attributes)
        for scope in one.scope_logs:
            for line in scope.log_records:
                yield Record(
                    "log",
                    resource,
                    scope.scope.name,
                    _attributes(line.attributes),
                    body=_value(line.body, DEPTH),
                    time=(line.time_unix_nano or line.observed_time_unix_nano) / 1e9,
                    severity=line.severity_number,
                    severity_text=line.severity_text,
                    trace_id=_id(line.trace_id.hex()),
                    span_id=_id(line.span_id.hex()),
                )


def _attributes(pairs: Any) -> Sent:
    return {
        pair.key[:200]: _value(pair.value, DEPTH) for pair, _ in zip(pairs, range(ATTRIBUTES), strict=False)
    }


def _value(value: Any, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth == 0:
        return None
    if kind == "array_value":
        return [_value(each, depth - 1) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value, depth - 1) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, kind)
