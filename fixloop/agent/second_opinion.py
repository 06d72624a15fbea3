"""What a model says of a triage: a summary, and whether it would look sooner. It can raise a lane and never lower one.

Its word on the lane counts only with a quotation that stands in what it was shown, character by character.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from fixloop.agent.desk import Desk
from fixloop.agent.roles import COMMON
from fixloop.agent.turns import Talk, converse
from fixloop.investigate.telling import fenced
from store.event import Event, Value
from store.incident import Lane, Triage

ROLE = "triage"
_TURNS = 2
_FRAMES = 40
_LINES = 30
_SUMMARY, _WHY, _QUOTE = 1200, 400, 400  # characters that are kept
_RANK = {Lane.NOISE: 0, Lane.BACKLOG: 1, Lane.FOCUS: 2}
SYSTEM = (
    f"{COMMON}\n\n"
    "You give a second opinion on the triage of one incident. Rules have put it into a lane: `focus` (somebody "
    "should look today), `backlog` (real, can wait) or `noise` (no code of the team failed). "
    "`summary`: what failed, where and "
    "for whom, in at most four sentences for an engineer who was just woken. `lane`: where you would put it. Say a "
    "higher lane than the rules' only if the evidence shows a failure that they overlook; a lower one is not taken. "
    "`because`: the one reason, in a sentence. `quotes`: the exact words of the evidence that show it."
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "lane": {"type": "string", "enum": [lane.value for lane in Lane]},
        "because": {"type": "string"},
        "quotes": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["summary", "lane", "because", "quotes"],
    "additionalProperties": False,
}


class _Answer(BaseModel):
    summary: str
    lane: Lane
    because: str = ""
    quotes: list[str] = []


class Opinion(Value):
    """`lane` is where the model would put it; `quotes` are those that stand in what it was shown."""

    summary: str
    lane: Lane
    because: str
    quotes: tuple[str, ...]

    def raises(self, lane: Lane) -> bool:
        """Whether it is a reason to look sooner than from this lane: higher, and with a quotation that holds."""
        return bool(self.quotes) and _RANK[self.lane] > _RANK[lane]


def opinion(desk: Desk, triage: Triage, event: Event) -> Opinion | None:
    """Ask for one; None where the answer is none. Raises BudgetSpent, Unavailable."""
    opening = "\n\n".join(_told(triage, event))
    said = converse(desk, Talk(ROLE, SYSTEM, opening, schema=SCHEMA, turns=_TURNS))
    if said.stop != "answered":
        desk.said.append(f"no opinion of the model: {said.stop}")
        return None
    try:
        answer = _Answer.model_validate(json.loads(said.text))
    except (ValueError, ValidationError, RecursionError):
        desk.said.append("no opinion of the model: its answer is not of the form that was asked for")
        return None
    shown = desk.clean(opening)
    quotes = [quote for quote in answer.quotes[:6] if len(quote.strip()) >= 3]
    for quote in quotes:
        if quote not in shown:
            desk.refuse("citation", f"not in what was shown: {quote[:200]}")
    return Opinion(
        summary=answer.summary.strip()[:_SUMMARY], lane=answer.lane, because=answer.because.strip()[:_WHY],
        quotes=tuple(quote[:_QUOTE] for quote in quotes if quote in shown),
    )  # fmt: skip


def with_opinion(triage: Triage, said: Opinion) -> Triage:
    """The triage with the opinion among its facts, and in the higher of both lanes. The verdict stays the rules'."""
    facts = {**triage.facts, "opinion": said.model_dump(mode="json")}
    if not said.raises(triage.lane):
        return triage.model_copy(update={"facts": facts})
    why = f"a model's second opinion raised it from {triage.lane.value}, where it was because: {triage.why}"
    return triage.model_copy(update={"facts": facts, "lane": said.lane, "why": why})


def question(triage: Triage, group: str) -> str:
    """A digest of what decides whether it is worth asking again: group, verdict and phase; not the counts."""
    told = (group, triage.verdict.kind.value, triage.lane.value, str(triage.facts.get("phase")))
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]


def _told(triage: Triage, event: Event) -> Iterator[str]:
    verdict = triage.verdict
    yield (
        f"The rules: lane {triage.lane.value}, cause {verdict.kind.value}, score {verdict.score:g} "
        f"(set aside below {verdict.threshold:g}). Platform {event.platform}, level {event.level}."
    )
    yield fenced("the rules' reasons", "\n".join([triage.why, *verdict.reasons]))
    errors = [
        f"{error.type}: {error.value[:2000]} (handled: {error.handled})" for error in event.exceptions[-4:]
    ]
    yield fenced("what was reported (the last was raised last)", "\n".join(errors) or event.message or "")
    frames = event.exception.frames[-_FRAMES:] if event.exception else ()
    yield fenced("stack, innermost last", "\n".join(
        f"{frame.abs_path or frame.filename or frame.module}:{frame.lineno} in {frame.function}"
        f"{'' if frame.in_app else ' [library]'}  {(frame.context_line or '').strip()[:200]}"
        for frame in frames
    ))  # fmt: skip
    if event.request is not None:
        yield fenced("request", f"{event.request.method or ''} {event.request.url}"[:1000])
    crumbs = [f"{crumb.category or ''} {crumb.message or ''}"[:300] for crumb in event.breadcrumbs[-_LINES:]]
    if crumbs:
        yield fenced("before it", "\n".join(crumbs))
    yield fenced("what is known", json.dumps(_facts(triage.facts), ensure_ascii=False, default=str)[:8000])
    yield "Give the summary and your opinion."


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sorted(facts.items()) if name not in {"opinion", "standing"}}
