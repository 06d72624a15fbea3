"""The framing of a Sentry envelope: a header line, then items of a header line and a payload each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from msgspec import MsgspecError
from msgspec.json import Decoder

from store.errors import BadPayload
from triage.formats.shapes import read_json

ITEM_LIMIT = 1000  # items of one envelope
_DECODER = Decoder()


@dataclass(frozen=True)
class Item:
    """One item: its header and its payload, undecoded."""

    header: dict[str, Any]
    payload: bytes

    @property
    def type(self) -> str:
        """The item type ("event", "transaction", …); "" where the header names none."""
        return str(self.header.get("type", ""))[:40]


@dataclass(frozen=True)
class Envelope:
    """An envelope taken apart; nothing in it is interpreted."""

    header: dict[str, Any]
    items: tuple[Item, ...]


def read_envelope(body: bytes) -> Envelope:
    """Take an envelope apart. An item without `length` goes to the end of its line (Node sends these).

    Raises BadPayload where a header is not JSON, or an item is shorter than it says."""
    line, at = _line(body, 0)
    header = _header(line, "envelope header")
    items: list[Item] = []
    while at < len(body):
        line, at = _line(body, at)
        if not line.strip():
            continue
        if len(items) == ITEM_LIMIT:
            raise BadPayload(f"The envelope has more than {ITEM_LIMIT} items.")
        item = _header(line, f"header of envelope item {len(items) + 1}")
        payload, at = _payload(body, at, item, len(items) + 1)
        items.append(Item(item, payload))
    return Envelope(header, tuple(items))


def _payload(body: bytes, at: int, header: dict[str, Any], number: int) -> tuple[bytes, int]:
    length = header.get("length")
    if length is None:
        return _line(body, at)
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise BadPayload(f"The length of envelope item {number} is not a number of bytes.")
    if at + length > len(body):
        raise BadPayload(
            f"Envelope item {number} is cut off: {length} bytes announced, {len(body) - at} sent."
        )
    end = at + length
    if body[end : end + 2] == b"\r\n":
        return body[at:end], end + 2
    if end < len(body) and body[end : end + 1] != b"\n":
        raise BadPayload(f"Envelope item {number} is longer than it says.")
    return body[at:end], end + 1


def _line(body: bytes, at: int) -> tuple[bytes, int]:
    end = body.find(b"\n", at)
    return (body[at:], len(body)) if end < 0 else (body[at:end], end + 1)


def _header(line: bytes, what: str) -> dict[str, Any]:
    try:
        found = _DECODER.decode(line)
    except (MsgspecError, ValueError, RecursionError):
        found = read_json(line, what)  # Python's reader takes more, and says what is wrong
    if not isinstance(found, dict):
        raise BadPayload(f"The {what} is not a JSON object.")
    return found
