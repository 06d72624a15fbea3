"""Webhooks of alerting: Alertmanager, PagerDuty (version 3), Amazon SNS with CloudWatch alarms in it.

An alert has no stack: it is a message with labels, and says by itself which alerts are one. That becomes the
fingerprint. What is over again ("resolved") is no event: it ends those that came before it (`over`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from store.errors import BadPayload
from store.event import Event, Over
from triage.formats.shapes import moment, read_json, text
from triage.formats.traceback_text import chains
from triage.formats.vendors import Sent, identity, mapping_of, told
from triage.learning.alerts import CONTEXT

ALERTS = 500  # of one webhook
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,9})?")
_VALUE = re.compile(r"\[(-?[\d.]{1,20})")
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
        sent = _alerts(body)
        firing = [_alert(each, sent, project, received_at) for each in _with_status(sent, "firing")]
        events = {event.event_id: event for event in firing}
        return sorted(events.values(), key=lambda event: event.timestamp)

    def over(self, body: bytes, *, received_at: datetime) -> list[Over]:
        """Each alert that is resolved. Raises BadPayload for anything else than such a webhook."""
        return [
            Over(fingerprint=_print_of(each), at=moment(each.get("endsAt"), received_at))
            for each in _with_status(_alerts(body), "resolved")
        ]


def _alerts(body: bytes) -> Sent:
    sent = read_json(body, "webhook")
    if not isinstance(sent, dict) or not isinstance(sent.get("alerts"), list):
        raise BadPayload('The webhook has no "alerts".')
    return sent


def _with_status(sent: Sent, status: str) -> list[Sent]:
    return [each for each in map(mapping_of, sent["alerts"][:ALERTS]) if each.get("status") == status]


def _print_of(alert: Sent) -> tuple[str, ...]:
    labels = mapping_of(alert.get("labels"))
    return ("alertmanager", str(labels.get("alertname")), _named(alert))


def _named(alert: Sent) -> str:
    return str(alert.get("fingerprint") or identity(mapping_of(alert.get("labels"))))


def _alert(alert: Sent, sent: Sent, project: str, received_at: datetime) -> Event:
    labels, notes = mapping_of(alert.get("labels")), mapping_of(alert.get("annotations"))
    return told(
        {
            "event_id": identity("alertmanager", _named(alert), alert.get("startsAt")),
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
            "fingerprint": list(_print_of(alert)),
            "contexts": {
                CONTEXT: _known(
                    monitor=labels.get("alertname"),
                    severity=labels.get("severity"),
                    service=labels.get("service") or labels.get("job"),
                    value=_number(notes.get("value") or labels.get("value")),
                    threshold=_number(notes.get("threshold") or labels.get("threshold")),
                )
            },
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
                    "fingerprint": list(_incident_print(incident)),
                    "contexts": {
                        CONTEXT: _known(
                            monitor=incident.get("title"),
                            service=service,
                            severity=mapping_of(incident.get("priority")).get("summary")
                            or incident.get("urgency"),
                        )
                    },
                },
                project=project,
                received_at=received_at,
            )
        ]

    def over(self, body: bytes, *, received_at: datetime) -> list[Over]:
        """The incident that was resolved, if that is what the webhook tells. Raises BadPayload where it is none."""
        sent = read_json(body, "webhook")
        event = mapping_of(sent.get("event")) if isinstance(sent, dict) else {}
        if event.get("event_type") != "incident.resolved":
            return []
        print_of = _incident_print(mapping_of(event.get("data")))
        return [Over(fingerprint=print_of, at=moment(event.get("occurred_at"), received_at))]


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
        sent, message, alarm = _notification(body)
        if sent["Type"] != "Notification" or alarm.get("NewStateValue") in ("OK", "INSUFFICIENT_DATA"):
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
                    "contexts": {CONTEXT: _crossed(alarm)} if alarm.get("AlarmName") else {},
                },
                project=project,
                received_at=received_at,
                exceptions=found[0][1] if found else None,
            )
        ]

    def over(self, body: bytes, *, received_at: datetime) -> list[Over]:
        """The alarm that is well again, if that is what the notification tells. Raises BadPayload where it is none."""
        sent, _, alarm = _notification(body)
        if alarm.get("NewStateValue") != "OK" or not alarm.get("AlarmName"):
            return []
        at = moment(alarm.get("StateChangeTime") or sent.get("Timestamp"), received_at)
        return [Over(fingerprint=("sns", str(alarm["AlarmName"])), at=at)]


def _notification(body: bytes) -> tuple[Sent, str, Sent]:
    """The notification, its text, and the alarm in it (empty where it is another text). Raises BadPayload."""
    sent = read_json(body, "notification")
    if not isinstance(sent, dict) or not isinstance(sent.get("Type"), str):
        raise BadPayload("This is no notification of SNS.")
    message = str(sent.get("Message") or "")
    try:
        return sent, message, mapping_of(json.loads(message))
    except (ValueError, RecursionError):
        return sent, message, {}


def _crossed(alarm: Sent) -> Sent:
    """An alarm of CloudWatch as alerts are; its value is in its reason ("[95.0 (21/11/26 03:00:00)] was greater …")."""
    value = _VALUE.search(str(alarm.get("NewStateReason") or ""))
    return _known(
        monitor=alarm.get("AlarmName"),
        value=_number(value[1]) if value else None,
        threshold=_number(mapping_of(alarm.get("Trigger")).get("Threshold")),
    )


def _known(**fields: Any) -> Sent:
    return {name: value for name, value in fields.items() if value is not None}


def _number(value: Any) -> float | None:
    """A number, or the one that a text begins with ("97.5%")."""
    match = _NUMBER.match(str(value)) if value is not None and not isinstance(value, bool) else None
    return float(match[0]) if match else None


def _incident_print(incident: Sent) -> tuple[str, ...]:
    return ("pagerduty", str(incident.get("incident_key") or incident.get("title")))


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
