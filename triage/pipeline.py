"""One event to a verdict, step by step: locate → analyse → surroundings → classify → prioritise. Pure; the clock is
handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from store.event import Event
from store.incident import Step, Triage, Verdict
from triage import analyse as analysis
from triage import locate as location
from triage import prioritise as priority
from triage.fixability import fixability, no_repair
from triage.surroundings import Looked, look
from triage.title import culprit, title

if TYPE_CHECKING:
    from triage import Classifier, Sources


@dataclass
class _Desk:
    """What the steps leave for each other."""

    event: Event
    history: analysis.History
    sources: Sources
    classifier: Classifier
    located: location.Located = field(init=False)
    facts: analysis.Analysis = field(init=False)
    looked: Looked = field(init=False)
    verdict: Verdict = field(init=False)
    priority: priority.Priority = field(init=False)
    no_repair: str | None = None


def locate(desk: _Desk) -> str:
    """Where in the team's code it happened."""
    desk.located = location.locate(desk.event, desk.sources)
    best = desk.located.best
    if best is None:
        return "No frame is in a repository of the project."
    found = f"{best.repo}: {best.path}:{best.line} at {best.commit[:8]} ({best.method})"
    others = desk.located.alternatives
    if not others:
        return f"{found}."
    named = ", ".join(f"{other.repo}: {other.path}:{other.line}" for other in others)
    doubt = "Ambiguous" if best.confidence <= location.DOUBT else "Others are possible"
    return f"{found}. {doubt}: {named}."


def analyse(desk: _Desk) -> str:
    """What is known about it."""
    desk.facts = analysis.analyse(desk.event, desk.located, desk.history)
    said = {True: "handled", False: "unhandled", None: "not known to be handled"}[desk.facts.handled]
    own = f"{desk.facts.own_frames} of {desk.facts.frames} frames are own code"
    return f"{desk.facts.type or 'A message'}, {said}; {own}; raised in: {desk.facts.raised_in}."


def surroundings(desk: _Desk) -> str:
    """What is around it: in time, in the past, in what the team has written."""
    desk.looked = look(desk.event, desk.located.best, desk.history.around, desk.history.first_seen)
    desk.facts = analysis.with_surroundings(desk.facts, desk.looked)
    said = " ".join(desk.looked.said())
    return f"{desk.facts.phase.capitalize()}. {said or 'Nothing near it is known.'}"


def classify(desk: _Desk) -> str:
    """Signal or noise, and of which kind; a runbook of the team may name another kind, and sets nothing aside."""
    desk.verdict = desk.classifier.classify(desk.event, desk.facts)
    cause = desk.facts.team_cause
    if cause is not None and desk.verdict.signal and cause is not desk.verdict.kind:
        said = f"runbook: the team's {desk.looked.runbooks[0].runbook.path} names the cause"
        desk.verdict = desk.verdict.model_copy(
            update={"kind": cause, "reasons": (said, *desk.verdict.reasons)}
        )
    side = "signal" if desk.verdict.signal else "noise"
    return f"{side}, {desk.verdict.kind.value}, because of {'; '.join(desk.verdict.reasons)}."


def prioritise(desk: _Desk) -> str:
    """Which lane, and why."""
    fixable = fixability(desk.verdict, desk.facts, desk.located)
    desk.priority = priority.prioritise(desk.verdict, desk.facts, fixable.weight)
    desk.no_repair = no_repair(desk.verdict, desk.located)
    gate = f" Not repaired by itself: {desk.no_repair}." if desk.no_repair else ""
    return f"{desk.priority.lane.value}: {desk.priority.why}. To act on: {fixable.why}.{gate}"


STEPS = (locate, analyse, surroundings, classify, prioritise)


def triage(
    event: Event,
    history: analysis.History,
    sources: Sources,
    classifier: Classifier,
    clock: Callable[[], datetime],
) -> Triage:
    """Run the steps on a redacted event. The same inputs and clock give the same record, byte for byte."""
    desk = _Desk(event, history, sources, classifier)
    steps = []
    for step in STEPS:
        started = clock()
        said = step(desk)
        took = (clock() - started).total_seconds()
        steps.append(Step(name=step.__name__, started_at=started, took=took, said=said))
    return Triage(
        verdict=desk.verdict,
        lane=desk.priority.lane,
        priority=desk.priority.value,
        why=desk.priority.why,
        title=title(event),
        culprit=culprit(event, desk.located),
        location=desk.located.best,
        alternatives=desk.located.alternatives,
        facts={
            **desk.facts.facts(),
            **desk.looked.facts(),
            **({"no_repair": desk.no_repair} if desk.no_repair else {}),
        },
        steps=tuple(steps),
    )
