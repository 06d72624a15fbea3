"""Webhooks of other error trackers: Sentry.io's and Rollbar's. What they tell is read like what their clients send."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from store.errors import BadPayload
from store.event import Event
from triage.formats.rollbar import occurrence
from triage.formats.sentry_event import event_of
from triage.formats.shapes import read_json
from triage.formats.vendors import Sent, identity, mapping_of, told


class SentryHook:
    """The `Format` of Sentry.io's integration webhooks, by their documented shape."""

    name = "sentry_hook"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an object with an action, an installation and data."""
        if b'"action"' not in body or not body.lstrip().startswith(b"{"):
            return False
        try:
            sent = mapping_of(read_json(body, "webhook"))
        except BadPayload:
            return False
        return isinstance(sent.get("data"), dict) and "installation" in sent and "action" in sent

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """The event of an alert, an error or a new issue; none of comments, installations and the like."""
        sent = read_json(body, "webhook")
        if not isinstance(sent, dict) or not isinstance(sent.get("data"), dict):
            raise BadPayload('The webhook has no "data".')
        found = mapping_of(sent["data"].get("event")) or mapping_of(sent["data"].get("error"))
        if found:
            inner = mapping_of(found.get("event")) or found
            return [event_of(_with_interfaces(inner), project=project, received_at=received_at)]
        issue = mapping_of(sent["data"].get("issue"))
        if not issue or sent.get("action") not in ("created", "unresolved"):
            return []
        return [_issue(issue, project, received_at)]


def _with_interfaces(event: Sent) -> Sent:
    """Sentry tells the parts of an event also as a list of entries."""
    entries = event.get("entries")
    parts: Sent = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("type"), str) and entry["type"] not in event:
            parts[entry["type"]] = entry.get("data")
    return {**parts, **event}


def _issue(issue: Sent, project: str, received_at: datetime) -> Event:
    meta = mapping_of(issue.get("metadata"))
    return told(
        {
            "event_id": identity("sentry", issue.get("id"), issue.get("lastSeen")),
            "timestamp": issue.get("lastSeen") or issue.get("firstSeen"),
            "platform": issue.get("platform"),
            "level": issue.get("level"),
            "transaction": issue.get("culprit"),
            "exception": {"values": [{"type": meta.get("type"), "value": meta.get("value")}]}
            if meta.get("type")
            else None,
            "message": None if meta.get("type") else issue.get("title"),
            "logger": issue.get("logger"),
            "extra": {"issue": issue.get("shortId"), "url": issue.get("web_url") or issue.get("permalink")},
            "fingerprint": ["sentry", str(issue.get("id"))],
        },
        project=project,
        received_at=received_at,
    )


class RollbarHook:
    """The `Format` of Rollbar's webhooks, by their documented shape."""

    name = "rollbar_hook"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an object with the name of an event and an item or an occurrence."""
        if b'"event_name"' not in body or not body.lstrip().startswith(b"{"):
            return False
        try:
            return bool(_occurrence(mapping_of(read_json(body, "webhook"))))
        except BadPayload:
            return False

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """The event of an occurrence; none of what is told without one. Raises BadPayload."""
        sent = read_json(body, "webhook")
        if not isinstance(sent, dict) or "event_name" not in sent:
            raise BadPayload('The webhook has no "event_name".')
        found = _occurrence(sent)
        return [occurrence(found, project=project, received_at=received_at)] if found else []


def _occurrence(sent: Sent) -> Sent:
    inner = mapping_of(sent.get("data"))
    item = mapping_of(inner.get("item"))
    found = mapping_of(inner.get("occurrence")) or mapping_of(item.get("last_occurrence"))
    return found if mapping_of(found.get("body")) else {}
