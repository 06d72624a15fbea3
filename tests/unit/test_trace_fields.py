"""Traces: what they were kept for, in which order they are replayed, and what came along with the request."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from store.event import Event, Request
from triage.formats.otlp import Otlp
from triage.trace_context import with_trace_context

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
TRACE, OTHER = "0af7651916cd43dd8448eb211c80319c", "b" * 32


def said(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def attributes(**named: Any) -> list[dict[str, Any]]:
    return [{"key": name.replace("__", "."), "value": said(value)} for name, value in named.items()]


def span(
    number: int, name: str, *, kind: int = 2, events: list[Any] | None = None, **own: Any
) -> dict[str, Any]:
    return {
        "traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": name, "kind": kind,
        "startTimeUnixNano": str(number * 10**9), "endTimeUnixNano": str(number * 10**9 + 1),
        "attributes": attributes(**own), "events": events or [], "status": {},
        "links": [{"traceId": TRACE, "spanId": "00f067aa0ba902b7", "attributes": attributes(why="retry")}],
    }  # fmt: skip


def taken(*spans: dict[str, Any]) -> list[Event]:
    body = json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(spans)}]}]}).encode()
    return Otlp().parse(body, {"content-type": "application/json"}, project="default", received_at=NOW)


def test_traces_are_taken_in_the_order_in_which_they_are_replayed() -> None:
    broken = {
        "name": "invariant.violated",
        "timeUnixNano": "1",
        "attributes": attributes(invariant__name="balance >= 0"),
    }
    raised = {"name": "exception", "timeUnixNano": "9", "attributes": attributes(exception__type="KeyError", exception__message="'x'")}  # fmt: skip
    events = taken(
        span(1, "POST /transfer", events=[broken]),
        span(2, "GET /slow", http__response__status_code=504),
        span(3, "GET /cart", events=[raised]),
        span(4, "GET /fine", http__response__status_code=200),
    )
    assert [event.contexts["replay"]["chosen_for"] for event in events] == ["error", "timeout", "invariant"]
    assert [event.contexts["replay"]["order"] for event in events] == [1, 2, 3]
    assert events[2].exception is not None
    assert (events[2].exception.type, events[2].exception.value) == ("InvariantViolation", "balance >= 0")


def test_the_hint_the_links_and_what_has_to_be_held_still_are_kept() -> None:
    (event,) = taken(
        span(
            1,
            "SELECT",
            kind=3,
            db__system__name="postgresql",
            db__transaction__isolation_level="serializable",
        ),
        span(
            1,
            "GET /a",
            debug__replay__hint="freeze-clock",
            random__seed=7,
            cache__hit=False,
            http__status_code=504,
        ),
    )[:1]
    replay = event.contexts["replay"]
    assert replay["hint"] == "freeze-clock"
    assert replay["controls"] == {
        "random.seed": 7, "cache.hit": False, "db.system.name": "postgresql",
        "db.transaction.isolation_level": "serializable",
    }  # fmt: skip
    assert event.contexts["links"][0] == {
        "trace_id": TRACE, "span_id": "00f067aa0ba902b7", "attributes": {"why": "retry"},
    }  # fmt: skip


def test_what_came_by_baggage_becomes_fields_and_replaces_nothing() -> None:
    baggage = (
        "sentry-release=r1,user.hash=9f2c,tenant=acme%20corp;ttl=5,flags=new_cart:on|beta,build.sha=4fbc1"
    )
    headers = {"Baggage": baggage, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "tracestate": "vendor=1"}
    bare = Event(
        event_id="1" * 32, project="default", received_at=NOW, timestamp=NOW, request=Request(headers=headers)
    )
    event = with_trace_context(bare)
    assert (event.trace_id, event.span_id) == (TRACE, "00f067aa0ba902b7")
    assert event.user == {"id": "9f2c"}
    assert event.tags == {"tenant": "acme corp", "commit": "4fbc1"}
    assert event.contexts["flags"]["values"] == [{"flag": "new_cart", "result": "on"}, {"flag": "beta", "result": "true"}]  # fmt: skip
    assert event.contexts["trace"]["tracestate"] == "vendor=1"
    assert "sentry-release" not in event.contexts["baggage"]
    own = bare.model_copy(update={"user": {"id": "7"}, "trace_id": OTHER, "tags": {"tenant": "mine"}})
    kept = with_trace_context(own)
    assert (kept.user, kept.trace_id, kept.tags["tenant"]) == ({"id": "7"}, OTHER, "mine")


@pytest.mark.parametrize("header", ["", ",,,=;", "a", "x=" + "y" * 5000, "=".join("ab" * 500), "\x00=%00"])
def test_a_spoiled_baggage_harms_nothing(header: str) -> None:
    headers = {"baggage": header, "traceparent": header}
    bare = Event(
        event_id="1" * 32, project="default", received_at=NOW, timestamp=NOW, request=Request(headers=headers)
    )
    assert len(str(with_trace_context(bare).contexts)) < 3000


def test_an_attribute_of_a_span_is_baggage_too() -> None:
    (event,) = taken(span(1, "GET /a", baggage__tenant="acme", http__status_code=504))
    assert with_trace_context(event).tags["tenant"] == "acme"
