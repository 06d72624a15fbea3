"""What came along with a request by W3C Trace Context and Baggage, as fields: the trace, who it was for (by hash), the
tenant, the flags, the build.

It stands in the headers of the request, or in attributes of spans as exporters write them (`baggage.tenant`). What an
event says itself is never replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from store.event import Event
from triage.formats.shapes import clean

MEMBERS = 64  # of a baggage, which is what the recommendation asks for at least
_PARENT = re.compile(
    r"^[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}", re.IGNORECASE
)
_USER = re.compile(r"^(?:enduser|user)[._-]?(?:hash|id|pseudo[._-]id)$", re.IGNORECASE)
_TENANT = re.compile(r"^(?:tenant|org|organization|account)(?:[._-](?:id|name|hash))?$", re.IGNORECASE)
_BUILD = re.compile(
    r"^(?:build|git|commit|vcs)(?:[._-](?:sha|commit|revision|ref\.head\.revision))?$|^sha$", re.IGNORECASE
)
_FLAG = re.compile(r"^(?:feature[._-]?flags?|flags?|ff)[._-](?P<name>.+)$", re.IGNORECASE)
_FLAGS = re.compile(r"^(?:feature[._-]?)?flags$", re.IGNORECASE)


def with_trace_context(event: Event) -> Event:
    """The event with the context `baggage`, and with what that says of user, tenant, flags and build."""
    headers = event.request.headers if event.request else {}
    sent = {name.lower(): value for name, value in headers.items() if name.lower() in _HEADERS}
    baggage = dict(_members(sent.get("baggage", "")))
    attributes = event.contexts.get("attributes")
    if isinstance(attributes, dict):
        own = {
            name[8:]: clean(str(value), 1024)
            for name, value in attributes.items()
            if name.startswith("baggage.")
        }
        baggage |= {name: value for name, value in own.items() if name not in baggage}
    changes = _trace(event, sent.get("traceparent", "")) | (_told(event, baggage) if baggage else {})
    if state := sent.get("tracestate"):
        known = event.contexts.get("trace")
        trace = {**(known if isinstance(known, dict) else {}), "tracestate": clean(state, 512)}
        changes["contexts"] = {**changes.get("contexts", event.contexts), "trace": trace}
    return event.model_copy(update=changes) if changes else event


_HEADERS = frozenset({"baggage", "traceparent", "tracestate"})


def _members(header: str) -> Iterator[tuple[str, str]]:
    """Name and value of each member of a baggage, without properties. What Sentry's SDKs put there for their own
    sampling is in the event already."""
    for member, _ in zip(header.split(","), range(MEMBERS), strict=False):
        name, equals, value = member.partition(";")[0].partition("=")
        if equals and name.strip() and not name.strip().startswith("sentry-"):
            yield clean(name.strip(), 200), clean(unquote(value.strip()), 1024)


def _trace(event: Event, parent: str) -> dict[str, Any]:
    found = _PARENT.match(parent.strip())
    if found is None or event.trace_id:
        return {}
    return {"trace_id": found["trace"].lower(), "span_id": event.span_id or found["span"].lower()}


def _told(event: Event, baggage: Mapping[str, str]) -> dict[str, Any]:
    """What a baggage says that the event does not."""
    contexts: dict[str, Any] = {**event.contexts, "baggage": dict(baggage)}
    tags = dict(event.tags)
    changes: dict[str, Any] = {"contexts": contexts, "tags": tags}
    flags = []
    for name, value in baggage.items():
        if _USER.match(name) and "id" not in event.user:
            changes["user"] = {**event.user, "id": value}
        elif _TENANT.match(name):
            tags.setdefault("tenant", value)
        elif _BUILD.match(name):
            tags.setdefault("commit", value)
        elif found := _FLAG.match(name):
            flags.append((found["name"], value))
        elif _FLAGS.match(name):
            flags += [(part.partition(":")[0].strip(), part.partition(":")[2].strip() or "true")
                      for part in re.split(r"[|;\s]+", value) if part]  # fmt: skip
    if flags and "flags" not in contexts:
        contexts["flags"] = {"values": [{"flag": name, "result": value} for name, value in flags[:MEMBERS]]}
    return changes
