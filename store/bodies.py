"""The bodies of events: which outlive being the newest, and how one is written down.

Of every event the id, times, release and environment are kept for ever; of the bodies a sample: the first ones, the
newest, a spread between that thins out, and those of one entity within a second of each other, because that is where
races show. So a storm of a million costs eighty bodies and not a million.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import zstandard
from pydantic_core import PydanticSerializationError

from store.event import Event

FIRST_BODIES = 20  # of an incident are all kept
TOGETHER = timedelta(seconds=1)  # events of one entity this near to each other may be a race
NEARBY = 64  # events of an incident among which the other half of a race is looked for
REMEMBERED = 2000  # entities whose newest bodies were not kept, for what comes within the second after them
_ZSTD = b"\x28\xb5\x2f\xfd"
_LOCAL = threading.local()


def is_sampled(number: int) -> bool:
    """Whether the body of an incident's n-th event (from 1) outlives being the newest: four in each doubling
    do."""
    return number <= FIRST_BODIES or number % (1 << (number.bit_length() - 3)) == 0


def packed(event: Event) -> bytes:
    """The event as compressed JSON. Half characters, which JSON can carry and UTF-8 cannot, become question marks."""
    if not hasattr(_LOCAL, "compressor"):
        _LOCAL.compressor = zstandard.ZstdCompressor(level=1)
    made: bytes = _LOCAL.compressor.compress(_json(event))
    return made


def unpacked(body: bytes) -> bytes:
    """The JSON in a body; earlier versions wrote zlib. Raises ValueError for a body that is damaged."""
    if not body.startswith(_ZSTD):
        try:
            return zlib.decompress(body)
        except zlib.error as error:
            raise ValueError("damaged zlib") from error
    try:
        return zstandard.ZstdDecompressor().decompress(body)
    except zstandard.ZstdError as error:
        raise ValueError("damaged zstd") from error


def entity_of(event: Event, user_key: str | None) -> str | None:
    """Whose turn it is in a race: the key that a database complained of, else the user."""
    said = event.contexts.get("database")
    key = said.get("key") if isinstance(said, dict) else None
    return f"key:{json.dumps(key, sort_keys=True)}"[:200] if key else user_key


class Passing(NamedTuple):
    """An event whose body was not kept, and what makes that body."""

    event: Event
    whole: Callable[[], Event]


class Passed:
    """The newest events whose bodies were not kept: what comes within a second may be the other half of a race.

    Of one process, in memory: nothing that was promised is in here. Safe to use from several threads."""

    def __init__(self) -> None:
        self._events: OrderedDict[tuple[int, str], list[Passing]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, incident: int, entity: str, one: Passing) -> None:
        """Remember an event; the oldest are forgotten."""
        with self._lock:
            self._events.setdefault((incident, entity), []).append(one)
            while len(self._events) > REMEMBERED:
                self._events.popitem(last=False)

    def near(self, incident: int, entity: str, event: Event) -> list[Passing]:
        """Those of the same incident and entity that are within a second of it. All of the entity are forgotten."""
        with self._lock:
            found = self._events.pop((incident, entity), ())
        return [other for other in found if together(event, other.event)]


def together(one: Event, other: Event) -> bool:
    """Whether two events are within a second of each other."""
    return one is not other and abs(one.timestamp - other.timestamp) <= TOGETHER


def _json(event: Event) -> bytes:
    try:
        return event.model_dump_json().encode()
    except (PydanticSerializationError, UnicodeEncodeError):
        loose = json.dumps(event.model_dump(mode="python"), ensure_ascii=False, default=str)
        return loose.encode("utf-8", "replace")
