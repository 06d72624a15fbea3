"""How an alert behaves: how far over, how often, whether it went away by itself, against which baseline.

An alert is a message with `contexts["alert"]`; its fields have the names that alerting systems use. What is
not known is left out: no behaviour, no feature.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from store.event import Event

CONTEXT = "alert"
_ROUTINE = re.compile(
    r"(?i)\b(?:rotat\w+|compact\w+|drain(?:ed|ing)?|warm(?:ing|ed)?[ -]?up|roll(?:out|ing)|scheduled|maintenance"
    r"|backfill\w*|replay\w*|rebalanc\w+|retr(?:y|ied) (?:ok|green|succe\w+)|recovered|steady|soft limit|approaching"
    r"|brief\w*|transient|canary|synthetic|staging|sandbox|dry[ -]run|preload|housekeeping|nightly|cleanup|returns? to"
    r"|validated|then healthy|no real traffic|informational|resiz\w+|cutover|failover|migrat\w+|eviction sweep)\b"
)
_GRAVE = re.compile(
    r"(?i)\b(?:panic|crash\w*|exhaust\w+|corrupt\w*|dead ?lock\w*|data loss|lost|unbounded|fatal|segfault|oom\w*"
    r"|out of memory|no space|nil pointer|null ?pointer|unhandled|stalled|stuck|reject\w+|refused|declined|denied"
    r"|unhealthy|split[ -]brain|falling behind|growing|rising|climbing|trending|leak\w*|backlog|not ?ready|cannot"
    r"|fail(?:ed|ing|ure)s?|5\d\d|timed? ?out|timeouts?|breach\w*|expired|down|unavailable)\b"
)
_REHEARSAL = re.compile(
    r"(?i)(?:^|[\W_])(?:staging|stage|dev|test|qa|sandbox|ci|synthetic|canary)(?:$|[\W_])"
)
WAYS = {
    "rise": 1, "over": 1, "severity": 1, "grave words": 1, "deploy nearby": 1, "new pattern": 1,
    "no rise": -1, "barely over": -1, "near normal in every way": -1, "routine words": -1, "not production": -1,
    "fires again and again": -1, "went away by itself": -1, "went away within a minute": -1, "seen before": -1,
}  # which way a feature may count: known beforehand, and more than a few hundred alerts can teach  # fmt: skip
_BARELY = math.log(1.1)
_MUCH = 2.0  # of the rise: a pattern that is seven times as frequent as usual cannot be more unusual
_SEVERITY = {
    "sev0": 4, "p0": 4, "critical": 4, "sev1": 4, "p1": 4, "fatal": 4, "page": 4,
    "sev2": 3, "p2": 3, "error": 3, "high": 3, "major": 3,
    "sev3": 2, "p3": 2, "warning": 2, "medium": 2, "minor": 2,
    "sev4": 1, "p4": 1, "sev5": 1, "p5": 1, "info": 1, "low": 1, "none": 1,
}  # fmt: skip


def is_alert(event: Event) -> bool:
    """Whether a monitor's rule reported it, and not a program."""
    return isinstance(event.contexts.get(CONTEXT), dict)


@dataclass(frozen=True)
class Past:
    """What the same alert did before."""

    count: int = 0
    farthest: float = 0.0  # over its threshold, as `distance` has it

    def after(self, event: Event) -> Past:
        """The past once this event belongs to it."""
        return Past(self.count + 1, max(self.farthest, distance(_merged(event)) or 0.0))


NO_PAST = Past()


def past_of(events: Iterable[Event]) -> Past:
    """The past that these earlier events make."""
    past = NO_PAST
    for event in events:
        past = past.after(event)
    return past


def behaviour(event: Event, past: Past) -> dict[str, float]:
    """The features of an alert."""
    merged = _merged(event)
    found = {**_size(merged), **_course(merged), **_wording(event, merged)}
    if past.count:
        found["seen before"] = 1.0
    if found.get("no rise") and found.get("barely over"):
        found["near normal in every way"] = 1.0
    return {name: value for name, value in found.items() if value}


def escalates(event: Event, past: Past) -> bool:
    """Whether an alert that has come before is farther over its threshold than it ever was: habit is no
    reason to let it wait."""
    return past.count > 0 and (distance(_merged(event)) or 0.0) > past.farthest + _BARELY


def distance(sent: Mapping[str, Any]) -> float | None:
    """How far a value is from its threshold, as the logarithm of their ratio. None where one is not known."""
    value, limit = _number(sent, "value"), _number(sent, "threshold")
    if value is None or limit is None or value <= 0 or limit <= 0:
        return None
    return abs(math.log(value / limit))


def _merged(event: Event) -> dict[str, Any]:
    """The alert's own fields, and those of the pattern of log lines that it goes with."""
    sent = event.contexts.get(CONTEXT)
    if not isinstance(sent, dict):
        return {}
    pattern = sent.get("pattern")
    return {**pattern, **sent} if isinstance(pattern, dict) else dict(sent)


def _size(sent: Mapping[str, Any]) -> dict[str, float]:
    """How far from what is normal."""
    found: dict[str, float] = {}
    over = distance(sent)
    if over is not None:
        found["over"] = min(over, 3.0)
        found["barely over"] = float(over < _BARELY)
    rise = _number(sent, "delta_vs_baseline_pct")
    if rise is not None:
        found["rise"] = min(math.log1p(max(rise, 0.0) / 100), _MUCH)
        found["no rise"] = float(rise <= 10)
    severity = _SEVERITY.get(str(sent.get("severity", "")).lower().replace("-", ""))
    if severity is not None:
        found["severity"] = severity / 4
    return found


def _course(sent: Mapping[str, Any]) -> dict[str, float]:
    """What happened before and after."""
    found: dict[str, float] = {}
    fired = _number(sent, "fired_count_last_1h")
    if fired is not None:
        found["fires again and again"] = min(math.log1p(max(fired - 1, 0.0)), 3.0)
    if "auto_resolved_after_s" in sent:
        after = _number(sent, "auto_resolved_after_s")
        found["went away by itself"] = float(after is not None)
        found["went away within a minute"] = float(after is not None and after <= 60)
    if sent.get("recent_deploy"):
        found["deploy nearby"] = 1.0
    first, fired_at = _time(sent.get("first_seen")), _time(sent.get("fired_at"))
    if first is not None and fired_at is not None:
        age = (fired_at - first).total_seconds()
        found["new pattern"] = float(0 <= age <= 900)
    return found


def _wording(event: Event, sent: Mapping[str, Any]) -> dict[str, float]:
    text = " ".join(str(part) for part in (event.message or "", sent.get("signature") or ""))
    where = " ".join(str(part) for part in (event.environment, event.service, sent.get("service")) if part)
    found = {
        "routine words": min(float(len(set(_ROUTINE.findall(text.lower())))), 2.0),
        "grave words": min(float(len(set(_GRAVE.findall(text.lower())))), 2.0),
        "not production": float(_REHEARSAL.search(where) is not None),
    }
    return {name: value for name, value in found.items() if value}


def _number(sent: Mapping[str, Any], name: str) -> float | None:
    value = sent.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _time(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else None
