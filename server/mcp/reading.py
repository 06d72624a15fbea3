"""What the reading tools answer. Blocking; nothing here writes. Text that came over the wire is quoted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from server.incidents import evidence
from server.incidents.checkout import checkout_words
from server.incidents.conclusion import change_words, fix_words, judged_words, next_step, reproducer_words
from server.incidents.lookup import NO_INCIDENT, incident_by_id, view_of
from server.incidents.markdown import DEFAULT, incident_markdown
from server.incidents.quoting import Quoter, size, wrapped
from server.incidents.view import IncidentView, incident_view
from server.mcp.cursors import FOREIGN, opened, sealed
from server.mcp.listing import UNSETTLED
from server.mcp.listing import list_incidents as list_incidents
from store import queries
from store.errors import BadPayload, NotFound
from store.event import Event
from store.incident import Lane

if TYPE_CHECKING:
    from server.house import House

_LISTED = 10  # incidents that are listed as resources
WHY = 1000  # characters of the reasons for each of the first three candidates; the others have a fifth


# --- one incident ---------------------------------------------------------------------------------


def get_incident(
    house: House, ref: str, sections: Sequence[str] = (), checkout_sha: str | None = None
) -> str:
    """One incident in words. Raises NotFound, BadPayload."""
    view = view_of(house, ref)
    if checkout_sha:
        told = checkout_words(house, view, checkout_sha)
        view = incident_view(house, view.incident, told) if view.kept else view
    return incident_markdown(view, sections)


def get_evidence(house: House, ref: str, kind: str, cursor: str | None = None) -> str:
    """A page of raw evidence, whole lines only. Raises NotFound, BadPayload."""
    view = incident_view(house, incident_by_id(house, ref))
    if kind not in evidence.KINDS:
        raise BadPayload(f"There is no evidence of that kind; there are {', '.join(evidence.KINDS)}.")
    view, start = _at(view, kind, cursor)
    lines = wrapped(evidence.KINDS[kind](view))
    quoter = Quoter()
    head = f"# {view.incident.id}: {kind}\n{quoter.legend}\n"
    if not lines:
        there = [name for name, lines_of in evidence.KINDS.items() if any(True for _ in lines_of(view))]
        return f"{head}\nNothing of this kind is kept. There is: {', '.join(there) or 'nothing at all'}.\n"
    if start >= len(lines):
        raise BadPayload(FOREIGN)
    source = evidence.WRITTEN_BY.get(kind, "event")
    block = quoter.block(kind, lines[start:], DEFAULT - size(head) - 240, source=source)
    end = start + block.shown
    told = f"Lines {start + 1:,} to {end:,} of {len(lines):,}."
    if end < len(lines):
        onward = sealed(f"{end}-{_pin(view.event)}", view.incident.id, kind)
        told += f' Go on: get_evidence("{view.incident.id}", "{kind}", cursor="{onward}")'
    return f"{head}\n{block.text}\n\n{told}\n"


def _pin(event: Event | None) -> str:
    """By what a cursor knows the event that it is in."""
    return hashlib.sha256(event.event_id.encode()).hexdigest()[:10] if event else ""


def _at(view: IncidentView, kind: str, cursor: str | None) -> tuple[IncidentView, int]:
    """The incident as it was when the cursor was given, and the line where the page begins. Newer events do not
    change what a reader is in the middle of. Raises BadPayload."""
    if not cursor:
        return view, 0
    line, _, pinned = opened(cursor, view.incident.id, kind).partition("-")
    places = [at for at, event in enumerate(view.events) if _pin(event) == pinned]
    if not line.isdigit() or (pinned and not places):
        raise BadPayload("The event that this cursor is in is not kept any more; leave the cursor out.")
    return (replace(view, events=view.events[places[0] :]) if places else view), int(line)


def get_causes(house: House, ref: str) -> str:
    """The candidate changes, the ones that runs point at first. Raises NotFound."""
    view, quoter = incident_view(house, incident_by_id(house, ref)), Quoter()
    changes = view.attempt.changes if view.attempt else ()
    if not changes:
        return _nothing_yet(view, "No candidate change is known")
    parts = []
    for number, change in enumerate(changes, 1):
        room = WHY if number <= 3 else WHY // 5
        reasons = (
            f"\n   why ranked: {quoter.inline('; '.join(change.reasons), room, source='run')}"
            if change.reasons
            else ""
        )
        exposed = (
            f"\n   first exposed {change.first_exposed_at:%Y-%m-%d %H:%M} UTC"
            if change.first_exposed_at
            else ""
        )
        parts.append(f"{number}. {change_words(change, quoter)} (score {change.score:.2f}){exposed}{reasons}")
        if change.hunks and number <= 3:
            parts.append(quoter.code("diff", change.hunks))
    return _bounded(
        f"# {view.incident.id}: changes that may have caused it\n{quoter.legend}\n", parts, "candidates"
    )


def get_reproducer(house: House, ref: str) -> str:
    """The failing test. Raises NotFound."""
    view, quoter = incident_view(house, incident_by_id(house, ref)), Quoter()
    test = view.attempt.reproducer if view.attempt else None
    if test is None:
        return _nothing_yet(view, "It is not reproduced")
    parts = [
        f"**Test:** {reproducer_words(test, quoter)}.",
        *_listed("Values that were guessed", test.guessed, quoter),
        *_listed("Values that were redacted in the event", test.redacted, quoter),
        "The file is written by Nightdesk; the values in it are from the event.\n"
        + quoter.code("python", test.source),
    ]
    return _bounded(f"# {view.incident.id}: the failing test\n{quoter.legend}\n", parts, "parts", most=60_000)


def get_fix(house: House, ref: str) -> str:
    """The proposed patch with the judge's word, or how far a repair under way has come. Raises NotFound."""
    view, quoter = incident_view(house, incident_by_id(house, ref)), Quoter()
    attempt = view.attempt
    if view.running or attempt is None or attempt.patch is None:
        return _nothing_yet(view, "No fix is proposed")
    parts = [f"**Fix:** {fix_words(attempt.patch, attempt.validation, quoter)}."]
    parts += _listed("It takes away", attempt.patch.loses, quoter)
    parts += _listed("It closes as well", attempt.closes, quoter)
    parts += _listed(
        "The same defect is left in",
        [str(each.recipe["target"]["qualname"]) for each in attempt.siblings],
        quoter,
    )
    if attempt.hypotheses:
        lines = list(evidence.hypothesis_lines(view))
        parts.append(quoter.block("why, with citations that were opened", lines, 2400, source="run").text)
    if attempt.validation and attempt.validation.constraints:
        parts += _listed("Constraints that were checked", attempt.validation.constraints, quoter)
    if attempt.proof:
        parts.append(f"Proof {quoter.name(attempt.proof.id)}.")
    for repo, diff in attempt.patch.diffs.items():
        base = attempt.patch.base_commits.get(repo, "")
        parts.append(f"In {quoter.name(repo)}, on {quoter.name(base[:12])}:\n{quoter.code('diff', diff)}")
    parts.append(f"**Next:** {next_step(view)}.")
    return _bounded(f"# {view.incident.id}: the fix\n{quoter.legend}\n", parts, "parts", most=60_000)


def _nothing_yet(view: IncidentView, said: str) -> str:
    """Why there is nothing, how far the repair has come, and what to do."""
    quoter, attempt = Quoter(), view.running or view.attempt
    parts = [f"# {view.incident.id}", f"{said}. **Next:** {next_step(view)}."]
    if attempt:
        how = "is under way" if attempt.ended is None else f"ended: {attempt.ended.value.replace('_', ' ')}"
        parts.append(f"Run {attempt.id} {how}. {quoter.legend}")
        lines = [f"{step.started_at:%H:%M:%S} {step.name}: {step.said}" for step in attempt.steps]
        if lines:
            parts.append(quoter.block("steps so far", lines, 4000, source="run").text)
        for patch, judged in attempt.rejected[:4]:
            parts.append(f"Turned down: {quoter.name(patch.by)}: {judged_words(judged, quoter)}")
    return "\n\n".join(parts) + "\n"


def _listed(label: str, texts: Sequence[str], quoter: Quoter) -> Iterator[str]:
    if texts:
        more = f" and {len(texts) - 8} more" if len(texts) > 8 else ""
        yield f"{label}: {', '.join(quoter.inline(text, 100) for text in texts[:8])}{more}."


def _bounded(head: str, parts: Sequence[str], word: str, *, most: int = DEFAULT) -> str:
    """Whole parts as long as they fit; the rest is counted."""
    kept, room = [head], most - size(head) - 120
    for number, part in enumerate(parts):
        room -= size(part) + 2
        if room < 0:
            kept.append(
                f"{len(parts) - number} more {word} had no room here; the page of the incident shows them."
            )
            break
        kept.append(part)
    return "\n\n".join(kept) + "\n"


# --- for prompts, resources, completion -----------------------------------------------------------


def incident_ids(house: House, beginning: str) -> list[str]:
    """The ids that begin like this, the most urgent first; for completion."""
    wanted = beginning.strip().upper()
    found = queries.incidents(house.database, project=house.only, status=UNSETTLED, limit=500)
    return [
        incident.id
        for incident in found
        if incident.id.startswith(wanted) or incident.id[4:].startswith(wanted)
    ]


def focus_resources(house: House) -> list[tuple[str, str]]:
    """What is in focus, most urgent first: the id, and how often it happened, in our words only."""
    found = queries.incidents(
        house.database, lane=Lane.FOCUS, project=house.only, status=UNSETTLED, limit=_LISTED
    )
    return [
        (each.id, f"{each.event_count:,} events, last {each.last_seen:%Y-%m-%d %H:%M} UTC") for each in found
    ]


def repair_steps(house: House, run: str) -> tuple[list[str], bool]:
    """The names of the steps of a run that have landed, and whether it has ended."""
    attempt = queries.attempt(house.database, run)
    if attempt is None:
        return [], True
    return [step.name for step in attempt.steps], attempt.ended is not None


def resource(house: House, incident_id: str) -> str:
    """The text behind `incident://INC-n`. Raises NotFound."""
    if len(incident_id) > 20:
        raise NotFound(NO_INCIDENT)
    return incident_markdown(incident_view(house, incident_by_id(house, incident_id)))
