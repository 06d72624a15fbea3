"""The raw evidence of an incident by kind, as plain lines that are still to be quoted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from server.incidents.capsules import capsule_lines
from server.incidents.quoting import Source
from server.incidents.variation import variation_lines
from server.incidents.view import IncidentView
from store.event import Event, ExceptionValue, Frame
from store.incident import Step
from store.repair import Evidence, Submission

REMARK = "remark"  # the step in which whoever started a repair says what they think
_SPAN = ("op", "description", "status", "trace_id", "span_id", "parent_span_id", "origin")
_CALLS = frozenset({"http", "httplib", "fetch", "xhr", "query", "db", "redis", "grpc", "subprocess", "queue"})
SHOWN = 4096  # characters of a value; the event keeps more than a reader wants
_SOURCE = 2  # source lines shown before and after the line that ran


def stack_lines(event: Event, *, local: int = 0, deep: int | None = None) -> Iterator[str]:
    """The exceptions, the one raised last first, each with its frames, innermost first; library frames in
    runs.

    The `deep` innermost own frames (None: all) come with source and up to `local` of their variables."""
    if not event.exceptions:
        yield event.message or "The event has no exception and no message."
    for exception in reversed(event.exceptions):
        chained = f" ({exception.chained})" if exception.chained else ""
        yield f"{exception.type}: {exception.value}{chained}"
        own_seen = 0
        for own, run in _folded(exception):
            if not own and deep is not None:
                yield f"  … {len(run)} library frames"
                continue
            for frame, times in _repeats(run):
                own_seen += own
                detailed = deep is None or own_seen <= deep
                yield from _frame_lines(frame, times, source=detailed, local=local if detailed and own else 0)


def local_lines(event: Event) -> Iterator[str]:
    """Every variable of every frame, innermost frame first."""
    for exception in reversed(event.exceptions):
        yield f"{exception.type}: {exception.value}"
        for frame in reversed(exception.frames):
            if frame.vars:
                yield _head(frame)
                yield from (f"    {name} = {_text(value)}" for name, value in frame.vars.items())


def request_lines(view: IncidentView) -> Iterator[str]:
    """The request that was being served, and what the access log says of it."""
    for one in view.served:
        yield f"access log ({one.because}), {one.at:%H:%M:%S}: {one.line.words}"
    request = view.event.request if view.event else None
    if request is None:
        return
    query = f"?{request.query_string}" if request.query_string and "?" not in request.url else ""
    yield f"{request.method} {request.url}{query}"
    if request.data not in (None, "", {}, []):
        yield f"body: {_text(request.data)}"
    for part in ("headers", "cookies", "env"):
        yield from (
            f"{part[:-1] if part != 'env' else part} {name}: {value}"
            for name, value in getattr(request, part).items()
        )


def breadcrumb_lines(event: Event) -> Iterator[str]:
    """What was logged before, the newest first."""
    for crumb in reversed(event.breadcrumbs):
        at = f"{crumb.timestamp:%H:%M:%S.%f}"[:-3] if crumb.timestamp else "-"
        more = f" {_text(crumb.data)}" if crumb.data else ""
        yield f"{at} {crumb.category or ''} {crumb.level or ''}: {crumb.message or ''}{more}"


def path_lines(view: IncidentView) -> Iterator[str]:
    """How the newest event came about: the span it happened in, what was called and logged on the way there,
    and what the same user had met in the hour before."""
    event = view.event
    if event is None:
        return
    span = event.contexts.get("trace")
    if isinstance(span, Mapping):
        named = {name: span[name] for name in _SPAN if span.get(name) not in (None, "", {})}
        yield "span: " + ", ".join(f"{name} {_text(value)}" for name, value in named.items())
    if event.transaction:
        yield f"transaction: {event.transaction}"
    for met in view.before:
        yield f"{met.at:%H:%M:%S} the same user: {met.transaction or '-'} {met.incident_id} {met.title}"
    for crumb in reversed(event.breadcrumbs):
        if (crumb.category or "") in _CALLS:
            at = f"{crumb.timestamp:%H:%M:%S}" if crumb.timestamp else "-"
            yield f"{at} {crumb.category}: {crumb.message or ''} {_text(crumb.data) if crumb.data else ''}".rstrip()


def investigation_lines(view: IncidentView) -> Iterator[str]:
    """Every repair that was tried with what came of it, what was handed in and judged, and who did what."""
    known = [*view.earlier, *(each for each in (view.attempt, view.running) if each)]
    for attempt in {each.id: each for each in known}.values():
        ended = attempt.ended.value.replace("_", " ") if attempt.ended else "under way"
        yield f"{attempt.id} {attempt.started_at:%Y-%m-%d %H:%M} {ended}: {attempt.said}".rstrip(": ")
        yield from (f"    {step.said}" for step in attempt.steps if step.name == REMARK)
        for patch, judged in attempt.rejected:
            said = f"{judged.verdict.value} {judged.rule or ''}: {judged.said}"
            yield f"    {patch.by if patch.upgrade else patch.kind} patch of {', '.join(patch.files)}: {said}"
    for act in view.acts:
        why = f" ({act.reason})" if act.reason else ""
        yield f"{act.at:%Y-%m-%d %H:%M} {act.who} {act.what}: {_text(act.before)} → {_text(act.after)}{why}"


def context_lines(event: Event) -> Iterator[str]:
    """Tags, user, contexts and extra of the event, with what was redacted."""
    for part in ("tags", "user", "contexts", "extra"):
        yield from (f"{part}.{name} = {_text(value)}" for name, value in getattr(event, part).items())
    yield from (f"redacted {row.pointer}: {row.kind}" for row in event.redactions)


def event_lines(view: IncidentView) -> Iterator[str]:
    """The kept events, newest first: id, time, release, environment, message."""
    for event in view.events:
        said = event.exception.value if event.exception else event.message
        where = f"{event.release or '-'} {event.environment or '-'}"
        yield f"{event.event_id} {event.timestamp:%Y-%m-%d %H:%M:%S} {where} {said or ''}"


def step_lines(view: IncidentView) -> Iterator[str]:
    """What was done so far: triage, then the repair."""
    repairs = [attempt for attempt in (view.attempt, view.running) if attempt]
    steps: list[Step] = list(view.triage.steps) if view.triage else []
    for attempt in dict.fromkeys(attempt.id for attempt in repairs):
        steps += next(each.steps for each in repairs if each.id == attempt)
    for step in steps:
        yield f"{step.started_at:%H:%M:%S} {step.name} ({step.took:.1f} s): {step.said}"
        if step.details:
            yield f"    {_text(step.details)}"


def submission_lines(view: IncidentView) -> Iterator[str]:
    """Every patch that was handed in, the newest first: who by, how far it is, and the verdict."""
    for each in reversed(view.submissions):
        yield f"{each.id} {each.asked_at:%Y-%m-%d %H:%M:%S} by {each.by}: {submission_words(each)}"
        if each.asked is not None:
            yield f"    asked by {each.asked.who} in the review of {each.asked.repo}: {each.asked.text}"


def submission_words(each: Submission) -> str:
    """How far a patch that was handed in has come, in a few words."""
    if each.validation is None:
        return each.said or "it waits, or the judge is at it"
    judged = each.validation
    told = f"{judged.verdict.value}{f' ({judged.rule})' if judged.rule else ''}: {judged.said}"
    return f"{told}; {each.said}" if each.said else told


def hypothesis_lines(view: IncidentView) -> Iterator[str]:
    """Every hypothesis with its evidence, the refuted ones too."""
    for hypothesis in view.attempt.hypotheses if view.attempt else ():
        by = f", by {hypothesis.by}" if hypothesis.by != "runs" else ""
        yield f"{hypothesis.id} {hypothesis.status} ({hypothesis.kind}{by}): {hypothesis.statement}"
        for evidence in hypothesis.evidence:
            side = "for" if evidence.supports else "against"
            yield f"    {side} ({evidence.kind} {cited(evidence)}): {evidence.claim} {evidence.quote or ''}"
        if hypothesis.predicts:
            yield f"    predicts: {hypothesis.predicts}"
        if hypothesis.shown:
            yield f"    the runs showed: {hypothesis.shown}"
        yield from (f"    missing: {what}" for what in hypothesis.missing)


def cited(evidence: Evidence) -> str:
    """Where a citation can be looked up, in a few words."""
    if evidence.kind in {"code_line", "commit", "document"}:
        where = " ".join(filter(None, (evidence.repo, (evidence.commit or "")[:12], evidence.path)))
        return f"{where}:{evidence.line}" if evidence.line else where
    return evidence.pointer or evidence.span_id or evidence.run_id or "-"


def _of_event(lines: Callable[[Event], Iterator[str]]) -> Callable[[IncidentView], Iterator[str]]:
    return lambda view: lines(view.event) if view.event else iter(())


def surrounding_lines(view: IncidentView) -> Iterator[str]:
    """What the last triage found around the failure: near it, before it, like it, and how it runs."""
    facts = view.triage.facts if view.triage else {}
    for step in view.triage.steps if view.triage else ():
        if step.name == "surroundings":
            yield from (line for line in step.said.replace(". ", ".\n").split("\n") if line)
    for one in facts.get("near") or ():
        yield f"{one['apart_ms']:+.0f} ms {one['incident'] or 'log'}: {one['what']} ({', '.join(one['shared'])})"
    yield from (f"in its log: {pair}" for pair in facts.get("pairs") or ())
    yield from (
        f"lately also {one['kind']}: {one['value']}" for one in facts.get("spreads_to") or () if one["value"]
    )
    for one in facts.get("similar") or ():
        yield f"like {one['incident']} ({one['score']:.0%}) {one['title']}: {one['because']}"
    for episode in facts.get("episodes") or ():
        yield f"episode from {episode['start']}: {episode['seconds']:.0f} s, {episode['events']} events"
    if facts.get("no_repair"):
        yield f"not repaired by itself: {facts['no_repair']}"


def guidance_lines(view: IncidentView) -> Iterator[str]:
    """What the team has written: runbooks that are for this failure, what the service is, conventions, what CI runs."""
    facts = view.triage.facts if view.triage else {}
    for book in facts.get("runbooks") or ():
        yield f"runbook {book['repo']}/{book['path']} (for {book['because']}): {book['title']}"
        yield from (f"    {line}" for line in book["steps"])
    for guide in facts.get("guides") or ():
        for name in ("service", "conventions", "ci"):
            yield from (f"{guide['repo']} {name}: {line}" for line in guide[name])


KINDS: Mapping[str, Callable[[IncidentView], Iterator[str]]] = {
    "stack": _of_event(stack_lines),
    "locals": _of_event(local_lines),
    "path": path_lines,
    "request": request_lines,
    "capsule": _of_event(lambda event: capsule_lines(event.capsule)),
    "breadcrumbs": _of_event(breadcrumb_lines),
    "contexts": _of_event(context_lines),
    "variation": lambda view: iter(variation_lines(view.events)),
    "events": event_lines,
    "steps": step_lines,
    "hypotheses": hypothesis_lines,
    "investigations": investigation_lines,
    "submissions": submission_lines,
    "surroundings": surrounding_lines,
    "guidance": guidance_lines,
}
WRITTEN_BY: Mapping[str, Source] = {
    "steps": "run",
    "hypotheses": "run",
    "investigations": "run",
    "submissions": "run",
    "guidance": "repository",
}  # else the event


def _folded(exception: ExceptionValue) -> Iterator[tuple[bool, list[Frame]]]:
    """Frames innermost first, in runs of own and of library code; where none is own, the innermost counts as
    own."""
    frames = list(reversed(exception.frames))
    if any(frame.in_app for frame in frames):
        for own, run in groupby(frames, key=lambda frame: frame.in_app):
            yield own, list(run)
    elif frames:
        yield True, frames[:1]
        if frames[1:]:
            yield False, frames[1:]


def _repeats(frames: Sequence[Frame]) -> Iterator[tuple[Frame, int]]:
    """Frames with each run at one place kept once, and how long the run was: recursion in a line."""
    for _, run in groupby(frames, key=lambda frame: (frame.filename, frame.lineno, frame.function)):
        same = list(run)
        yield same[0], len(same)


def _frame_lines(frame: Frame, times: int, *, source: bool, local: int) -> Iterator[str]:
    yield _head(frame) + (f" ({times} times in a row)" if times > 1 else "")
    if source and frame.context_line is not None:
        yield from (f"      {line}" for line in frame.pre_context[-_SOURCE:])
        yield f"    > {frame.context_line}"
        yield from (f"      {line}" for line in frame.post_context[:_SOURCE])
    for name, value in list(frame.vars.items())[:local]:
        yield f"    {name} = {_text(value)}"
    if local and len(frame.vars) > local:
        yield f"    … {len(frame.vars) - local} more variables"


def _head(frame: Frame) -> str:
    path = frame.filename or frame.abs_path or frame.module or "?"
    return f"  {path}:{frame.lineno or '?'} in {frame.function or '?'}"


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
