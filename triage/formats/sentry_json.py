"""The JSON of a Sentry event, read such that what comes again and again is read once.

Frames, modules and the like repeat from event to event, byte for byte. They are told by their bytes: a frame that was
read before is the very same object, and `redact` knows it by that. What is handed out is shared and never changed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from triage.again import Again
from triage.formats.shapes import DEPTH_LIMIT, ITEM_LIMIT, bounded, clean, mapping, read_json

T = TypeVar("T")

LARGEST = 16 << 10  # bytes of a part that is remembered
REMEMBERED = 2048  # parts
_REPEATED = frozenset({"sdk", "_meta"})
_AS_SENT = frozenset(
    {"modules", "contexts", "extra", "user", "tags", "breadcrumbs", "request"}
)  # left as bytes
_WORTH = 24  # bytes of an object from which on it is worth remembering
_SMALL = 1000  # bytes in which nothing can be beyond the bounds of a text
_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder()


class Remembered(Generic[T]):
    """What `read` made of bytes that came before; the least used is forgotten. Safe to use from several threads."""

    def __init__(self, read: Callable[[bytes, str], T]) -> None:
        self._read = read
        self._known: OrderedDict[tuple[bytes, str], T] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, part: bytes, under: str = "") -> T:
        """What these bytes say `under` a platform or a name. Raises what `read` raises."""
        found = self.known(part, under)
        return self.add(part, under, self._read(part, under)) if found is None else found

    def known(self, part: bytes, under: str) -> T | None:
        """What they said before; None where that is not remembered."""
        place = (part, under)
        with self._lock:
            found = self._known.get(place)
            if found is not None:
                self._known.move_to_end(place)
            return found

    def add(self, part: bytes, under: str, made: T) -> T:
        """Remember what they say, unless that was done meanwhile; what is remembered."""
        if len(part) > LARGEST:
            return made
        with self._lock:
            made = self._known.setdefault((part, under), made)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return made


def decoded(part: bytes) -> Any:
    """JSON as Python's values. Raises BadPayload."""
    try:
        return _ANY.decode(part)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return read_json(part, "event")  # Python's reader takes more: NaN, huge numbers, half characters


_PARTS_READ: Remembered[Any] = Remembered(lambda part, name: decoded(part))


def opened(sent: Any) -> Any:
    """What was left as bytes, as Python's values; anything else as it is. Raises BadPayload."""
    return decoded(sent) if isinstance(sent, bytes) else sent


def parts_of(sent: bytes) -> dict[str, bytes]:
    """A JSON object's fields as bytes; empty where it is none."""
    try:
        return {name: bytes(part) for name, part in _PARTS.decode(sent).items()}
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def bounded_parts(sent: Any) -> dict[str, Any]:
    """`bounded` of a mapping. Of one that was left as bytes, what is small enough to be within every bound is not
    walked through. Raises BadPayload."""
    if isinstance(sent, bytes):
        if sent.count(b"{") < 2 and (found := _small(sent)) is not None:
            return found
        if parts := parts_of(sent):
            kept = list(parts.items())[:ITEM_LIMIT]
            return {clean(name, 200): _bounded_part(part) for name, part in kept}
    whole: dict[str, Any] = bounded(mapping(opened(sent)))
    return whole


def _bounded_part(part: bytes) -> Any:
    if part[:1] == b"{" and len(part) >= _WORTH:
        return _OBJECTS.of(part)
    return bounded(decoded(part), depth=DEPTH_LIMIT - 1)


_OBJECTS: Remembered[Any] = Remembered(lambda part, _: Again(bounded(decoded(part), depth=DEPTH_LIMIT - 1)))


def _small(part: bytes) -> dict[str, Any] | None:
    """An object that is within every bound by its size (no long text, no large or deep container) and has no escapes;
    None where that cannot be told at a glance."""
    if (
        len(part) > _SMALL
        or part[:1] != b"{"
        or part.count(b",") >= ITEM_LIMIT
        or part.count(b"{") + part.count(b"[") >= DEPTH_LIMIT
        or b"\\u" in part
    ):
        return None
    try:
        found: dict[str, Any] = _ANY.decode(part)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return found


def read_event(payload: bytes, what: str) -> Any:
    """The event. Its frames, its modules and what may be within all bounds at a glance are left as the bytes that were
    sent. Raises BadPayload."""
    try:
        parts = _PARTS.decode(payload)
        return {
            name: _exception(part) if name == "exception" else _part(name, bytes(part))
            for name, part in parts.items()
        }
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return read_json(payload, what)


def _part(name: str, part: bytes) -> Any:
    if name in _AS_SENT:
        return part
    return _PARTS_READ.of(part) if name in _REPEATED else _ANY.decode(part)


def _exception(part: msgspec.Raw) -> Any:
    """The exceptions, in one of the shapes that SDKs give them."""
    if bytes(part).lstrip()[:1] == b"[":
        return [_raised(each) for each in _LIST.decode(part)]
    fields = _PARTS.decode(part)
    if "values" not in fields or bytes(fields["values"]).lstrip()[:1] != b"[":
        return _ANY.decode(part)
    return {"values": [_raised(each) for each in _LIST.decode(fields["values"])]}


def _raised(part: msgspec.Raw) -> Any:
    if bytes(part)[:1] != b"{":
        return _ANY.decode(part)
    fields = _PARTS.decode(part)
    return {
        name: _stack(each) if name == "stacktrace" else _ANY.decode(each) for name, each in fields.items()
    }


def _stack(part: msgspec.Raw) -> Any:
    if bytes(part)[:1] != b"{":
        return _ANY.decode(part)
    fields = _PARTS.decode(part)
    if "frames" not in fields or bytes(fields["frames"])[:1] != b"[":
        return _ANY.decode(part)
    return {"frames": [bytes(frame) for frame in _LIST.decode(fields["frames"])]}
