"""The real clients of other senders, pointed at a running server. Each runs in a process of its own, as in an
application; where a client is not installed its test says so and is skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from server.house import House
from store import queries
from store.event import Event
from tests.journeys.test_ingest_http import secret, serving

CRASH = """
class PaymentError(Exception):
    pass

def rate(coupon):
    return {"VIP": 0.2}[coupon]

def checkout(coupon):
    try:
        return rate(coupon)
    except KeyError as error:
        raise PaymentError("could not price for ann@example.com") from error
"""
ROLLBAR = """
import rollbar
rollbar.init(KEY, "production", endpoint=f"http://{HOST}/api/1/", handler="blocking", code_version="1.4.2")
try:
    checkout("BLACK")
except PaymentError:
    rollbar.report_exc_info()
"""
BUGSNAG = """
import bugsnag
bugsnag.configure(api_key=KEY, endpoint=f"http://{HOST}/notify", session_endpoint=f"http://{HOST}/sessions", asynchronous=False,
                  auto_capture_sessions=False, release_stage="production", app_version="1.4.2")
try:
    checkout("BLACK")
except PaymentError as error:
    bugsnag.notify(error)
"""
HONEYBADGER = """
from honeybadger import honeybadger
honeybadger.configure(api_key=KEY, endpoint=f"http://{HOST}", environment="production", force_sync=True, force_report_data=True)
try:
    checkout("BLACK")
except PaymentError as error:
    honeybadger.notify(error)
"""
OTLP_TRACES = """
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
provider = TracerProvider(resource=Resource.create({"service.name": "shop", "deployment.environment.name": "production"}))
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"http://{HOST}/v1/traces", headers={"x-nightdesk-key": KEY})))
try:
    with provider.get_tracer("shop").start_as_current_span("POST /checkout"):
        checkout("BLACK")
except PaymentError:
    pass
provider.shutdown()
"""
OTLP_LOGS = """
import logging, warnings
warnings.simplefilter("ignore")
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
provider = LoggerProvider(resource=Resource.create({"service.name": "shop", "deployment.environment.name": "production"}))
provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"http://{HOST}/v1/logs", headers={"x-nightdesk-key": KEY})))
shop = logging.getLogger("shop")
shop.addHandler(LoggingHandler(logger_provider=provider))
try:
    checkout("BLACK")
except PaymentError:
    shop.exception("checkout failed")
provider.shutdown()
"""
CLIENTS = {
    "rollbar": ("rollbar", ROLLBAR),
    "bugsnag": ("bugsnag", BUGSNAG),
    "honeybadger": ("honeybadger", HONEYBADGER),
    "otlp traces": ("opentelemetry.exporter", OTLP_TRACES),
    "otlp logs": ("opentelemetry.exporter", OTLP_LOGS),
}


def installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture
def run(house: House) -> Callable[[str], list[Event]]:
    def run(script: str) -> list[Event]:
        with serving(house) as (host, _):
            program = f"HOST, KEY = {host!r}, {secret(house)!r}\n{CRASH}\n{script}"
            environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
            done = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=environment
            )
            assert done.returncode == 0, done.stderr
            ids = [
                seen.event_id
                for incident in queries.incidents(house.database)
                for seen in queries.occurrences(house.database, incident.id)
            ]
        events = [queries.event(house.database, each) for each in ids]
        assert events, done.stderr
        return [event for event in events if event is not None]

    return run


@pytest.mark.parametrize("name", CLIENTS)
def test_a_real_client_pointed_at_us_is_heard(name: str, run: Callable[[str], list[Event]]) -> None:
    module, script = CLIENTS[name]
    if not installed(module):
        pytest.skip(f"{module} is not installed here")
    (event,) = run(script)
    assert event.exceptions[-1].type == "PaymentError"
    assert event.environment == "production"
    assert "ann@example.com" not in event.model_dump_json()
    assert event.platform == "python"
