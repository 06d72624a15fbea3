"""Log lines that say which incident, attempt and step they are about, as text or as JSON, and spans of the same steps.

What a line is about is a context: it is set where a piece of work begins and holds in everything that work calls.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from opentelemetry import trace

LogFormat = Literal["text", "json"]

_about: ContextVar[Mapping[str, str] | None] = ContextVar("nightdesk_about", default=None)
_tracer = trace.get_tracer("nightdesk")  # does nothing until somebody provides for traces
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@contextmanager
def about(step: str, **ids: str) -> Iterator[None]:
    """Do a step of work: lines that are logged meanwhile name it, and it is a span where traces are wanted."""
    token = _about.set({**subject(), **ids, "step": step})
    try:
        with _tracer.start_as_current_span(
            step, attributes={f"nightdesk.{name}": value for name, value in ids.items()}
        ):
            yield
    finally:
        _about.reset(token)


def subject() -> Mapping[str, str]:
    """What is being done: `incident`, `attempt`, `step`; nothing outside of any."""
    return _about.get() or {}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with what it is about; the trace of an exception is one text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **subject(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


class TextLines(logging.Formatter):
    """Lines for people, with what they are about in brackets."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        ids = " ".join(f"{name}={value}" for name, value in subject().items())
        record.about = f" [{ids}]" if ids else ""
        return super().format(record)


def configure(chosen: LogFormat) -> None:
    """Log to standard error; to be called before the MCP server does it in its own way."""
    handler = logging.StreamHandler(sys.stderr)
    text = TextLines("%(asctime)s %(name)s %(levelname)s%(about)s %(message)s")
    handler.setFormatter(JsonLines() if chosen == "json" else text)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    _provide_for_traces(os.environ)


def _provide_for_traces(environ: Mapping[str, str]) -> None:
    """Where OpenTelemetry's own variables name a collector, send it the spans; its SDK is the extra `otel`."""
    if not any(environ.get(name) for name in _ENDPOINTS):
        return
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        logging.getLogger("nightdesk").warning("Traces are wanted but not made: install nightdesk[otel].")
        return
    sdk, export = import_module("opentelemetry.sdk.trace"), import_module("opentelemetry.sdk.trace.export")
    exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter()
    resource = import_module("opentelemetry.sdk.resources").Resource.create({"service.name": "nightdesk"})
    provider = sdk.TracerProvider(resource=resource)
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
