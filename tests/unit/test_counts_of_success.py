"""What the capture client counts of requests that went well feeds the rates and the sketches of payloads."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.house import House
from store import journal, queries, rates, sketches
from store.event import Event, Request
from store.incident import Fingerprint
from triage.formats.counts import ITEM, MOST, of_counts
from triage.formats.sentry import receive

NOW = datetime.now(UTC)
AT = NOW.timestamp() - 60
SHAPE = [["body", "object"], ["body.count", "number"], ["body.unit_price", "number"]]


def envelope(sent: Any) -> bytes:
    """As the client sends it."""
    item = json.dumps(sent).encode()
    header = json.dumps({"type": ITEM, "length": len(item)}).encode()
    return b'{"sdk": {}}\n' + header + b"\n" + item + b"\n"


def test_counts_become_rates_and_fields_that_only_good_requests_had(house: House) -> None:
    sent = {"version": 1, "requests": [["order", AT, 90, 10]], "payloads": [["order", AT, SHAPE, 7]]}
    received = receive(envelope(sent), project="default", received_at=NOW)
    project = queries.project(house.database, "default").id
    house.count_served([(project, received.served)])
    failed = Event(event_id="0" * 32, project="default", received_at=NOW, timestamp=NOW, platform="python", level="error",
                   transaction="order", request=Request(method="POST", url="/orders", data={"count": 1}))  # fmt: skip
    print_ = Fingerprint(mechanism="code", key="k", parts=("k",))
    journal.record(house.database, house.artifacts, [(failed, print_, "KeyError", "order")])
    found = rates.rates(house.database, project, "order", NOW)
    assert (found.good_now, found.bad_now) == (90, 10)
    (field,) = sketches.presences(house.database, project, "order", ["unit_price"])
    assert [(day.of, day.present) for day in field.days] == [(1, 0)]
    assert [(day.of, day.present) for day in field.well] == [(7, 7)]


def test_names_in_counts_that_may_be_people_or_secrets_are_not_kept() -> None:
    shape = [["body", "object"], ["body.ann@example.org", "number"], ["body.4111 1111 1111 1111", "text:3"]]
    sent = {"version": 1, "requests": [], "payloads": [["order", AT, shape, 1]]}
    (told,) = receive(envelope(sent), project="default", received_at=NOW).served
    assert [field for field, _ in told.shapes] == ["body", "body.*.org", "body.*"]


@pytest.mark.parametrize("sent", [
    None, [], {"version": 2, "requests": [["order", AT, 1, 1]]}, {"version": 1, "requests": 7},
    {"version": 1, "requests": [["order", AT, -1, 0], ["order", AT, 1.5, 0], ["order", AT, True, 0], [7, AT, 1, 0]]},
    {"version": 1, "payloads": [["order", AT, [["body", "ann"]], 1], ["order", AT, "text", 1], ["", AT, SHAPE, 1]]},
])  # fmt: skip
def test_rows_that_are_none_are_left_out(sent: Any) -> None:
    assert receive(envelope(sent), project="default", received_at=NOW).served == ()


def test_rows_are_bounded_and_times_are_near_now() -> None:
    rows = [["order", at, 1, 0] for at in ("x", -1, 1e30, AT + 1e6, AT)] + [["order", AT, 1, 0]] * 2 * MOST
    found = of_counts({"version": 1, "requests": rows}, NOW)
    assert len(found) == MOST
    assert all(NOW - timedelta(days=1) <= one.at <= NOW for one in found)
