"""What the writing tools do. Blocking. An assistant proposes and the judge decides; a person's acts stay a
person's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from server import detached, repairs
from server.lookup import incident_by_id
from server.quoting import Quoter, visible
from store import journal, queries
from store.errors import BadPayload, NotAllowed, NotFound, OverLimit
from store.incident import Lane, Status, Step
from store.repair import DraftPullRequest, Validation, ValidationVerdict

if TYPE_CHECKING:
    from server.house import House

LARGEST_DIFF = 1_000_000  # characters
_NOTE = 2_000  # characters of a hypothesis or hint
_REASON = 500  # characters
_STATUSES = {"open": Status.OPEN, "resolved": Status.RESOLVED, "muted": Status.MUTED}
_LANES = {"noise": Lane.NOISE, "not_noise": Lane.BACKLOG}
STATES = ("claimed", "released", *_STATUSES, *_LANES)


def start_repair(house: House, ref: str, hypothesis: str | None, hint: str | None, by: str) -> dict[str, Any]:
    """Have the whole loop run by a worker, or name the run there is. Raises NotFound, NotAllowed."""
    incident = incident_by_id(house, ref)
    started = detached.start_repair(house, incident.id)
    if hypothesis or hint:
        journal.note_step(house.database, started.attempt_id, _remark(hypothesis, hint, by))
    return {
        "run": started.attempt_id,
        "started": started.fresh,
        "remark_kept": bool(hypothesis or hint),
        "next": f'get_fix("{incident.id}") shows how far it has come; it takes minutes and needs no client.',
    }


def _remark(hypothesis: str | None, hint: str | None, by: str) -> Step:
    given = {"hypothesis": hypothesis, "hint": hint}
    details = {name: visible(text[:_NOTE].replace("\n", " ")) for name, text in given.items() if text}
    said = f"{by} gave: {', '.join(details)}"
    return Step(name="remark", started_at=datetime.now(UTC), took=0.0, said=said, details=details)


def submit_patch(house: House, ref: str, diff: str, repo: str | None) -> dict[str, Any]:
    """Have a patch judged, and keep the verdict. Raises NotFound without a test to judge by, BadPayload."""
    incident = incident_by_id(house, ref)
    if len(diff) > LARGEST_DIFF:
        raise OverLimit(f"The patch is larger than {LARGEST_DIFF:,} characters.")
    if not any(attempt.reproducer for attempt in queries.attempts(house.database, incident.id)[-1:]):
        raise NotFound(
            f'{incident.id} has no test to judge a patch by. start_repair("{incident.id}") writes one.'
        )
    validation = repairs.judge_patch(house, incident.id, diff, repo or None, keep=True)
    return _verdict(incident.id, validation)


def _verdict(incident_id: str, validation: Validation) -> dict[str, Any]:
    quoter = Quoter()
    answer: dict[str, Any] = {
        "verdict": validation.verdict.value,
        "failing": quoter.name(validation.rule, 80).strip("`") if validation.rule else None,
        "said": quoter.bare(validation.said, 900) if validation.said else None,
        "oracle": validation.oracle.value,
        "fails_before": list(validation.fails_before),
        "passes_after": list(validation.passes_after),
        "hunks_necessary": list(validation.hunks_necessary),
        "mutants_killed": list(validation.mutants),
        "constraints": [quoter.bare(text, 160) for text in validation.constraints[:8]] or None,
        "note": quoter.legend,
        "next": _after_verdict(incident_id, validation.verdict),
    }
    return {name: value for name, value in answer.items() if value is not None}


def _after_verdict(incident_id: str, verdict: ValidationVerdict) -> str:
    if verdict is ValidationVerdict.PROVEN:
        return f'open_draft("{incident_id}")'
    if verdict is ValidationVerdict.WEAK:
        return "Only that the failure is gone is shown; a person decides on the incident's page."
    return "Change what `failing` and `said` name, and submit again; the test itself cannot be changed."


def open_draft(house: House, ref: str) -> dict[str, Any]:
    """Open the draft where the policy lets it open by itself; else say where a person opens it. Raises
    NotFound without a proven fix."""
    incident = incident_by_id(house, ref)
    attempt = queries.latest_attempt(house.database, incident.id)
    if attempt is None or attempt.proof is None:
        raise NotFound(
            f'{incident.id} has no proven fix. start_repair("{incident.id}") looks for one; '
            "submit_patch takes yours."
        )
    result = repairs.open_draft(house, incident.id)
    page = f"{house.config.address}/incidents/{incident.id}"
    if isinstance(result, str):
        return {"opened": [], "person_opens_it_at": page, "why": Quoter().bare(result, 400)}
    return {"opened": [_draft(draft) for draft in result], "page": page}


def _draft(draft: DraftPullRequest) -> dict[str, Any]:
    quoter = Quoter()
    names = {"repo": draft.repo, "branch": draft.branch, "url": draft.url, "state": draft.state}
    return {name: quoter.name(text).strip("`") for name, text in names.items() if text}


def set_state(house: House, ref: str, state: str, reason: str | None, by: str) -> dict[str, Any]:
    """Claim or release an incident, or say what became of it. Raises NotFound, NotAllowed where another has
    claimed it, BadPayload."""
    incident = incident_by_id(house, ref)
    why = visible((reason or "")[:_REASON].replace("\n", " "))
    if state == "claimed":
        if journal.claim(house.database, incident.id, by):
            raise NotAllowed(f"{incident.id} is claimed by somebody else; list_incidents shows what is free.")
    elif state == "released":
        if incident.claimed_by not in {None, by}:
            raise NotAllowed(f"{incident.id} is claimed by somebody else, who alone lets go of it.")
        journal.unclaim(house.database, incident.id, by)
    elif state in _STATUSES:
        journal.set_status(house.database, incident.id, _STATUSES[state], by, why)
    elif state in _LANES:
        journal.set_lane(house.database, incident.id, _LANES[state], by, why)
    else:
        raise BadPayload(f"There is no state of that name; there are {', '.join(STATES)}.")
    after = queries.incident(house.database, incident.id)
    answer = {
        "id": after.id,
        "status": after.status.value,
        "lane": after.lane.value,
        "claimed": after.claimed_by is not None,
    }
    return answer | ({"note": "It counts as a label once a person confirms it."} if state in _LANES else {})
