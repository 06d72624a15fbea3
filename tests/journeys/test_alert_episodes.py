"""Alerts that fire and are over again, through the public door: one incident with episodes, judged by how it behaves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.app import make_app
from server.house import House
from store import queries
from store.incident import Lane
from tests.journeys.test_ingest_http import client, secret

START = datetime(2026, 11, 20, 10, tzinfo=UTC)


def alertmanager(start: datetime, end: datetime | None = None) -> dict[str, Any]:
    alert = {
        "status": "resolved" if end else "firing", "fingerprint": "c1a5e6d7f8091a2b", "startsAt": start.isoformat(),
        "endsAt": end.isoformat() if end else "0001-01-01T00:00:00Z",
        "labels": {"alertname": "QueueLag", "severity": "warning", "job": "shop"},
        "annotations": {"summary": "queue lag briefly above its soft limit", "value": "101", "threshold": "100"},
    }  # fmt: skip
    return {"version": "4", "groupKey": "{}:{}", "status": alert["status"], "alerts": [alert]}


def duty(kind: str, at: datetime) -> dict[str, Any]:
    data = {"id": "P1", "title": "checkout is down", "urgency": "high", "incident_key": "d3640fbd"}
    return {
        "event": {
            "id": f"{kind}-{at.minute}",
            "event_type": kind,
            "occurred_at": at.isoformat(),
            "data": data,
        }
    }


def alarm(state: str, at: datetime) -> dict[str, Any]:
    told = {
        "AlarmName": "shop-5xx", "NewStateValue": state, "StateChangeTime": at.isoformat(), "Trigger": {"Threshold": 80},
        "NewStateReason": "Threshold Crossed: 1 datapoint [95.0 (20/11/26 10:00:00)] was greater than the threshold (80.0).",
    }  # fmt: skip
    return {"Type": "Notification", "MessageId": f"{state}{at.minute}", "TopicArn": "arn:aws:sns:eu-west-1:1:a",
            "Timestamp": at.isoformat(), "Message": json.dumps(told)}  # fmt: skip


async def tell(house: House, source: str, *bodies: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {secret(house)}"}
    async with client(make_app(house)) as http:
        for body in bodies:
            answer = await http.post(
                f"/hooks/default/{source}", content=json.dumps(body).encode(), headers=headers
            )
            assert answer.status_code == 200, answer.text


@pytest.mark.anyio
async def test_an_alert_that_fires_and_is_over_again_and_again_is_one_incident_with_durations(house) -> None:
    moments = [START + timedelta(minutes=m) for m in (0, 4, 8)]
    for at in moments:
        over = at + timedelta(seconds=50)
        await tell(house, "alertmanager", alertmanager(at), alertmanager(at, over), alertmanager(at, over))
    (incident,) = queries.incidents(house.database)
    done = house.triage_incident(incident.id)
    assert incident.event_count == 3
    assert [one["seconds"] for one in done.facts["episodes"]] == [50.0, 50.0, 50.0]
    assert all(one["over"] for one in done.facts["episodes"])
    assert "It comes and goes: 3 episodes" in " ".join(step.said for step in done.steps)
    assert done.lane is Lane.BACKLOG
    assert done.verdict.signal


@pytest.mark.anyio
async def test_that_it_went_away_by_itself_is_heard_and_weighed(house) -> None:
    await tell(house, "alertmanager", alertmanager(START))
    (incident,) = queries.incidents(house.database)
    firing = house.triage_incident(incident.id)
    await tell(house, "alertmanager", alertmanager(START, START + timedelta(seconds=40)))
    over = house.triage_incident(incident.id)
    assert over.verdict.score < firing.verdict.score
    assert over.facts["is_alert"]


@pytest.mark.anyio
@pytest.mark.parametrize("source", ["pagerduty", "sns"])
async def test_other_monitors_say_in_their_words_that_it_is_over(house, source: str) -> None:
    end = START + timedelta(minutes=6)
    spoken = {
        "pagerduty": (duty("incident.triggered", START), duty("incident.resolved", end)),
        "sns": (alarm("ALARM", START), alarm("OK", end)),
    }
    fired, over = spoken[source]
    await tell(house, source, fired, over)
    (incident,) = queries.incidents(house.database)
    (event,) = queries.events(house.database, incident.id)
    seen = house.as_triaged(incident, event).contexts["alert"]
    assert seen["auto_resolved_after_s"] == 360.0
    assert seen["fired_count_last_1h"] == 1
    if source == "sns":
        assert (seen["value"], seen["threshold"]) == (95.0, 80.0)


@pytest.mark.anyio
async def test_what_nobody_has_reported_before_is_over_without_a_trace(house) -> None:
    await tell(house, "alertmanager", alertmanager(START, START + timedelta(minutes=1)))
    assert list(queries.incidents(house.database)) == []
