"""Events of Kubernetes as the common exporters post them: one object or a list, warnings only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from store.errors import BadPayload
from store.event import Event
from triage.formats.shapes import read_json
from triage.formats.vendors import Sent, identity, mapping_of, told

EVENTS = 500  # of one body
_FATAL = frozenset(
    {"OOMKilled", "OOMKilling", "CrashLoopBackOff", "BackOff", "Evicted", "ProgressDeadlineExceeded"}
)
_POD_HASH = re.compile(r"(?:-[a-f0-9]{8,10})?-[a-z0-9]{5}$|-\d+$")


class Kubernetes:
    """The `Format` of exported Kubernetes events, by their documented shape (events.k8s.io and core v1)."""

    name = "kubernetes"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an event, or a list of them, about an object of a cluster."""
        if b"nvolvedObject" not in body and b'"regarding"' not in body:
            return False
        try:
            return bool(_events(read_json(body, "event")))
        except BadPayload:
            return False

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """An event for each warning. Raises BadPayload where there is no event of Kubernetes at all."""
        found = _events(read_json(body, "event"))
        if not found:
            raise BadPayload("There is no event of Kubernetes in this.")
        events = {
            event.event_id: event
            for each in found[:EVENTS]
            if str(each.get("type")) != "Normal"
            for event in (_event(each, project, received_at),)
        }
        return sorted(events.values(), key=lambda event: event.timestamp)


def _events(sent: Any) -> list[Sent]:
    if isinstance(sent, dict) and isinstance(sent.get("items"), list):
        sent = sent["items"]
    rows = sent if isinstance(sent, list) else [sent]
    inner = [
        mapping_of(row.get("event")) or mapping_of(row.get("object")) or row
        for row in rows
        if isinstance(row, dict)
    ]
    return [row for row in inner if _about(row) and row.get("reason")]


def _about(event: Sent) -> Sent:
    return mapping_of(event.get("involvedObject")) or mapping_of(event.get("regarding"))


def _event(event: Sent, project: str, received_at: datetime) -> Event:
    about, source = _about(event), mapping_of(event.get("source"))
    meta, labels = mapping_of(event.get("metadata")), mapping_of(_about(event).get("labels"))
    name, reason = str(about.get("name") or ""), str(event.get("reason"))
    owner = labels.get("app.kubernetes.io/name") or labels.get("app") or _POD_HASH.sub("", name) or name
    kind, space = str(about.get("kind") or ""), str(about.get("namespace") or meta.get("namespace") or "")
    stamp = (
        event.get("lastTimestamp")
        or event.get("eventTime")
        or event.get("firstTimestamp")
        or meta.get("creationTimestamp")
    )
    tags = {
        "reason": reason,
        "kind": kind,
        "namespace": space,
        "pod": name if kind == "Pod" else "",
        "service": owner,
    }
    return told(
        {
            "event_id": identity("kubernetes", meta.get("uid") or name, reason, stamp, event.get("count")),
            "timestamp": stamp,
            "platform": "other",
            "level": "fatal" if reason in _FATAL else "warning",
            "server_name": source.get("host") or event.get("reportingInstance"),
            "message": f"{reason}: {event.get('message') or event.get('note') or ''}".strip(": "),
            "logger": "kubernetes",
            "environment": space or None,
            "tags": {key: value for key, value in tags.items() if value},
            "extra": {"count": event.get("count"), "labels": labels, "field": about.get("fieldPath")},
            "fingerprint": ["kubernetes", reason, kind, space, str(owner)],
        },
        project=project,
        received_at=received_at,
    )
