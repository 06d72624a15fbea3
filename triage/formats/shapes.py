"""Reading hostile JSON: every function takes anything and gives a bounded value of the wanted kind, or
None."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from store.errors import BadPayload

TEXT_LIMIT = 8192  # characters of a message
LOCAL_LIMIT = (
    1 << 18
)  # characters of one local variable's repr: what was parsed when it failed has to be whole
ITEM_LIMIT = 100  # entries of one container
DEPTH_LIMIT = 8  # nested containers
CUT = "…"


def read_json(body: bytes | str, what: str) -> Any:
    """Parse JSON; raises BadPayload with one sentence naming `what` when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPayload(f"The {what} is not JSON: {str(error)[:120]}.") from error


def text(value: Any, limit: int = TEXT_LIMIT) -> str | None:
    """A storable string of at most `limit` characters; None for None and for containers."""
    if value is None or isinstance(value, dict | list):
        return None
    return clean(value if isinstance(value, str) else str(value), limit)


def clean(value: str, limit: int = TEXT_LIMIT) -> str:
    """Without NUL and lone surrogates, which no database and no UTF-8 file takes; cut at `limit`."""
    if len(value) > limit:
        value = value[: limit - 1] + CUT
    if "\x00" in value:
        value = value.replace("\x00", "\ufffd")
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode("utf-8")
    return value


def integer(value: Any) -> int | None:
    """A non-negative 32-bit number, else None (a bool is no number here)."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 11:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 1 << 31 else None


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is a mapping; pairs (`[["k", "v"], …]` or `[{"key": …, "value": …}]`) are one too;
    else empty."""
    if isinstance(value, dict):
        return {clean(key, 200): item for key, item in value.items()}
    if not isinstance(value, list):
        return {}
    found: dict[str, Any] = {}
    for item in value:
        if isinstance(item, list) and len(item) == 2:
            found[clean(str(item[0]), 200)] = item[1]
        elif isinstance(item, dict) and "key" in item:
            found[clean(str(item["key"]), 200)] = item.get("value")
    return found


def values(value: Any) -> list[Any]:
    """The list inside Sentry's `{"values": […]}`, a bare list, or a single object as a list of one."""
    if isinstance(value, dict):
        value = value.get("values", [value])
    return value if isinstance(value, list) else []


def strings(value: Any, limit: int = ITEM_LIMIT) -> tuple[str, ...]:
    """A tuple of strings from a list of scalars; None entries become empty."""
    if not isinstance(value, list | tuple):
        return ()
    return tuple(
        [clean(item, 1024) if isinstance(item, str) else text(item, 1024) or "" for item in value[:limit]]
    )


def string_map(value: Any, limit: int = TEXT_LIMIT) -> dict[str, str]:
    """A flat mapping of strings; nested values are given as JSON text."""
    flat: dict[str, str] = {}
    for key, item in _first(mapping(value).items(), ITEM_LIMIT):
        flat[key] = clean(json.dumps(item) if isinstance(item, dict | list) else str(item), limit)
    return flat


def bounded(value: Any, limit: int = LOCAL_LIMIT, depth: int = DEPTH_LIMIT) -> Any:
    """The same JSON value with bounded strings, containers and nesting; what is cut ends in an ellipsis."""
    if isinstance(value, str):
        return clean(value, limit)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if depth == 0:
        return CUT
    if isinstance(value, dict):
        kept = value.items() if len(value) <= ITEM_LIMIT else _first(value.items(), ITEM_LIMIT)
        return {
            clean(key, 200): clean(item, limit) if isinstance(item, str) else bounded(item, limit, depth - 1)
            for key, item in kept
        }
    if isinstance(value, list | tuple):
        return [bounded(item, limit, depth - 1) for item in value[:ITEM_LIMIT]]
    return clean(str(value), limit)


def moment(value: Any, default: datetime) -> datetime:
    """A point in time from ISO text or epoch seconds; `default` where it is neither. Without a zone: UTC."""
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            read = datetime.fromisoformat(value.strip())
            return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return datetime.fromtimestamp(float(value), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return default


def _first(items: Iterable[tuple[Any, Any]], count: int) -> list[tuple[Any, Any]]:
    return [pair for pair, _ in zip(items, range(count), strict=False)]
