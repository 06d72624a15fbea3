"""Requests that went well are counted where the application asks for it: numbers and names of fields, no values."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, Callable, Dict, List

import flask
import pytest
import sentry_sdk
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.integrations.flask import FlaskIntegration

from nightdesk_capture import counts

Hooked = Callable[..., Any]
BODY = {
    "sku": "A-7",
    "buyer": {"mail": "ann@example.org"},
    "ann@example.org": 1,
    "lines": [{"left": None}, {}],
}


@pytest.fixture(autouse=True)
def _nothing_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for part, fresh in vars(counts.Counts()).items():
        monkeypatch.setattr(counts.COUNTS_OF_THE_PROCESS, part, fresh)


def told(transport: Any) -> List[Dict[str, Any]]:
    """What was counted, as it was sent."""
    counts.COUNTS_OF_THE_PROCESS.tell(0.0)
    return [
        json.loads(item.payload.get_bytes())
        for envelope in transport.envelopes
        for item in envelope.items
        if item.type == counts.ITEM
    ]


def shop() -> flask.Flask:
    """An application that reads its bodies, or does not."""
    app = flask.Flask("shop")

    @app.post("/orders/<number>")
    def order(number: str) -> str:
        return str(len(flask.request.get_json()))

    @app.post("/unread")
    def unread() -> str:
        return "ok"

    @app.get("/fails")
    def fails() -> str:
        raise LookupError

    return app


def test_requests_are_counted_by_endpoint_and_their_fields_without_a_value(hooked: Hooked) -> None:
    transport = hooked(FlaskIntegration(), counts=True, deny=["left"])
    client = shop().test_client()
    for number in range(3):
        assert client.post(f"/orders/{number}", json=BODY).status_code == 200
    client.post("/unread", json=BODY)
    assert client.get("/fails").status_code == 500
    sent = told(transport)
    assert sorted(row[0::2][0:1] + row[2:] for one in sent for row in one["requests"]) == [
        ["fails", 0, 1], ["order", 3, 0], ["unread", 1, 0],
    ]  # fmt: skip
    ((endpoint, _, shape, number),) = [row for one in sent for row in one["payloads"]]
    assert (endpoint, number) == ("order", 1)  # of three within a second
    assert sorted(shape) == sorted([
        ["body", "object"], ["body.sku", "text:2"], ["body.buyer", "object"], ["body.buyer.mail", "text:4"],
        ["body.*", "number"], ["body.lines", "list:2"], ["body.lines[]", "object"], ["body.lines[]", "object"],
    ])  # fmt: skip
    assert "ann@" not in json.dumps(sent)
    assert "A-7" not in json.dumps(sent)


def test_nothing_is_counted_unless_the_application_asks_for_it(hooked: Hooked) -> None:
    transport = hooked(FlaskIntegration())
    shop().test_client().post("/orders/1", json=BODY)
    assert told(transport) == []


def test_an_asgi_answer_is_counted_once_also_inside_another_application(hooked: Hooked) -> None:
    transport = hooked(counts=True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sentry_sdk.get_current_scope().set_transaction_name("order", source="route")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    seen: List[Any] = []

    async def send(message: Any) -> None:
        seen.append(message["type"])

    inner = SentryAsgiMiddleware(app, asgi_version=3)
    outer = SentryAsgiMiddleware(inner, asgi_version=3)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    asyncio.run(outer._run_asgi3(scope, None, send))
    (sent,) = told(transport)
    assert [row[:1] + row[2:] for row in sent["requests"]] == [["order", 1, 0]]
    assert seen == ["http.response.start", "http.response.body"]


def test_an_endpoint_that_is_only_an_address_has_no_name(hooked: Hooked) -> None:
    transport = hooked(counts=True)
    with sentry_sdk.isolation_scope():
        sentry_sdk.get_current_scope().set_transaction_name("/people/ann-lee", source="url")
        counts.COUNTS_OF_THE_PROCESS.ended(200)
    (sent,) = told(transport)
    assert [row[:1] + row[2:] for row in sent["requests"]] == [["", 1, 0]]


def test_endpoints_and_shapes_that_are_told_apart_are_bounded() -> None:
    counted = counts.Counts()
    sent: List[Dict[str, Any]] = []
    counted.send = sent.append
    with sentry_sdk.isolation_scope():
        for number in range(counts.ENDPOINTS + 50):
            sentry_sdk.get_current_scope().set_transaction_name(f"endpoint {number}", source="route")
            counted.ended(200)
    counted.tell(0.0)
    assert len(sent[0]["requests"]) == counts.ENDPOINTS + 1
    assert sum(row[2] for row in sent[0]["requests"]) == counts.ENDPOINTS + 50


@pytest.mark.parametrize("name", ["_endpoint", "_bodies", "walk", "json", "item_of"])
def test_a_fault_while_counting_changes_no_answer(
    name: str, hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked(FlaskIntegration(), counts=True)

    def faulty(*args: Any, **words: Any) -> Any:
        raise ValueError("of ours")

    monkeypatch.setattr(counts, name, faulty)
    monkeypatch.setattr(counts, "EVERY", 0.0)
    assert shop().test_client().post("/orders/1", json=BODY).status_code == 200


def test_counts_go_to_the_address_that_capsules_go_to_and_with_an_error(
    hooked: Hooked, monkeypatch: Any
) -> None:
    monkeypatch.setattr(counts, "SOON", 0.0)
    transport = hooked(FlaskIntegration(), counts=True)
    counts.COUNTS_OF_THE_PROCESS._sent = -1e9
    client = shop().test_client()
    client.get("/fails")
    client.get("/fails")
    kinds = [item.type for envelope in transport.envelopes for item in envelope.items]
    assert kinds.count("event") == 2
    assert counts.ITEM in kinds


def test_threads_that_count_at_the_same_time_lose_nothing() -> None:
    counted = counts.Counts()
    sent: List[Dict[str, Any]] = []
    counted.send = sent.append

    def work() -> None:
        with sentry_sdk.isolation_scope():
            for _ in range(200):
                counted.ended(200)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    counted.tell(0.0)
    assert sum(row[2] for row in sent[0]["requests"]) == 800
