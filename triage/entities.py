"""What an event is about: the order, the user, the document that its request, tags and variables name by an id; and the
hosts and files that its text speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from store.event import Event

MOST = 40  # entities of one event
_NAMED = re.compile(r"(?i)^(?P<of>[a-z][\w.-]*?)[_.-]?(?:id|uuid|key|number|no|sku|ref|slug)$")
_BARE = re.compile(r"(?i)^(?:id|uuid|pk|sku|slug)$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_IN_PATH = re.compile(r"^(?:\d{1,20}|[0-9a-fA-F-]{8,64}|(?!v\d+$)(?=[\w-]*\d)[\w-]{3,64})$")
_NOTHING = frozenset({"", "0", "-1", "none", "null", "nil", "true", "false", "undefined", "…"})
_OBJECTS = re.compile(
    r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b|\b[a-zA-Z][\w-]*(?:\.[\w-]+)*:\d{2,5}\b"
    r"|\b[a-z][\w-]*(?:\.[a-z][\w-]*)+\.(?:internal|local|svc|com|net|org|io|dev)\b|(?<![\w.:/])/(?:[\w.-]+/){1,8}[\w.-]+"
)
_TEXT = 4000  # characters of text in which objects are looked for


def entities(event: Event) -> dict[str, str]:
    """Name to value of what the event names by an id: `order` -> `42`. The first value of a name counts."""
    found: dict[str, str] = {}
    for name, value in _told(event):
        plain = _plain(value)
        if plain is not None and len(found) < MOST:
            found.setdefault(name, plain)
    return found


def shared(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """What two events have in common, as `order=42`."""
    return tuple(f"{name}={value}" for name, value in one.items() if other.get(name) == value)


def objects(event: Event) -> frozenset[str]:
    """Hosts with ports, addresses and files that the event's own text speaks of."""
    said = [event.message or "", *(raised.value for raised in event.exceptions)]
    return frozenset(_OBJECTS.findall("\n".join(said)[:_TEXT]))


def _told(event: Event) -> Iterator[tuple[str, Any]]:
    if event.trace_id:
        yield "trace", event.trace_id
    for kind in ("id", "email", "username"):
        if event.user.get(kind) not in (None, ""):
            yield "user", event.user[kind]
            break
    if event.request:
        yield from _of_address(event.request.url)
        yield from _of_mapping(dict(parse_qsl(event.request.query_string[:2048])))
        yield from _of_mapping(event.request.data)
    yield from _of_mapping(event.tags)
    raised = event.exception
    for frame in reversed(raised.frames if raised else ()):
        if frame.in_app:
            yield from _of_mapping(frame.vars)


def _of_address(url: str) -> Iterator[tuple[str, str]]:
    """`/orders/42/pay` speaks of order 42."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    steps = [step for step in parts.path.split("/") if step]
    for before, step in pairwise(steps):
        if _IN_PATH.match(step) and not _IN_PATH.match(before):
            yield _kind(before), step
    yield from _of_mapping(dict(parse_qsl(parts.query[:2048])))


def _of_mapping(values: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(values, Mapping):
        return
    for name, value in values.items():
        spoken = _CAMEL.sub("_", str(name))
        if named := _NAMED.match(spoken):
            yield _kind(named["of"]), value
        elif _BARE.match(spoken):
            yield "id", value


def _kind(word: str) -> str:
    """`orders`, `Order` and `order` are one kind."""
    plain = re.sub(r"[^a-z0-9]", "", word.lower())
    return plain.removesuffix("s") if len(plain) > 3 and not plain.endswith("ss") else plain


def _plain(value: Any) -> str | None:
    """The value as text, without the quotes of a repr; None for what is no id."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    if len(text) > 2 and text[0] in "'\"" and text[-1] == text[0]:
        text = text[1:-1]
    return text if len(text) <= 80 and text.lower() not in _NOTHING and "\n" not in text else None
