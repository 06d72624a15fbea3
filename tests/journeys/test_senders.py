"""Other senders' protocols: real captures replayed through the public doors, and the answers that each expects."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from server.app import make_app
from server.house import House
from server.http.answers import Full
from server.ingest.vendor_doors import DOORS, any_key
from store import queries
from store.event import Event, Trust
from tests.journeys.test_ingest_http import client, secret
from triage.fingerprint import fingerprint
from triage.formats import by_name, detect

SENT = Path(__file__).resolve().parents[1] / "corpus" / "senders"
ITEM, MESSAGE = (SENT / "0077-item.json").read_bytes(), (SENT / "0078-item.json").read_bytes()
NOTIFY, NOTICE = (SENT / "0079-notify.json").read_bytes(), (SENT / "0080-notices.json").read_bytes()
TRACES, LOGS = (SENT / "0073-traces.pb").read_bytes(), (SENT / "0074-logs.pb").read_bytes()
TRACES_JSON, LOGS_JSON = (
    (SENT / "0073-traces.otlp.json").read_bytes(),
    (SENT / "0074-logs.otlp.json").read_bytes(),
)
PROTOBUF = {"Content-Type": "application/x-protobuf"}


async def post(house: House, path: str, body: bytes, headers: dict[str, str]) -> Any:
    async with client(make_app(house)) as http:
        return await http.post(path, content=body, headers=headers)


def kept(house: House) -> list[Event]:
    every = [queries.event(house.database, seen.event_id) for each in queries.incidents(house.database) for seen in queries.occurrences(house.database, each.id)]  # fmt: skip
    return [event for event in every if event is not None]


def trackers(house: House) -> dict[str, tuple[str, bytes, dict[str, str]]]:
    key = secret(house)
    return {
        "rollbar": ("/api/1/item/", ITEM, {"X-Rollbar-Access-Token": key}),
        "bugsnag": ("/notify", NOTIFY, {"Bugsnag-Api-Key": key}),
        "honeybadger": ("/v1/notices/", NOTICE, {"X-Api-Key": key}),
    }


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["rollbar", "bugsnag", "honeybadger"])
async def test_a_trackers_capture_becomes_an_event_with_its_chain_and_places(house: House, name: str) -> None:
    path, body, headers = trackers(house)[name]
    answer = await post(house, path, body, headers)
    assert answer.status_code in (200, 201)
    (event,) = kept(house)
    assert [raised.type for raised in event.exceptions] == ["KeyError", "PaymentError"]
    assert event.platform == "python"
    innermost = event.exceptions[-1].frames[-1]
    assert (innermost.function, innermost.lineno, innermost.in_app) == ("checkout", 20, True)
    assert innermost.context_line is not None
    assert innermost.context_line.strip().startswith("raise PaymentError(")
    assert "ann@example.com" not in event.model_dump_json()
    assert event.trust is Trust.SIGNED
    assert event.environment == "production"


@pytest.mark.anyio
async def test_each_tracker_is_answered_in_its_own_words(house: House) -> None:
    answers = {name: await post(house, *sent) for name, sent in trackers(house).items()}
    uuid = json.loads(ITEM)["data"]["uuid"].replace("-", "")
    assert answers["rollbar"].json() == {"err": 0, "result": {"id": None, "uuid": uuid}}
    assert len(answers["bugsnag"].json()["id"]) == 32
    assert answers["honeybadger"].status_code == 201
    refused = await post(house, "/api/1/item/", ITEM, {"X-Rollbar-Access-Token": "0" * 32})
    assert (refused.status_code, refused.json()["err"]) == (403, 1)
    nothing = await post(house, "/notify", b'{"events": []}', {"Bugsnag-Api-Key": secret(house)})
    assert nothing.status_code == 400
    assert "no event" in nothing.json()["detail"]


@pytest.mark.anyio
async def test_a_key_in_the_body_alone_is_found(house: House) -> None:
    for path, body, field in (("/api/1/item/", ITEM, "access_token"), ("/notify", NOTIFY, "apiKey")):
        sent = {**json.loads(body), field: secret(house)}
        assert (await post(house, path, json.dumps(sent).encode(), {})).status_code == 200
    without = {name: value for name, value in json.loads(ITEM).items() if name != "access_token"}
    assert (await post(house, "/api/1/item/", json.dumps(without).encode(), {})).status_code == 401


@pytest.mark.anyio
async def test_a_message_of_rollbar_has_no_stack(house: House) -> None:
    answer = await post(house, "/api/1/item", MESSAGE, {"X-Rollbar-Access-Token": secret(house)})
    assert answer.status_code == 200
    (event,) = kept(house)
    assert (event.message, event.level, event.exceptions) == ("queue depth 9312", "warning", ())


@pytest.mark.anyio
@pytest.mark.parametrize("body", ["0081-store.bin", "0082-store.bin"])
async def test_the_legacy_store_protocol_is_taken(house: House, body: str) -> None:
    headers = {"X-Sentry-Auth": f"Sentry sentry_version=6, sentry_key={secret(house)}, sentry_secret=x"}
    answer = await post(house, "/api/1/store/", (SENT / body).read_bytes(), headers)
    assert answer.status_code == 200
    assert len(kept(house)) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/traces", TRACES, PROTOBUF),
        ("/v1/traces", TRACES_JSON, {"Content-Type": "application/json"}),
        ("/v1/logs", LOGS, PROTOBUF),
        ("/v1/logs", LOGS_JSON, {"Content-Type": "application/json"}),
    ],
)
async def test_otlp_gives_the_errors_with_what_was_around_them(
    house: House, path: str, body: bytes, headers: dict[str, str]
) -> None:
    answer = await post(house, path, body, {**headers, "x-nightdesk-key": secret(house)})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(headers["Content-Type"])
    assert answer.content in (b"", b"{}")
    event = next(each for each in kept(house) if each.exceptions)
    assert [(raised.type, raised.module) for raised in event.exceptions] == [
        ("KeyError", None),
        ("PaymentError", "app_common"),
    ]
    assert event.exceptions[-1].frames[-1].function == "checkout"
    assert (event.service, event.release, event.environment) == ("shop", "1.4.2", "production")
    assert event.trace_id == "47561a2063a603200ccedb9fac5d62a9" or "logs" in path
    assert "ann@example.com" not in event.model_dump_json()


def test_protobuf_and_json_of_one_body_are_the_same_events() -> None:
    now = datetime.fromisoformat("2026-11-21T10:00:00+00:00")
    for packed, plain, signal in ((TRACES, TRACES_JSON, "traces"), (LOGS, LOGS_JSON, "logs")):
        headers = {"content-type": "application/x-protobuf", "x-otlp-signal": signal}
        one = by_name("otlp").parse(packed, headers, project="p", received_at=now)
        other = by_name("otlp").parse(plain, {}, project="p", received_at=now)
        assert one == other
        assert one


def test_a_span_and_a_log_line_of_one_error_are_one_incident() -> None:
    now = datetime.fromisoformat("2026-11-21T10:00:00+00:00")
    span, line = (
        next(
            event
            for event in by_name("otlp").parse(body, {}, project="p", received_at=now)
            if event.exceptions
        )
        for body in (TRACES_JSON, LOGS_JSON)
    )
    assert fingerprint(span).key == fingerprint(line).key


def test_the_same_spans_sent_twice_have_the_same_ids() -> None:
    now, later = (datetime.fromisoformat(f"2026-11-21T10:0{n}:00+00:00") for n in (0, 5))
    first, second = (
        [event.event_id for event in by_name("otlp").parse(TRACES_JSON, {}, project="p", received_at=at)]
        for at in (now, later)
    )
    assert first == second


@pytest.mark.anyio
async def test_exporters_are_told_in_their_protocol_what_is_wrong(house: House) -> None:
    broken = await post(house, "/v1/traces", b"\xff\xff\xff", {**PROTOBUF, "x-nightdesk-key": secret(house)})
    assert broken.status_code == 400
    assert broken.headers["content-type"] == "application/x-protobuf"
    assert broken.content.startswith(b"\x08\x03\x12")
    assert (await post(house, "/v1/logs", LOGS, PROTOBUF)).status_code == 401


def test_an_exporter_is_told_to_come_back_and_a_client_to_wait() -> None:
    doors = {door.path: door for door in DOORS}
    full = Full("Too many requests.")
    exporter = doors["/v1/traces"].refused(full, {"content-type": "application/x-protobuf"})
    rollbar = doors["/api/1/item"].refused(full, {})
    assert (exporter.status_code, rollbar.status_code) == (503, 429)
    assert int(exporter.headers["retry-after"]) > 0
    assert int(rollbar.headers["retry-after"]) > 0


def test_a_key_is_found_in_every_place_that_exporters_and_webhooks_can_put_it() -> None:
    basic = base64.b64encode(b"nightdesk:KEY").decode()
    alone = base64.b64encode(b"KEY:").decode()
    for headers, query in (
        ({"x-nightdesk-key": "KEY"}, {}), ({"authorization": "Bearer KEY"}, {}), ({"authorization": f"Basic {basic}"}, {}),
        ({"authorization": f"Basic {alone}"}, {}), ({}, {"key": "KEY"}),
    ):  # fmt: skip
        assert any_key(headers, query, b"") == "KEY"
    assert any_key({"authorization": "Basic %%%"}, {}, b"") is None


ALERT = {
    "version": "4", "groupKey": '{}:{alertname="HighErrorRate"}', "status": "firing", "receiver": "nightdesk",
    "alerts": [
        {"status": "firing", "labels": {"alertname": "HighErrorRate", "severity": "critical", "job": "shop"},
         "annotations": {"summary": "15.3 % of requests fail"}, "startsAt": "2026-11-20T10:00:00Z",
         "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus/graph", "fingerprint": "c1a5e6d7f8091a2b"},
        {"status": "resolved", "labels": {"alertname": "Old"}, "annotations": {}, "startsAt": "2026-11-20T09:00:00Z", "fingerprint": "00"},
    ],
}  # fmt: skip
POD = {
    "metadata": {"name": "shop-7c9d8f6b5-x2x7q.17", "namespace": "prod", "uid": "u-1"}, "reason": "BackOff", "type": "Warning",
    "message": "Back-off restarting failed container", "count": 7, "lastTimestamp": "2026-11-20T10:00:00Z",
    "involvedObject": {"kind": "Pod", "namespace": "prod", "name": "shop-7c9d8f6b5-x2x7q"}, "source": {"component": "kubelet", "host": "node-1"},
}  # fmt: skip
DUTY = {
    "event": {
        "id": "01D", "event_type": "incident.triggered", "resource_type": "incident", "occurred_at": "2026-11-20T10:00:00Z",
        "data": {"id": "PGR0VU2", "type": "incident", "number": 2, "title": "checkout is down", "urgency": "high",
                 "incident_key": "d3640fbd", "service": {"summary": "shop"}, "html_url": "https://x/incidents/PGR0VU2"},
    }
}  # fmt: skip
ALARM = {
    "Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:1:alarms", "Subject": "ALARM", "Timestamp": "2026-11-20T10:00:00.000Z",
    "Message": json.dumps({"AlarmName": "shop-5xx", "NewStateValue": "ALARM", "NewStateReason": "Threshold crossed", "Region": "EU",
                           "StateChangeTime": "2026-11-20T10:00:00.000+0000", "Trigger": {"MetricName": "5xx"}}),
}  # fmt: skip
TROUBLE = {
    "action": "triggered", "installation": {"uuid": "a"}, "actor": {"type": "application"},
    "data": {"event": {"event_id": "ab" * 16, "platform": "python", "timestamp": 1763632800.5, "exception": {"values": [
        {"type": "KeyError", "value": "'X'", "stacktrace": {"frames": [{"function": "rate", "filename": "shop.py", "lineno": 3, "in_app": True}]}}]}},
        "triggered_rule": "new"},
}  # fmt: skip
OCCURRENCE = {
    "event_name": "new_item",
    "data": {"item": {"id": 1, "last_occurrence": json.loads(ITEM)["data"]}},
}
HOOKS = {
    "alertmanager": (ALERT, "15.3 % of requests fail"), "kubernetes": (POD, "BackOff: Back-off restarting failed container"),
    "pagerduty": (DUTY, "checkout is down"), "sns": (ALARM, "shop-5xx: Threshold crossed"), "sentry": (TROUBLE, "KeyError"),
    "rollbar": (OCCURRENCE, "PaymentError"),
}  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize("source", HOOKS)
async def test_a_webhook_becomes_one_event_and_twice_the_same_is_one(house: House, source: str) -> None:
    sent, said = HOOKS[source]
    headers = {"Authorization": f"Bearer {secret(house)}"}
    for _ in range(2):
        answer = await post(house, f"/hooks/default/{source}", json.dumps(sent).encode(), headers)
        assert answer.status_code == 200
        assert len(answer.json()["ids"]) == 1
    (incident,) = queries.incidents(house.database)
    assert incident.event_count == 1
    (event,) = kept(house)
    assert said in (event.message, event.exceptions[-1].type if event.exceptions else None)


@pytest.mark.anyio
@pytest.mark.parametrize("source", ["sentry", "pagerduty"])
async def test_a_webhook_signed_with_the_projects_key_is_taken_and_another_is_not(
    house: House, source: str
) -> None:
    body = json.dumps(HOOKS[source][0]).encode()
    for key, status in ((secret(house), 200), ("somebody else's", 403)):
        made = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
        header = {
            "sentry": ("Sentry-Hook-Signature", made),
            "pagerduty": ("X-PagerDuty-Signature", f"v1=00,v1={made}"),
        }
        answer = await post(house, f"/hooks/default/{source}", body, dict([header[source]]))
        assert answer.status_code == status


@pytest.mark.anyio
async def test_news_that_are_no_failure_are_taken_and_make_no_event(house: House) -> None:
    headers = {"Authorization": f"Bearer {secret(house)}"}
    over = {**ALARM, "Message": json.dumps({"AlarmName": "shop-5xx", "NewStateValue": "OK"})}
    calm = {**POD, "type": "Normal", "reason": "Pulled"}
    closed = {"event": {**DUTY["event"], "event_type": "incident.resolved"}}
    for source, sent in (("sns", over), ("kubernetes", calm), ("pagerduty", closed)):
        answer = await post(house, f"/hooks/default/{source}", json.dumps(sent).encode(), headers)
        assert (answer.status_code, answer.json()) == (200, {"id": None, "ids": []})
    assert kept(house) == []


@pytest.mark.anyio
async def test_an_unknown_source_and_a_wrong_project_are_refused_in_words(house: House) -> None:
    headers = {"Authorization": f"Bearer {secret(house)}"}
    answer = await post(house, "/hooks/default/nagios", b"{}", headers)
    assert answer.status_code == 404
    assert "alertmanager" in answer.json()["detail"]
    assert (await post(house, "/hooks/default/sentry", b"{}", {})).status_code == 401
    assert (await post(house, "/hooks/absent/sentry", b"{}", headers)).status_code == 404


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (ITEM, "rollbar"), (NOTIFY, "bugsnag"), (NOTICE, "honeybadger"), (TRACES_JSON, "otlp"), (LOGS_JSON, "otlp"),
        (json.dumps(ALERT).encode(), "alertmanager"), (json.dumps(POD).encode(), "kubernetes"), (json.dumps([POD]).encode(), "kubernetes"),
        (json.dumps(DUTY).encode(), "pagerduty"), (json.dumps(ALARM).encode(), "sns"), (json.dumps(TROUBLE).encode(), "sentry_hook"),
        (json.dumps(OCCURRENCE).encode(), "rollbar_hook"), ((SENT / "0081-store.bin").read_bytes(), "sentry"),
    ],
)  # fmt: skip
def test_a_file_of_each_sender_is_recognised(body: bytes, name: str) -> None:
    assert detect(body, {}).name == name
