"""What the reading tools answer. Blocking; nothing here writes. Text that came over the wire is quoted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from server import evidence
from server.checkout import checkout_words
from server.conclusion import change_words, fix_words, judged_words, next_step, reproducer_words
from server.incident_view import IncidentView, incident_view
from server.lookup import NO_INCIDENT, incident_by_id, projects_wanted, view_of
from server.markdown import DEFAULT, incident_markdown
from server.moments import since_moment
from server.quoting import Quoter, size, wrapped
from store import queries
from store.errors import BadPayload, NotFound
from store.incident import Incident, Lane, Status
from store.repair import Attempt

if TYPE_CHECKING:
    from server.house import House

MOST_ROWS = 50
_UNSETTLED = (Status.OPEN, Status.REGRESSED)


# --- the list -------------------------------------------------------------------------------------


def list_incidents(
    house: House,
    *,
    lane: str = "focus",
    project: str | None = None,
    repo: str | None = None,
    service: str | None = None,
    since: str | None = None,
    query: str | None = None,
    cursor: str | None = None,
    limit: int = 10,
) -> dict[str, Any]:
    """A page of the list. Raises NotFound for an unknown project or cursor, BadPayload for a bad time."""
    quoter = Quoter()
    limit = max(1, min(limit, MOST_ROWS))
    try:
        wanted = projects_wanted(house, project)
        found = queries.incidents(
            house.database, lane=None if lane == "all" else Lane(lane), project=wanted,
            repo=repo or None, service=service or None, since=_moment(since) if since else None,
            query=query or None, status=_UNSETTLED, limit=limit + 1, after=cursor or None,
        )  # fmt: skip
        counts = queries.lane_counts(house.database, wanted, status=_UNSETTLED)
    except NotFound as error:
        raise NotFound(
            "There is no such project, or the cursor is not from an answer of list_incidents."
        ) from error
    rows = [_row(house, incident, quoter) for incident in found[:limit]]
    answer: dict[str, Any] = {
        "note": quoter.legend,
        "incidents": rows,
        "open": {each.value: number for each, number in counts.items()},
    }
    if len(found) > limit:
        answer["next_cursor"] = found[limit - 1].id
    if not rows:
        answer["next"] = "Nothing here. lane=all shows every lane." if lane != "all" else "Nothing is open."
    return answer


def _row(house: House, incident: Incident, quoter: Quoter) -> dict[str, Any]:
    place, attempt = incident.location, queries.latest_attempt(house.database, incident.id)
    where = f"{place.repo}/{place.path}:{place.line}" if place else incident.culprit
    row = {
        "id": incident.id,
        "lane": incident.lane.value,
        "title": quoter.bare(incident.title, 90),
        "where": quoter.name(where, 60).strip("`"),
        "why": quoter.bare(incident.why, 50) if incident.why else None,
        "events": incident.event_count,
        "users": incident.user_count or None,
        "last_seen": f"{incident.last_seen:%Y-%m-%dT%H:%MZ}",
        "regressed": True if incident.status is Status.REGRESSED else None,
        "repair": _repair_state(attempt),
        "claimed_by": quoter.name(incident.claimed_by, 40).strip("`") if incident.claimed_by else None,
    }
    return {name: value for name, value in row.items() if value is not None}


def _repair_state(attempt: Attempt | None) -> str | None:
    if attempt is None:
        return None
    return attempt.ended.value if attempt.ended else "running"


def _moment(text: str) -> datetime:
    try:
        return since_moment(text)
    except BadPayload as error:
        raise BadPayload("`since` is a time (2026-11-20T10:00Z) or an age (30m, 24h, 7d, 2w).") from error


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
    """A page of raw evidence, whole lines only; the cursor is the number of the first line. Raises NotFound,
    BadPayload."""
    view = incident_view(house, incident_by_id(house, ref))
    if kind not in evidence.KINDS:
        raise BadPayload(f"There is no evidence of that kind; there are {', '.join(evidence.KINDS)}.")
    lines = wrapped(evidence.KINDS[kind](view))
    start = _line(cursor, len(lines))
    quoter = Quoter()
    head = f"# {view.incident.id}: {kind}\n{quoter.legend}\n"
    if not lines:
        there = [name for name, lines_of in evidence.KINDS.items() if any(True for _ in lines_of(view))]
        return f"{head}\nNothing of this kind is kept. There is: {', '.join(there) or 'nothing at all'}.\n"
    block = quoter.block(kind, lines[start:], DEFAULT - size(head) - 200)
    end = start + block.shown
    told = f"Lines {start + 1:,} to {end:,} of {len(lines):,}."
    if end < len(lines):
        told += f' Go on: get_evidence("{view.incident.id}", "{kind}", cursor="{end}")'
    return f"{head}\n{block.text}\n\n{told}\n"


def _line(cursor: str | None, total: int) -> int:
    if not cursor:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 9 or int(cursor) >= max(total, 1):
        raise BadPayload(
            "This cursor is not from an answer of get_evidence; leave it out to begin at the start."
        )
    return int(cursor)


def get_causes(house: House, ref: str) -> str:
    """The candidate changes, the ones that runs point at first. Raises NotFound."""
    view, quoter = incident_view(house, incident_by_id(house, ref)), Quoter()
    changes = view.attempt.changes if view.attempt else ()
    if not changes:
        return _nothing_yet(view, "No candidate change is known")
    parts = []
    for number, change in enumerate(changes, 1):
        reasons = (
            f"\n   why ranked: {quoter.inline('; '.join(change.reasons), 200)}" if change.reasons else ""
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
            parts.append(quoter.block("steps so far", lines, 4000).text)
        for patch, judged in attempt.rejected[:4]:
            parts.append(f"Turned down: {quoter.name(patch.fixer)}: {judged_words(judged, quoter)}")
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
    found = queries.incidents(house.database, project=house.only, status=_UNSETTLED, limit=500)
    return [
        incident.id
        for incident in found
        if incident.id.startswith(wanted) or incident.id[4:].startswith(wanted)
    ]


def resource(house: House, incident_id: str) -> str:
    """The text behind `incident://INC-n`. Raises NotFound."""
    if len(incident_id) > 20:
        raise NotFound(NO_INCIDENT)
    return incident_markdown(incident_view(house, incident_by_id(house, incident_id)))
