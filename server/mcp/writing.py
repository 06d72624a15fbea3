"""What the writing tools do. Blocking. An assistant proposes and the judge decides; a person's acts stay a
person's."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from server.incidents.evidence import REMARK
from server.incidents.lookup import event_of_trace, incident_by_id, known_incident
from server.incidents.quoting import Quoter, visible
from server.repairs import repairing
from server.work import detached
from store import journal, queries
from store.errors import BadPayload, NotAllowed, NotFound, OverLimit
from store.incident import Lane, Status, Step
from store.repair import Attempt, DraftPullRequest, Validation, ValidationVerdict

if TYPE_CHECKING:
    from server.house import House

LARGEST_DIFF = 1_000_000  # characters
_NOTE = 2_000  # characters of a hypothesis or hint
_REASON = 500  # characters
_STATUSES = {"open": Status.OPEN, "resolved": Status.RESOLVED, "muted": Status.MUTED}
_LANES = {"noise": Lane.NOISE, "not_noise": Lane.BACKLOG}
_LABELS = frozenset({"resolved", *_LANES})  # what is a label once a person confirms it
_HYPOTHESIS = re.compile(r"(?i)[A-Z]-?\d{1,4}")
STATES = ("claimed", "released", *_STATUSES, *_LANES)


def start_repair(house: House, ref: str, hypothesis: str | None, hint: str | None, by: str) -> dict[str, Any]:
    """Have the whole loop run by a worker, or name the run there is: the one under way, or, where nothing new is
    said, the one that ended with a proof. Raises NotFound, NotAllowed."""
    incident = incident_by_id(house, ref)
    last = queries.latest_attempt(house.database, incident.id)
    if last and last.proof and not (hypothesis or hint):
        return {
            "run": last.id,
            "started": False,
            "ended": "proven",
            "next": f'get_fix("{incident.id}"); a new run starts where a hypothesis or a hint is given.',
        }
    picked = _hypothesis(last, hypothesis)
    started = detached.start_repair(house, incident.id)
    if hypothesis or hint:
        journal.note_step(house.database, started.attempt_id, _remark(picked, hint, by))
    return {
        "run": started.attempt_id,
        "started": started.fresh,
        "remark_kept": bool(hypothesis or hint),
        "next": f'get_fix("{incident.id}") shows how far it has come; it takes minutes and needs no client.',
    }


def _hypothesis(last: Attempt | None, given: str | None) -> str | None:
    """What was given, or, for the id of a hypothesis of the run before, its statement. Raises NotFound for an id
    that no hypothesis has."""
    if given is None or not _HYPOTHESIS.fullmatch(given.strip()):
        return given
    known = {each.id.upper(): each for each in (last.hypotheses if last else ())}
    picked = known.get(given.strip().upper())
    if picked is None:
        raise NotFound(
            "There is no hypothesis of this id; get_evidence with kind hypotheses shows those there are."
        )
    return f"{picked.id}: {picked.statement}"


def _remark(hypothesis: str | None, hint: str | None, by: str) -> Step:
    """What was said of a run. The same said again is the same step."""
    given = {"hypothesis": hypothesis, "hint": hint}
    details = {name: visible(text[:_NOTE].replace("\n", " ")) for name, text in given.items() if text}
    said = f"{by} gave: {', '.join(details)}"
    told = hashlib.sha256(json.dumps([by, details]).encode()).hexdigest()[:16]
    return Step(
        name=REMARK, started_at=datetime.now(UTC), took=0.0, said=said, details={**details, "input": told}
    )


def submit_patch(house: House, ref: str, diff: str, repo: str | None, by: str) -> dict[str, Any]:
    """Have a patch judged by whoever works, and keep the verdict; it is kept from here on, whoever hangs up. Raises
    NotFound without a test to judge by, BadPayload."""
    incident = incident_by_id(house, ref)
    if len(diff) > LARGEST_DIFF:
        raise OverLimit(
            f"The patch is larger than {LARGEST_DIFF:,} characters: send only what puts the cause right."
        )
    if not diff.strip():
        raise BadPayload("The patch is empty: send a unified diff against the running release.")
    if not any(attempt.reproducer for attempt in queries.attempts(house.database, incident.id)[-1:]):
        raise NotFound(
            f'{incident.id} has no test to judge a patch by. start_repair("{incident.id}") writes one.'
        )
    if repo and repo not in {each.name for each in queries.repositories(house.database, incident.project)}:
        raise NotFound("There is no repository of this name in the project; leave `repo` out where one fits.")
    submission = detached.judged(house, incident.id, diff, repo or None, by)
    if submission.ended_at is None:
        return {
            "submission": submission.id,
            "verdict": "under way",
            "next": f'get_evidence("{incident.id}", "submissions") shows the verdict; the same patch finds it too.',
        }
    if submission.validation is None:
        raise BadPayload(submission.said)
    return {"submission": submission.id, **_verdict(incident.id, submission.validation)}


def _verdict(incident_id: str, validation: Validation) -> dict[str, Any]:
    quoter = Quoter()
    answer: dict[str, Any] = {
        "verdict": validation.verdict.value,
        "failing": quoter.name(validation.rule, 80).strip("`") if validation.rule else None,
        "said": quoter.bare(validation.said, 900, source="run") if validation.said else None,
        "oracle": validation.oracle.value,
        "fails_before": list(validation.fails_before),
        "passes_after": list(validation.passes_after),
        "hunks_necessary": list(validation.hunks_necessary),
        "mutants_killed": list(validation.mutants),
        "constraints": [quoter.bare(text, 160, source="run") for text in validation.constraints[:8]] or None,
        "lint": _lines(validation.lint, quoter),
        "types": _lines(validation.types, quoter),
        "note": quoter.legend,
        "next": _after_verdict(incident_id, validation.verdict),
    }
    return {name: value for name, value in answer.items() if value is not None}


def _lines(checked: dict[str, Any], quoter: Quoter) -> str | None:
    """What a linter or type checker said, where it was run and said something."""
    return quoter.bare(json.dumps(checked, ensure_ascii=False), 600, source="run") if checked else None


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
    result = repairing.open_draft(house, incident.id)
    page = f"{house.config.address}/incidents/{incident.id}"
    if isinstance(result, str):
        return {"opened": [], "person_opens_it_at": page, "why": Quoter().bare(result, 400, source="run")}
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
        label = state if state in _LABELS else None
        journal.set_status(house.database, incident.id, _STATUSES[state], by, why, proposes=label)
    elif state in _LANES:
        journal.set_lane(house.database, incident.id, _LANES[state], by, why, proposes=state)
    else:
        raise BadPayload(f"There is no state of that name; there are {', '.join(STATES)}, kept.")
    after = queries.incident(house.database, incident.id)
    answer: dict[str, Any] = {
        "id": after.id,
        "status": after.status.value,
        "lane": after.lane.value,
        "claimed": after.claimed_by is not None,
    }
    if state in _LABELS:
        answer["note"] = "It counts as a label once a person confirms it."
        answer["person_confirms_it_at"] = f"{house.config.address}/incidents/{after.id}"
    return answer


def keep_trace(house: House, trace: str, by: str) -> dict[str, Any]:
    """Keep a pasted trace as an event of the project that has its code, and name its incident. The same trace is
    kept once. Raises NotFound for what is no trace."""
    if incident := known_incident(house, trace):
        return {"id": incident.id, "kept": False, "next": f'It was known: get_incident("{incident.id}")'}
    event = event_of_trace(house, trace)
    told = hashlib.sha256(trace.encode("utf-8", "replace")).hexdigest()[:32]
    event = event.model_copy(update={"event_id": told, "tags": {**event.tags, "pasted_by": by}})
    recorded = house.receive([event])[-1]
    return {
        "id": recorded.incident_id,
        "kept": not recorded.duplicate,
        "next": f'get_incident("{recorded.incident_id}")',
    }
