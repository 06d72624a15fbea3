"""A glimpse of a Sentry event: what groups, counts and names it, and nothing of the rest.

Of most events of a storm nobody ever reads the rest: a decoder that knows what it wants passes over it. A glimpse
leaves out only what `outline` takes from an event anyway, and what nothing that comes before it looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

from msgspec import UNSET, DecodeError, Raw, Struct, UnsetType, field
from msgspec.json import Decoder

from store.event import Event, Frame
from triage.formats.sentry_event import (
    EVENT_ID,
    EXCEPTION_LIMIT,
    FRAME_LIMIT,
    KNOWN_CONTEXTS,
    event_of,
    frame_of,
    sent_request,
)
from triage.formats.sentry_json import bounded_parts, decoded, parts_of
from triage.formats.shapes import moment, text
from triage.outline import CONTEXTS, Sketch, bare_frame
from triage.unbundle import may_be_bundled

Rages: TypeAlias = Callable[[Sketch], bool]
_Other: TypeAlias = Raw | UnsetType

_CONTEXTS = frozenset({*CONTEXTS, "attributes", "trace"})  # what becomes a user, a trace, an entity
_TRACE_HEADERS = (
    b"baggage",
    b"traceparent",
    b"tracestate",
    b"\\u",
)  # by which a request says what an event is
_NEVER = datetime.min.replace(tzinfo=UTC)


class _Frame(Struct):
    function: str | None = None
    module: str | None = None
    filename: str | None = None
    abs_path: str | None = None
    in_app: bool | None = None


class _Stack(Struct):
    frames: list[_Frame]


class _Raised(Struct):
    type: str | None = None
    value: str | None = None
    module: str | None = None
    mechanism: Raw = Raw(b"null")
    stacktrace: _Stack | None = None


class _Values(Struct):
    values: list[_Raised]


class _Sent(Struct):
    """An event as most SDKs send it. Any other shape is no mistake: such an event is read as a whole."""

    event_id: str
    exception: _Values
    timestamp: str | int | float | None = None
    platform: str | None = None
    level: str | None = None
    environment: str | None = None
    release: str | None = None
    transaction: str | None = None
    logger: str | None = None
    sdk: Raw = Raw(b"null")
    fingerprint: Raw = Raw(b"null")
    tags: Raw = Raw(b"null")
    user: Raw = Raw(b"null")
    contexts: Raw = Raw(b"null")
    request: Raw = Raw(b"null")
    # texts of messages, stacks in other places, where the originals of bundles are
    message: _Other = UNSET
    logentry: _Other = UNSET
    threads: _Other = UNSET
    stacktrace: _Other = UNSET
    debug_meta: _Other = UNSET
    interface: _Other = field(default=UNSET, name="sentry.interfaces.Message")

    def is_plain(self) -> bool:
        """Whether an error in it is all that it tells."""
        others = (self.message, self.logentry, self.threads, self.stacktrace, self.debug_meta, self.interface)
        raised = self.exception.values
        return (
            all(other is UNSET for other in others)
            and 0 < len(raised) <= EXCEPTION_LIMIT
            and EVENT_ID.match(self.event_id) is not None
        )


_DECODER = Decoder(_Sent)


def glimpse_of(payload: bytes, *, project: str, received_at: datetime, rages: Rages) -> Event | None:
    """What an event of which hardly the body will be kept is outlined by; None for any other, and for what cannot be
    told at a glance. Raises BadPayload."""
    try:
        sent = _DECODER.decode(payload)
    except (DecodeError, ValueError, RecursionError):
        return None
    frames = [_places(raised, sent.platform) for raised in sent.exception.values]
    places = [each for each in frames if each is not None]
    if len(places) < len(frames) or not sent.is_plain() or not rages(_sketch(project, sent, places)):
        return None
    contexts = _contexts(bytes(sent.contexts))
    if contexts is None:
        return None
    event = _event(sent, places, contexts).model_copy(
        update={
            "project": project,
            "received_at": received_at,
            "timestamp": moment(sent.timestamp, received_at),
        }
    )
    return None if may_be_bundled(event) else event


def _event(sent: _Sent, places: Sequence[tuple[Frame, ...]], contexts: dict[str, Any]) -> Event:
    tags, request = bytes(sent.tags), bytes(sent.request)
    lowered = request.lower()
    same = _same(
        (sent.platform, sent.level, sent.environment, sent.release, sent.transaction, sent.logger),
        (bytes(sent.sdk), bytes(sent.fingerprint), tags if b"service" in tags or b"\\u" in tags else b"null"),
        tuple([(one.type, one.module, bytes(one.mechanism)) for one in sent.exception.values]),
    )
    said = contexts.get("trace")
    trace = said if isinstance(said, dict) else {}
    exceptions = [
        one.model_copy(update={"value": text(own.value) or "", "frames": frames})
        for one, own, frames in zip(same.exceptions, sent.exception.values, places, strict=True)
    ]
    return same.model_copy(
        update={
            "event_id": sent.event_id,
            "exceptions": tuple(exceptions),
            "request": sent_request(request) if any(name in lowered for name in _TRACE_HEADERS) else None,
            "user": bounded_parts(bytes(sent.user)),
            "contexts": contexts,
            "trace_id": text(trace.get("trace_id"), 64),
            "span_id": text(trace.get("span_id"), 64),
        }
    )


@lru_cache(maxsize=1024)
def _same(
    texts: tuple[str | None, ...],
    parts: tuple[bytes, bytes, bytes],
    raised: tuple[tuple[str | None, str | None, bytes], ...],
) -> Event:
    """What the events of an error have in common."""
    names = ("platform", "level", "environment", "release", "transaction", "logger")
    sdk, fingerprint, tags = map(decoded, parts)
    values = [{"type": kind, "module": module, "mechanism": decoded(how)} for kind, module, how in raised]
    said = {"sdk": sdk, "fingerprint": fingerprint, "tags": tags, "exception": {"values": values}}
    return event_of({**dict(zip(names, texts, strict=True)), **said}, project="", received_at=_NEVER)


def _places(raised: _Raised, platform: str | None) -> tuple[Frame, ...] | None:
    """Where the frames are; None where that needs more than a glance."""
    frames = raised.stacktrace.frames if raised.stacktrace else []
    found = [
        _place(frame.function, frame.module, frame.filename, frame.abs_path, frame.in_app, platform)
        for frame in frames[: FRAME_LIMIT + 1]
    ]
    known = [place for place in found if place is not None]
    return tuple(known) if len(known) == len(found) <= FRAME_LIMIT else None


@lru_cache(maxsize=4096)
def _place(
    function: str | None,
    module: str | None,
    filename: str | None,
    abs_path: str | None,
    in_app: bool | None,
    platform: str | None,
) -> Frame | None:
    said = {
        "function": function,
        "module": module,
        "filename": filename,
        "abs_path": abs_path,
        "in_app": in_app,
    }
    if not any((function, module, filename, abs_path)):
        return None
    made = frame_of(said, text(platform, 32) or "other")
    return None if made is None else bare_frame(made)


def _sketch(project: str, sent: _Sent, places: Sequence[tuple[Frame, ...]]) -> Sketch:
    """`outline.sketched` of the event that this will be."""
    found: list[str | None] = [project]
    for raised, frames in zip(sent.exception.values, places, strict=True):
        if frames:
            found += (text(raised.type, 200) or "", frames[-1].module, frames[-1].function)
    return tuple(found)


def _contexts(sent: bytes) -> dict[str, Any] | None:
    """Those of the contexts that have a say; None where it cannot be told which those are."""
    if sent == b"null":
        return {}
    parts = parts_of(sent)
    if not parts or len(parts) > KNOWN_CONTEXTS:
        return None
    kept = [b'"%s":%s' % (name.encode(), parts[name]) for name in _CONTEXTS if name in parts]
    return bounded_parts(b"{%s}" % b",".join(kept))
