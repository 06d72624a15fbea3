"""Focus, backlog or noise, in which order, and the one reason that lists show."""

from __future__ import annotations

import math
from dataclasses import dataclass

from store.incident import Kind, Lane, Verdict
from triage.analyse import Analysis

_QUIET = frozenset({"debug", "info", "log", "warning"})
_WAITS = {
    Kind.INFRASTRUCTURE: "infrastructure trouble: no code of the team is to blame",
    Kind.DEPENDENCY: "another service is to blame",
    Kind.CALLER: "what the caller gave is to blame",
}
_SPREADS = frozenset({Kind.INFRASTRUCTURE, Kind.DEPENDENCY})
_MANY_USERS = 20
_STORM = 100  # events an hour, and at least so many


@dataclass(frozen=True)
class Priority:
    """The place in the list: `value` sorts within a lane, higher first."""

    lane: Lane
    value: float
    why: str


def prioritise(verdict: Verdict, facts: Analysis, fixable: float = 1.0) -> Priority:
    """Noise stays apart with its reason; signal that someone must act on in code is focus; the rest can
    wait. Of two that weigh the same, the one that can be acted on (`fixable`, 0..1) comes first."""
    if not verdict.signal:
        return Priority(Lane.NOISE, round(verdict.score, 3), _sentence(verdict))
    lane, why = _lane(verdict, facts)
    if facts.critical:
        why = f"{why}, on a critical path ({facts.critical})"
    return Priority(lane, round(_value(verdict, facts) + 2 * fixable, 3), why)


def _lane(verdict: Verdict, facts: Analysis) -> tuple[Lane, str]:
    if verdict.kind in _SPREADS and spreads(facts):
        return Lane.FOCUS, f"{_WAITS[verdict.kind]}, but it spreads{_touching(facts)}"
    if verdict.kind in _WAITS and not facts.is_alert:
        return Lane.BACKLOG, _WAITS[verdict.kind]
    if verdict.score < verdict.focus_from:
        return Lane.BACKLOG, f"it can wait: {_sentence(verdict)}"
    if facts.is_alert:
        return Lane.FOCUS, f"an alert that does not look like routine: {_sentence(verdict)}"
    if not facts.type:
        return Lane.BACKLOG, "a logged message: nothing crashed"
    if facts.level in _QUIET:
        return Lane.BACKLOG, f"reported as {facts.level}"
    if facts.regressed:
        return Lane.FOCUS, "it was resolved and has come back"
    if verdict.kind is Kind.CONFIGURATION:
        return Lane.FOCUS, "a setting or module is missing"
    if (facts.http_status or 0) >= 500:
        return Lane.FOCUS, f"the request was answered with {facts.http_status}{_touching(facts)}"
    if not facts.handled:
        return Lane.FOCUS, f"unhandled {facts.type}{_touching(facts)}"
    if facts.programming and not facts.deliberate and facts.own_frames:
        return Lane.FOCUS, f"{facts.type} that nobody raised on purpose, caught and logged{_touching(facts)}"
    return Lane.BACKLOG, "it was caught: the work went on"


def spreads(facts: Analysis) -> bool:
    """Whether trouble that is nobody's code has become somebody's work: many users, a spike, a storm, or places that it
    had not reached before."""
    return (
        bool(facts.spreads_by)
        or facts.user_count >= _MANY_USERS
        or facts.spike is not None
        or (facts.event_count >= _STORM and facts.per_hour >= _STORM)
    )


def _value(verdict: Verdict, facts: Analysis) -> float:
    spread = math.log2(1 + max(facts.event_count, 1)) + 2 * math.log2(1 + max(facts.user_count, 0))
    bonus = (
        3.0 * facts.regressed
        + 3.0 * (facts.spike is not None)
        + 1.0 * facts.is_new
        + 1.0 * (not facts.handled)
        + 1.0 * (facts.level == "fatal")
        + 4.0 * (facts.critical is not None)
        + 2.0 * bool(facts.spreads_by)
    )
    return round(10 * verdict.score + spread + bonus, 3)


def _touching(facts: Analysis) -> str:
    if facts.spike is not None:
        return f": {facts.spike}"
    if facts.spreads_by:
        return f", now also {facts.spreads_by[0]}"
    if facts.user_count > 1:
        return f", {facts.user_count} users"
    return f", {facts.event_count} times" if facts.event_count > 1 else ""


def _sentence(verdict: Verdict) -> str:
    return verdict.reasons[0].partition(": ")[2] if verdict.reasons else "set aside"
