"""What `nightdesk eval` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from server.cli.output import fields, table
from server.evaluation.crashes import CaseResult, IncidentResult
from server.evaluation.labels import Score, ScoredCase, ScoredIncident
from server.evaluation.traces import TraceCase


def case_line(result: CaseResult) -> str:
    """One case as it ends, without its labels."""
    said = [
        f"{each.lane} {each.repair.ended or each.repair.said if each.repair else ''}"
        for each in result.incidents
    ]
    return f"{result.seconds:7.1f} s  {result.case}  {'; '.join(said)}{result.problem or ''}"


def cases_json(cases: Sequence[ScoredCase]) -> list[dict[str, Any]]:
    """Each case with the score beside what was said."""
    rows = []
    for case in cases:
        incidents = [
            {**one.result.model_dump(mode="json"), "score": one.score.model_dump(mode="json")}
            for one in case.incidents
        ]
        rows.append({**case.result.model_dump(mode="json"), "incidents": incidents})
    return rows


def crash_tables(cases: Sequence[ScoredCase], rates: Mapping[str, Any]) -> str:
    """A row for each incident, the reason of each that fell short, and the rates."""
    heads = [
        "case",
        "label",
        "verdict",
        "reproduced",
        "cause",
        "culprit",
        "fix",
        "affected",
        "suite",
        "seconds",
    ]
    rows = [heads, *(_row(case, one) for case in cases for one in case.incidents)]
    rows += [
        [case.result.case, "problem", *[""] * 7, f"{case.result.seconds:.0f}"]
        for case in cases
        if case.result.problem
    ]
    reasons = [line for case in cases for line in _reasons(case)]
    return "\n\n".join([table(rows), "\n".join(reasons), fields({k: _plain(v) for k, v in rates.items()})])


def _row(case: ScoredCase, one: ScoredIncident) -> list[str]:
    result, repair = one.result, one.result.repair
    came_back = repair.reproduced if repair else None
    fix = repair.fix if repair else None
    return [
        case.result.case,
        one.score.label,
        f"{result.lane} {result.kind or ''}",
        f"{came_back.entry} {came_back.failures}/{came_back.runs} {came_back.oracle}" if came_back else "-",
        repair.changes[0].verdict if repair and repair.changes else "-",
        _culprit(one.score),
        f"{fix.fixer} {fix.verdict}" if fix else "-",
        f"{fix.early:.0f}" if fix and fix.early is not None else "-",
        f"{fix.suites:.0f}" if fix else "-",
        f"{sum(repair.seconds.values()):.0f}" if repair else "-",
    ]


def _culprit(score: Score) -> str:
    if score.false_proven:
        return "FALSE"
    if not score.culprit_known:
        return "?" if score.label == "crash" else "-"
    rank = f"rank {score.culprit_rank}" if score.culprit_rank else "not listed"
    return f"{rank}{', right' if score.proven_right else ''}"


def _reasons(case: ScoredCase) -> Iterator[str]:
    """Why a case fell short, in the product's own words; a fault of the product with its traceback."""
    if case.result.problem:
        yield f"{case.result.case}: {case.result.problem}"
    for one in case.incidents:
        yield from _shortfall(case.result.case, one.result)


def _shortfall(name: str, incident: IncidentResult) -> Iterator[str]:
    repair = incident.repair
    if repair is None or repair.ended in ("proven", "drafted"):
        return
    yield f"{name}: {incident.title[:80]}: {repair.ended or 'not_started'}: {repair.said}"
    if repair.problem:
        yield repair.problem
    yield from (f"    tried: {tried}" for tried in repair.tried if repair.reproduced is None)
    yield from (
        f"    {c.verdict}: {c.commit[:9]} {c.title[:60]}: {c.said}" for c in repair.changes[:3] if c.said
    )


def trace_tables(cases: Sequence[TraceCase], rates: Mapping[str, Any]) -> str:
    """The rates of each language, the cases that fell short, and what was found in texts without a label."""
    heads = [
        "exact",
        "types",
        "values",
        "exceptions_precision",
        "frames_recall",
        "frames_precision",
        "in_app",
    ]
    groups = [*rates["languages"].items(), ("all", rates)]
    rows = [["language", "n", *(head.replace("_", " ") for head in heads)]]
    rows += [[name, str(group["n"]), *(_rate(group[head]) for head in heads)] for name, group in groups]
    short = [
        f"{case.case}: types {case.types_right}/{case.exceptions_wanted}, values {case.values_right}, found "
        f"{case.exceptions_found}; frames {case.frames_right}/{case.frames_wanted}, found {case.frames_found}"
        for case in cases
        if case.labelled and not case.exact
    ]
    others = [
        f"{case.case}: no label; {'+'.join(case.languages) or 'nothing found'}, exceptions {case.exceptions_found}, "
        f"frames {case.frames_found}"
        for case in cases
        if not case.labelled
    ]
    return "\n\n".join(part for part in (table(rows), "\n".join(short), "\n".join(others)) if part)


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _plain(value: object) -> object:
    return (
        ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else str(value)
    )
