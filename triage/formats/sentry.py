"""The Sentry protocol: an envelope, or the bare event JSON of `/store/`. Decompression is the door's work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from store.errors import BadPayload
from store.event import Event, Served
from triage.formats.capsule import capsule_of, is_capsule
from triage.formats.counts import ITEM, of_counts
from triage.formats.envelope import Envelope, read_envelope
from triage.formats.sentry_event import event_of
from triage.formats.sentry_glimpse import Rages, glimpse_of
from triage.formats.sentry_json import read_event
from triage.formats.served import of_sessions, of_transaction
from triage.formats.shapes import read_json
from triage.outline import Glimpse

_EVENT_FIELDS = (b'"event_id"', b'"exception"', b'"logentry"', b'"platform"')


@dataclass(frozen=True)
class Received:
    """What an envelope held: the events, and how many items of each other type were skipped."""

    events: tuple[Event, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    event_id: str | None = None  # of the envelope header: what the sender wants to be answered
    served: tuple[Served, ...] = ()  # requests and sessions that ended
    glimpse: Glimpse | None = None  # in the place of the only event, where it is one of a storm


class Sentry:
    """The `Format` of the Sentry SDKs."""

    name = "sentry"

    def recognises(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it is an envelope (by content type or by its second line) or a JSON object with an
        event's fields."""
        if headers.get("content-type", "").startswith("application/x-sentry-envelope"):
            return True
        start = body.lstrip()[:1]
        return start == b"{" and (_is_envelope(body) or any(field in body for field in _EVENT_FIELDS))

    def parse(
        self, body: bytes, headers: Mapping[str, str], *, project: str, received_at: datetime
    ) -> list[Event]:
        """All events in the body. Items of other types are skipped; `receive` says how many."""
        return list(receive(body, project=project, received_at=received_at).events)


def receive(body: bytes, *, project: str, received_at: datetime, rages: Rages | None = None) -> Received:
    """Read an envelope or a bare event. `rages` says of which errors no more than a glimpse is wanted. Raises
    BadPayload with one sentence where it is neither."""
    if not _is_envelope(body):
        return Received((event_of(read_event(body, "event"), project=project, received_at=received_at),))
    envelope = read_envelope(body)
    skipped = Counter(
        item.type or "unnamed"
        for item in envelope.items
        if item.type != "event" and not is_capsule(item.header)
    )
    named = envelope.header.get("event_id")
    found = _events(envelope, project, received_at, rages)
    return Received(
        () if isinstance(found, Glimpse) else found,
        dict(skipped),
        str(named) if named else None,
        tuple(_served(envelope, received_at)),
        found if isinstance(found, Glimpse) else None,
    )


def _served(envelope: Envelope, received_at: datetime) -> Iterator[Served]:
    """What the items beside the events tell of requests that ended; one that cannot be read tells nothing."""
    for item in envelope.items:
        read = _SERVED.get(item.type)
        if read is not None:
            with suppress(BadPayload):
                yield from read(read_json(item.payload, item.type), received_at)


_SERVED = {
    "transaction": of_transaction,
    "sessions": of_sessions,
    "session": of_sessions,
    ITEM: of_counts,
}


def _events(
    envelope: Envelope, project: str, received_at: datetime, rages: Rages | None
) -> tuple[Event, ...] | Glimpse:
    events = []
    capsule = next((capsule_of(item.payload) for item in envelope.items if is_capsule(item.header)), None)
    alone = rages is not None and len(envelope.items) == 1
    for item in envelope.items:
        if item.type == "event":
            if alone and rages is not None:
                glimpse = _glimpse(item.payload, project, received_at, rages)
                if glimpse is not None:
                    return glimpse
            sent = read_event(item.payload, "event in the envelope")
            if isinstance(sent, dict) and "event_id" not in sent and envelope.header.get("event_id"):
                sent["event_id"] = envelope.header["event_id"]
            events.append(event_of(sent, project=project, received_at=received_at))
    if capsule is not None and len(events) == 1:  # of several events nothing says which it belongs to
        return (events[0].model_copy(update={"capsule": capsule}),)
    return tuple(events)


def _glimpse(payload: bytes, project: str, received_at: datetime, rages: Rages) -> Glimpse | None:
    seen = glimpse_of(payload, project=project, received_at=received_at, rages=rages)
    if seen is None:
        return None
    return Glimpse(
        seen,
        lambda: event_of(
            read_event(payload, "event in the envelope"), project=project, received_at=received_at
        ),
    )


def _is_envelope(body: bytes) -> bool:
    """Two lines that are JSON objects each, of which the second has a type; or a header line alone."""
    first, _, rest = body.partition(b"\n")
    if not (first.lstrip().startswith(b"{") and first.rstrip().endswith(b"}")):
        return False
    second = rest.lstrip().partition(b"\n")[0]
    if second:
        return second.startswith(b"{") and b'"type"' in second
    try:
        header = read_json(first, "envelope header")
    except BadPayload:
        return False
    return (
        isinstance(header, dict)
        and bool({"dsn", "sdk", "sent_at"} & set(header))
        and "platform" not in header
    )
