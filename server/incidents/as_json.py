"""One incident as JSON: the shape promised to scripts, pages and assistants. Absent parts are null, never
missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from server.drafts import watching
from server.incidents import proof_files
from server.incidents.rollback import advice, as_json
from store import following, queries, submissions
from store.incident import Fingerprint, Incident, Step, Triage
from store.repair import Attempt, Submission

if TYPE_CHECKING:
    from server.house import House

_HEAD = (
    "id", "project", "title", "culprit", "status", "lane", "priority", "first_seen", "last_seen",
    "event_count", "user_count", "environments", "releases",
)  # fmt: skip
_VERDICT = ("kind", "signal", "score", "threshold", "classifier", "reasons")
_LOCATION = ("repo", "path", "line", "function", "commit", "confidence", "method")
_CHANGE = (
    "repo", "commit", "pull_request", "title", "author", "merged_at", "first_exposed_at", "files", "score",
    "reasons", "verdict", "said", "hunks",
)  # fmt: skip
_REPRODUCER = (
    "repo", "framework", "test_path", "source", "command", "entry", "oracle", "guessed", "redacted",
    "controls", "runs", "failures", "same_failure", "size_before", "size_after",
)  # fmt: skip
_PATCH = ("fixer", "kind", "diffs", "base_commits", "files", "rationale", "loses", "upgrade")
_VALIDATION = (
    "oracle", "fails_before", "passes_after", "hunks_necessary", "mutants", "neighbours", "suite_before",
    "suite_after", "coverage", "lint", "types", "security", "api_diff", "environments", "constraints", "flake_bound",
    "sandbox", "verdict", "rule", "said",
)  # fmt: skip
_DRAFT = (
    "forge", "repo", "branch", "base", "number", "url", "title", "state", "approved_by", "opened_at", "kind",
    "reviewers", "merged_at", "merge_commit", "closed_at",
)  # fmt: skip


def incident_json(house: House, ref: str) -> dict[str, Any]:
    """Everything known of one incident. Raises NotFound."""
    incident = queries.incident(house.database, ref)
    triage = queries.triage(house.database, incident.id)
    attempt = queries.latest_attempt(house.database, incident.id)
    events = queries.events(house.database, incident.id, limit=1)
    found = advice(house, attempt, events[0] if events else None)
    merged = queries.merged(house.database, incident.id)
    values = compose(incident, triage, attempt)
    if values["proof"] and attempt:
        values["proof"]["file"] = proof_files.file_of(house, attempt)
    said = following.feedback(house.database, incident.id)
    return {
        **values,
        "rollback": as_json(found),
        "merged": merged,
        "watches": watching.as_json(watching.reports(house, incident.id)),
        "feedback": [{"repo": repo, **_plain(one)} for repo, one in said],
        "submissions": [_handed_in(one) for one in submissions.of_incident(house.database, incident.id)],
    }


def compose(incident: Incident, triage: Triage | None, attempt: Attempt | None) -> dict[str, Any]:
    """The JSON of an incident from its three records; pure. What more takes a look elsewhere is null."""
    return {
        **_pick(incident, _HEAD),
        "why": incident.why or None,
        "fingerprint": _fingerprint(incident.fingerprints),
        "verdict": _part(incident.verdict, _VERDICT),
        "location": _part(incident.location, _LOCATION),
        "owner": incident.owner,
        "claimed_by": incident.claimed_by,
        **_repair(attempt),
        "steps": [_plain(step) for step in _steps(triage, attempt)],
        "times": _times(incident, triage, attempt),
        "surroundings": _surroundings(triage),
        "ended": attempt.ended.value if attempt and attempt.ended else None,
        "said": attempt.said or None if attempt else None,
        "watches": [],
        "feedback": [],
        "submissions": [],
    }


def _handed_in(one: Submission) -> dict[str, Any]:
    """A patch that was handed in, and what became of it."""
    names = ("id", "attempt_id", "by", "asked_at", "ended_at", "said", "pushed")
    judged = _part(one.validation, ("verdict", "rule", "said"))
    asked = _part(one.asked, ("repo", "who", "source", "text", "path"))
    return {**_pick(one, names), "asked": asked, "validation": judged}


_SURROUNDINGS = (
    "phase", "first_release", "spreads_by", "spreads_to", "near", "pairs", "failing_share", "changes_before", "similar",
    "episodes", "runbooks", "guides", "critical", "no_repair",
)  # fmt: skip


def _surroundings(triage: Triage | None) -> dict[str, Any] | None:
    """What the last triage found around it; every key is there."""
    return {name: triage.facts.get(name) for name in _SURROUNDINGS} if triage else None


def _repair(attempt: Attempt | None) -> dict[str, Any]:
    """What the latest attempt found; every key is there without one, too."""
    return {
        "hypotheses": [_plain(hypothesis) for hypothesis in attempt.hypotheses] if attempt else [],
        "changes": [_pick(change, _CHANGE) for change in attempt.changes] if attempt else [],
        "reproducer": _part(attempt and attempt.reproducer, _REPRODUCER),
        "patch": _part(attempt and attempt.patch, _PATCH),
        "validation": _part(attempt and attempt.validation, _VALIDATION),
        "proof": {"file": None, "hash": attempt.proof.id} if attempt and attempt.proof else None,
        "rollback": None,
        "drafts": [_pick(draft, _DRAFT) for draft in attempt.drafts] if attempt else [],
    }


def _steps(triage: Triage | None, attempt: Attempt | None) -> list[Step]:
    """The one time-line: triage first, then the repair."""
    return [*(triage.steps if triage else ()), *(attempt.steps if attempt else ())]


def _times(incident: Incident, triage: Triage | None, attempt: Attempt | None) -> dict[str, str | None]:
    """When each milestone was reached: the end of the step that reached it."""
    ends = {
        step.name: step.started_at + timedelta(seconds=step.took)
        for step in (attempt.steps if attempt else ())
    }
    opened = [draft.opened_at for draft in attempt.drafts if draft.opened_at] if attempt else []
    merged = [draft.merged_at for draft in attempt.drafts if draft.merged_at] if attempt else []
    milestones: dict[str, datetime | None] = {
        "detected": incident.first_seen,
        "triaged": _last_end(triage.steps) if triage else None,
        "diagnosed": ends.get("causes"),
        "reproduced": ends.get("reproduce") if attempt and attempt.reproducer else None,
        "proposed": ends.get("repair") if attempt and attempt.patch else None,
        "drafted": min(opened, default=None),
        "merged": max(merged, default=None),
    }
    return {name: moment.isoformat() if moment else None for name, moment in milestones.items()}


def _last_end(steps: Sequence[Step]) -> datetime | None:
    return max((step.started_at + timedelta(seconds=step.took) for step in steps), default=None)


def _fingerprint(fingerprints: Sequence[Fingerprint]) -> dict[str, Any] | None:
    """The newest fingerprint: an incident has several after a merge or a new mechanism."""
    return _plain(fingerprints[-1]) if fingerprints else None


def _plain(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json")


def _pick(value: BaseModel, names: Sequence[str]) -> dict[str, Any]:
    return value.model_dump(mode="json", include=set(names))


def _part(value: BaseModel | None, names: Sequence[str]) -> dict[str, Any] | None:
    return _pick(value, names) if value else None
