"""What is the same in every event of an incident, and what differs: one group may hold several bugs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from store.event import Event

_SHOWN = 3  # values of what varies
_VALUE = 80  # characters of one value


@dataclass(frozen=True)
class Variation:
    """What several events have in common: field to its one value; and what differs: field to its values, the first
    first, with the number of events in which it is absent."""

    of: int
    same: Mapping[str, str]
    varies: Mapping[str, tuple[Sequence[str], int]]


def variation(events: Sequence[Event]) -> Variation:
    """Compare these events, the most telling fields first."""
    facts = [dict(_facts(event)) for event in events]
    same: dict[str, str] = {}
    varies: dict[str, tuple[Sequence[str], int]] = {}
    for name in dict.fromkeys(name for each in facts for name in each):
        values = [each[name] for each in facts if name in each]
        distinct, absent = list(dict.fromkeys(values)), len(facts) - len(values)
        if len(distinct) == 1 and not absent:
            same[name] = distinct[0]
        else:
            varies[name] = (distinct, absent)
    return Variation(len(events), same, varies)


def variation_lines(events: Sequence[Event]) -> list[str]:
    """`same in all …` and `varies …` lines over these events, the most telling fields first."""
    if not events:
        return []
    if len(events) == 1:
        return ["one event only, so nothing can be compared"]
    found = variation(events)
    return [
        f"varies over {len(events)} events:",
        *([_varies(name, *values) for name, values in found.varies.items()] or ["  nothing"]),
        "the same in all:",
        *([f"  {name} = {value}" for name, value in found.same.items()] or ["  nothing"]),
    ]


def _varies(name: str, distinct: Sequence[str], absent: int) -> str:
    missing = f", absent in {absent}" if absent else ""
    more = f", … {len(distinct) - _SHOWN} more" if len(distinct) > _SHOWN else ""
    return f"  {name}: {len(distinct)} values{missing}: {'; '.join(distinct[:_SHOWN])}{more}"


def _facts(event: Event) -> Iterator[tuple[str, str]]:
    """What is compared, flat: name and short text."""
    raised = event.exception
    plain: dict[str, Any] = {
        "release": event.release, "environment": event.environment, "service": event.service,
        "server": event.server_name, "transaction": event.transaction, "level": event.level,
        "exception": raised.type if raised else None, "message": raised.value if raised else event.message,
        "user": event.user.get("id"),
    }  # fmt: skip
    if event.request:
        plain |= {
            "method": event.request.method,
            "url": event.request.url,
            "query": event.request.query_string,
        }
        plain |= _flat("body", event.request.data)
    plain |= _flat("tag", event.tags)
    own = [frame for frame in (raised.frames if raised else ()) if frame.in_app] or list(
        raised.frames if raised else ()
    )
    if own:
        plain |= _flat("local", own[-1].vars)
    runtime = event.contexts.get("runtime")
    plain |= _flat("runtime", runtime)
    for name, value in plain.items():
        if value not in (None, "", {}, []):
            yield name, _short(value)


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """The first level of a mapping under dotted names; nothing for anything else."""
    return {f"{prefix}.{name}": item for name, item in value.items()} if isinstance(value, Mapping) else {}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"
