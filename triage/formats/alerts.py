"""Webhooks of alerting: Alertmanager, PagerDuty (version 3), Amazon SNS with CloudWatch alarms in it.

An alert has no stack: it is a message with labels, and says by itself which alerts are one. That becomes the
fingerprint. What is over again ("resolved") is no event.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from store.errors import BadPayload
from store.event import Event
from triage.formats.shapes import read_json, text
from triage.formats.traceback_text import chains
from triage.formats.vendors import Sent, identity, mapping_of, told

ALERTS = 500  # of one webhook
_LEVELS = {
    "critical": "fatal",
    "page": "fatal",
    "error": "error",
    "warning": "warning",
    "info": "info",
    "high": "error",
}


class Alertmanager:
    """The `Format` of Prometheus' Alertmanager (webhook version 4)."""

    name = "alertmanager"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an object with alerts and a key of their group."""
        sent = _object(body, b'"alerts"')
        return isinstance(sent.get("alerts"), list) and "groupKey" in sent

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """An event for each alert that is firing. Raises BadPayload for anything else."""
        sent = read_json(body, "webhook")
        if not isinstance(sent, dict) or not isinstance(sent.get("alerts"), list):
            raise BadPayload('The webhook has no "alerts".')
        firing = [each for each in map(mapping_of, sent["alerts"][:ALERTS]) if each.get("status") == "firing"]
        events = {
            event.event_id: event for each in firing for event in (_alert(each, sent, project, received_at),)
        }
        return sorted(events.values(), key=lambda event: event.timestamp)


def _alert(alert: Sent, sent: Sent, project: str, received_at: datetime) -> Event:
    labels, notes = mapping_of(alert.get("labels")), mapping_of(alert.get("annotations"))
    named = alert.get("fingerprint") or identity(labels)
    return told(
        {
            "event_id": identity("alertmanager", named, alert.get("startsAt")),
            "timestamp": alert.get("startsAt"),
            "platform": "other",
            "level": _LEVELS.get(str(labels.get("severity")).lower(), "error"),
            "environment": labels.get("environment") or labels.get("env"),
            "server_name": labels.get("instance"),
            "message": notes.get("summary") or notes.get("description") or labels.get("alertname"),
            "logger": "alertmanager",
            "tags": {
                **labels,
                **({"service": labels["job"]} if labels.get("job") and "service" not in labels else {}),
            },
            "extra": {
                "annotations": notes,
                "generator": alert.get("generatorURL"),
                "group": sent.get("groupKey"),
            },
            "fingerprint": ["alertmanager", str(labels.get("alertname")), str(named)],
        },
        project=project,
        received_at=received_at,
    )


class PagerDuty:
    """The `Format` of PagerDuty's webhooks, by their documented shape."""

    name = "pagerduty"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an object with an event of an incident."""
        event = mapping_of(_object(body, b'"event_type"').get("event"))
        return str(event.get("event_type")).startswith(("incident.", "service.", "pagey."))

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """One event for an incident that was triggered or reopened, none for other news. Raises BadPayload."""
        sent = read_json(body, "webhook")
        event = mapping_of(sent.get("event")) if isinstance(sent, dict) else {}
        if not event.get("event_type"):
            raise BadPayload('The webhook has no "event" with a type.')
        if event["event_type"] not in ("incident.triggered", "incident.reopened"):
            return []
        incident = mapping_of(event.get("data"))
        service = mapping_of(incident.get("service")).get("summary")
        return [
            told(
                {
                    "event_id": identity("pagerduty", event.get("id"), incident.get("id")),
                    "timestamp": event.get("occurred_at") or incident.get("created_at"),
                    "platform": "other",
                    "level": _LEVELS.get(str(incident.get("urgency")).lower(), "error"),
                    "message": incident.get("title"),
                    "logger": "pagerduty",
                    "tags": {"service": service} if service else {},
                    "extra": {"url": incident.get("html_url"), "number": incident.get("number")},
                    "fingerprint": ["pagerduty", str(incident.get("incident_key") or incident.get("title"))],
                },
                project=project,
                received_at=received_at,
            )
        ]


class Sns:
    """The `Format` of notifications of Amazon SNS, by their documented shape: alarms of CloudWatch, or log text."""

    name = "sns"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an object with a topic."""
        sent = _object(body, b'"TopicArn"')
        return isinstance(sent.get("Type"), str) and "TopicArn" in sent

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """The event of a notification, none of an alarm that is over or of another type. Raises BadPayload."""
        sent = read_json(body, "notification")
        if not isinstance(sent, dict) or not isinstance(sent.get("Type"), str):
            raise BadPayload("This is no notification of SNS.")
        if sent["Type"] != "Notification":
            return []
        message = str(sent.get("Message") or "")
        try:
            alarm = mapping_of(json.loads(message))
        except (ValueError, RecursionError):
            alarm = {}
        if alarm.get("NewStateValue") in ("OK", "INSUFFICIENT_DATA"):
            return []
        found = chains(message)
        return [
            told(
                {
                    "event_id": identity("sns", sent.get("MessageId")),
                    "timestamp": alarm.get("StateChangeTime") or sent.get("Timestamp"),
                    "platform": found[0][0] if found else "other",
                    "message": _said(alarm) or sent.get("Subject") or message,
                    "logger": "sns",
                    "tags": {
                        key: str(alarm[key])
                        for key in ("AlarmName", "Region", "AWSAccountId")
                        if alarm.get(key)
                    },
                    "extra": {"trigger": alarm.get("Trigger"), "topic": sent.get("TopicArn")},
                    "fingerprint": ["sns", str(alarm["AlarmName"])] if alarm.get("AlarmName") else None,
                },
                project=project,
                received_at=received_at,
                exceptions=found[0][1] if found else None,
            )
        ]


def _said(alarm: Sent) -> str | None:
    parts = [text(alarm.get(name)) for name in ("AlarmName", "NewStateReason")]
    return ": ".join(part for part in parts if part) or None


def _object(body: bytes, mark: bytes) -> Sent:
    """The object that a body is, where it has the mark in it; else an empty one."""
    if mark not in body or not body.lstrip().startswith(b"{"):
        return {}
    try:
        return mapping_of(read_json(body, "webhook"))
    except BadPayload:
        return {}
