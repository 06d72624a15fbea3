"""The answers of labelled crashes, and how right the product was. Opened after the last case has been run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import Field

from server.evaluation.crashes import CaseResult, IncidentResult
from store.event import Value
from store.incident import Lane
from store.repair import ChangeVerdict, ValidationVerdict

_CHECKED = (
    "exact",
    "introduced",
    None,
)  # how a culprit was found out, where it was by running; None: planted


class Labels(Value):
    """The answer of one case. `culprits` are hashes; `events` label event ids "crash" or "noise"."""

    kind: str  # bug or noise
    noise_kind: str | None = None
    culprits: tuple[str, ...] = ()
    events: dict[str, str] = Field(default_factory=dict)
    ambiguous: tuple[str, ...] = ()


class Score(Value):
    """One incident against its labels. `culprit_rank` counts from 1; None where it is not listed."""

    label: str  # crash or noise
    noise_kind: str | None = None
    ambiguous: bool = False
    culprit_known: bool = False
    culprit_rank: int | None = None
    culprit_verdict: str | None = None
    proven_right: bool = False
    false_proven: bool = False


class ScoredIncident(Value):
    """What the product said of an incident, and how right it was."""

    result: IncidentResult
    score: Score


class ScoredCase(Value):
    """A case with the scores of its incidents."""

    result: CaseResult
    incidents: tuple[ScoredIncident, ...]


def read_labels(folder: Path) -> Labels:
    """The labels of a case folder, of either kind."""
    case = json.loads((folder / "case.json").read_bytes())
    planted = case.get("culprit") or {}
    sure = case.get("culprit_confidence") in _CHECKED
    culprit = planted.get("sha") or (case.get("culprit_sha") if sure else None)
    label = "noise" if case["kind"] == "noise" else "crash"
    events = {_event_id(folder / "event.json"): label}
    ambiguous = []
    if (folder / "labels.json").exists():
        for name, row in json.loads((folder / "labels.json").read_bytes()).items():
            event_id = _event_id(folder / "events" / name)
            events[event_id] = row["label"]
            ambiguous += [event_id] if row.get("ambiguous") else []
    return Labels(
        kind=case["kind"],
        noise_kind=case.get("noise_kind"),
        culprits=(culprit,) if culprit else (),
        events=events,
        ambiguous=tuple(ambiguous),
    )


def _event_id(file: Path) -> str:
    return str(json.loads(file.read_bytes())["event_id"])


def score_case(result: CaseResult, labels: Labels) -> ScoredCase:
    """Compare what was said with what is right."""
    scored = tuple(
        ScoredIncident(result=incident, score=_score(incident, labels)) for incident in result.incidents
    )
    return ScoredCase(result=result, incidents=scored)


def _score(incident: IncidentResult, labels: Labels) -> Score:
    is_crash = any(labels.events.get(event_id) == "crash" for event_id in incident.event_ids)
    changes = incident.repair.changes if incident.repair else ()
    hits = [rank for rank, change in enumerate(changes, 1) if change.commit in labels.culprits]
    proven = [change for change in changes if change.verdict == ChangeVerdict.PROVEN]
    known = is_crash and bool(labels.culprits)
    return Score(
        label="crash" if is_crash else "noise",
        noise_kind=None if is_crash else labels.noise_kind,
        ambiguous=any(event_id in labels.ambiguous for event_id in incident.event_ids),
        culprit_known=known,
        culprit_rank=hits[0] if known and hits else None,
        culprit_verdict=changes[hits[0] - 1].verdict if known and hits else None,
        proven_right=known and any(change.commit in labels.culprits for change in proven),
        false_proven=known and any(change.commit not in labels.culprits for change in proven),
    )


def summary(cases: Sequence[ScoredCase]) -> dict[str, Any]:
    """The rates, as counts over counts. `false_proven` must be 0."""
    incidents = [incident for case in cases for incident in case.incidents]
    crashes = [incident for incident in incidents if incident.score.label == "crash"]
    noise = [incident for incident in incidents if incident.score.label == "noise"]
    known = [incident for incident in crashes if incident.score.culprit_known]
    return {
        "n": len(cases),
        "incidents": len(incidents),
        "crashes": len(crashes),
        "crash_lanes": _counts(incident.result.lane for incident in crashes),
        "located": sum(incident.result.location is not None for incident in crashes),
        **_repairs(crashes),
        "culprit_known": len(known),
        "cause_right": sum(incident.score.proven_right for incident in known),
        "false_proven": sum(incident.score.false_proven for incident in known),
        "culprit_verdicts": _counts(incident.score.culprit_verdict or "not listed" for incident in known),
        "culprit_top1": sum(incident.score.culprit_rank == 1 for incident in known),
        "culprit_top5": sum((incident.score.culprit_rank or 99) <= 5 for incident in known),
        "noise": len(noise),
        "noise_lanes": _counts(incident.result.lane for incident in noise),
        "noise_lanes_by_kind": _counts(
            f"{incident.score.noise_kind or 'beside a crash'}: {incident.result.lane}" for incident in noise
        ),
        "noise_in_focus_ambiguous": sum(
            incident.score.ambiguous and incident.result.lane == Lane.FOCUS for incident in noise
        ),
        "problems": sum(
            bool(case.result.problem or any(i.repair and i.repair.problem for i in case.result.incidents))
            for case in cases
        ),
        "seconds": round(sum(case.result.seconds for case in cases), 1),
    }


def _repairs(crashes: Sequence[ScoredIncident]) -> dict[str, Any]:
    repairs = [incident.result.repair for incident in crashes if incident.result.repair]
    came_back = [one.reproduced for one in repairs if one.reproduced and one.reproduced.same_failure]
    fixes = [one.fix for one in repairs if one.fix]
    proven = [fix for fix in fixes if fix.verdict == ValidationVerdict.PROVEN]
    return {
        "repaired": len(repairs),
        "ended": _counts(one.ended or "not_started" for one in repairs),
        "reproduced": len(came_back),
        "reproduced_by_entry": _counts(one.entry for one in came_back),
        "reproduced_by_oracle": _counts(one.oracle for one in came_back),
        "reproduced_guessed": sum(bool(one.guessed) for one in came_back),
        "not_reproduced_redacted": sum(
            not one.reproduced and any("redacted" in said for said in (one.said, *one.tried))
            for one in repairs
        ),
        "size_before": _median(one.size_before for one in came_back),
        "size_after": _median(one.size_after for one in came_back),
        "lead_seconds": _median(one.lead for one in came_back),
        "cause_proven": sum(
            any(change.verdict == ChangeVerdict.PROVEN for change in one.changes) for one in repairs
        ),
        "first_change": _counts(one.changes[0].verdict for one in repairs if one.changes),
        "fixes_proven": len(proven),
        "proven_on_affected_seconds": _median(fix.early for fix in proven if fix.early is not None),
        "whole_suites_seconds": _median(fix.suites for fix in proven),
        "fixes_weak": sum(fix.verdict == ValidationVerdict.WEAK for fix in fixes),
        "fixes_proven_by_fixer": _counts(fix.fixer for fix in proven),
    }


def _median(values: Iterable[float]) -> float | None:
    """The median, or None of nothing."""
    every = list(values)
    return round(median(every), 1) if every else None


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
