"""The replay capsule beside an event: gzipped JSON of typed values, from somebody who may not be the capture client.

The wire format is version 1 of `docs/reference/capsule.md`. A capsule that is none is left out: its event is still an
event.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from store.event import Capsule
from triage.capsule_walk import FRAME, WORLD
from triage.formats.shapes import clean

CONTENT_TYPE = "application/vnd.nightdesk.capsule+json"
VERSION = 1
MOST_BYTES = 1 << 20  # as sent
MOST_TEXT = 16 << 20  # bytes of the JSON
DEEPEST = 150  # nested values
MOST_VALUES = 200_000
_PARTS = ("entry", "frames", "cut", "redacted", "python", *sorted(WORLD))


def is_capsule(header: Mapping[str, Any]) -> bool:
    """Whether an envelope item of this header is a capsule."""
    return header.get("type") == "attachment" and header.get("content_type") == CONTENT_TYPE


def capsule_of(payload: bytes) -> Capsule | None:
    """Read a capsule, not yet redacted; None for what is none, is of another version, or is over a bound."""
    text = _inflated(payload)
    try:
        sent = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(sent, dict) or sent.get("version") != VERSION or not _is_bounded(sent):
        return None
    content = {"version": VERSION, **{part: _cleaned(sent[part]) for part in _PARTS if part in sent}}
    frames = content.get("frames")
    content["frames"] = [_frame(one) for one in frames if _is_frame(one)] if isinstance(frames, list) else []
    content["entry"] = content["entry"] if isinstance(content.get("entry"), dict) else {}
    cut, redacted = content.get("cut"), content.get("redacted")
    content["cut"] = cut if isinstance(cut, dict) else {}
    content["redacted"] = [row for row in redacted if _is_row(row)] if isinstance(redacted, list) else []
    return Capsule(content=content, size=len(payload), frames=len(content["frames"]), cut=len(content["cut"]))


def _inflated(payload: bytes) -> bytes | None:
    if len(payload) > MOST_BYTES:
        return None
    inflating = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = inflating.decompress(payload, MOST_TEXT)
    except zlib.error:
        return None
    return text if inflating.eof else None


def _is_bounded(sent: dict[str, Any]) -> bool:
    """Whether it can be walked: not too deep, not too much. Done without recursion."""
    pending: list[tuple[Any, int]] = [(sent, 0)]
    seen = 0
    while pending:
        value, depth = pending.pop()
        seen += 1
        if depth > DEEPEST or seen > MOST_VALUES:
            return False
        if isinstance(value, dict):
            pending += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            pending += [(item, depth + 1) for item in value]
    return True


def _cleaned(value: Any) -> Any:
    """The same without NULs and half characters, which no file in UTF-8 takes."""
    if isinstance(value, str):
        return clean(value, MOST_TEXT)
    if isinstance(value, dict):
        return {clean(key, MOST_TEXT): _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


def _is_frame(frame: Any) -> bool:
    return (
        isinstance(frame, dict)
        and isinstance(frame.get("vars"), dict)
        and isinstance(frame.get("function"), str)
        and isinstance(frame.get("line"), int)
    )


def _frame(frame: dict[str, Any]) -> dict[str, Any]:
    """A frame with the parts that are known: of others nobody knows what is to be taken out."""
    found = {
        part: frame[part] for part in ("function", "module", "line") if isinstance(frame.get(part), str | int)
    }
    return {**found, **{part: frame[part] for part in FRAME if isinstance(frame.get(part), dict)}}


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 3 and all(isinstance(part, str) for part in row)
