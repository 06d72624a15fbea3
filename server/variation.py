"""What is the same in every event of an incident, and what differs: one group may hold several bugs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from store.event import Event

_SHOWN = 3  # values of what varies
_VALUE = 80  # characters of one value


def variation_lines(events: Sequence[Event]) -> list[str]:
    """`same in all …` and `varies …` lines over these events, the most telling fields first."""
    if not events:
        return []
    facts = [dict(_facts(event)) for event in events]
    names = list(dict.fromkeys(name for each in facts for name in each))
    same, varies = [], []
    for name in names:
        values = [each[name] for each in facts if name in each]
        distinct = list(dict.fromkeys(values))
        absent = f", absent in {len(facts) - len(values)}" if len(values) < len(facts) else ""
        if len(distinct) == 1 and not absent:
            same.append(f"  {name} = {distinct[0]}")
        else:
            more = f", … {len(distinct) - _SHOWN} more" if len(distinct) > _SHOWN else ""
            varies.append(f"  {name}: {len(distinct)} values{absent}: {'; '.join(distinct[:_SHOWN])}{more}")
    if len(events) == 1:
        return ["one event only, so nothing can be compared"]
    return [
        f"varies over {len(events)} events:",
        *(varies or ["  nothing"]),
        "the same in all:",
        *(same or ["  nothing"]),
    ]


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
