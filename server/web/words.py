"""Times, numbers and the three-line answer in words, for pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server.moments import ago, stamp
from server.web import proof
from server.web.spans import spans
from store.event import ExceptionValue, Frame
from store.incident import CodeLocation, Incident, Verdict
from store.repair import Attempt, ChangeVerdict, Ended, ValidationVerdict

_ENDINGS = {
    Ended.NOT_REPRODUCED: "Not reproduced, so no fix was proposed.",
    Ended.UNDETERMINED: "The cause could not be determined.",
    Ended.NOT_RUNNABLE: "The application could not be run here, so nothing was proven.",
    Ended.NEEDS_DECISION: "There is more than one way to put this right; a person has to choose.",
    Ended.OVER_BUDGET: "The attempt was stopped when its budget was used up.",
    Ended.CANCELLED: "The attempt was cancelled.",
}
_COME_TO = {
    Ended.PROVEN: "a fix is proven, its draft waits for a word",
    Ended.DRAFTED: "a draft with its proof is open",
    Ended.NEEDS_DECISION: "a person has to choose the fix",
    Ended.NOT_REPRODUCED: "not reproduced",
    Ended.UNDETERMINED: "the cause is not determined",
    Ended.NOT_RUNNABLE: "could not be run here",
    Ended.OVER_BUDGET: "stopped at the end of its budget",
    Ended.CANCELLED: "cancelled",
}
_ANSWER_LINES = (ChangeVerdict.PROVEN, ChangeVerdict.SUPPORTED, ChangeVerdict.INTRODUCED_WITH_FEATURE)


def count(number: int, word: str) -> str:
    """`1 user`, `12 users`, with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f") + f" {word}{'' if number == 1 else 's'}"


def kind(verdict: Verdict) -> str:
    """The kind of a failure in words: `app bug`."""
    return verdict.kind.value.replace("_", " ")


def spoken(value: object) -> str:
    """A name from an enumeration in words: `needs decision`."""
    return str(value).replace("_", " ")


def come_to(ended: str | None) -> str:
    """What a repair has come to, in words that say what is next; a word of `Ended`, None while it is under way."""
    return "a repair is under way" if ended is None else _COME_TO[Ended(ended)]


def compact(value: Any) -> str:
    """A small structure on one line; nothing at all where there is nothing in it."""
    return json.dumps(value, ensure_ascii=False, default=str) if value else ""


def of(pair: Sequence[int]) -> str:
    """A pair of counts: `10 of 10`; a dash where nothing was tried."""
    return f"{pair[0]} of {pair[1]}" if pair[1] else "–"


def folded(frames: Sequence[Frame]) -> list[tuple[bool, list[Frame]]]:
    """Frames newest first, in runs: (own code or not, the run). Without own code, the last frame counts as
    own."""
    runs: list[tuple[bool, list[Frame]]] = []
    any_own = any(frame.in_app for frame in frames)
    for place, frame in enumerate(reversed(frames)):
        own = frame.in_app if any_own else place == 0
        if runs and runs[-1][0] == own:
            runs[-1][1].append(frame)
        else:
            runs.append((own, [frame]))
    return runs


def numbered(frame: Frame) -> list[tuple[int | None, str, bool]]:
    """The source lines that came with a frame: (number, text, is the line that ran)."""
    first = frame.lineno - len(frame.pre_context) if frame.lineno is not None else None
    texts = [*frame.pre_context, frame.context_line or "", *frame.post_context] if frame.context_line else []
    at = len(frame.pre_context)
    return [(None if first is None else first + place, text, place == at) for place, text in enumerate(texts)]


def newest_first(exceptions: Sequence[ExceptionValue]) -> list[ExceptionValue]:
    """The exception that ended the work first, then what led to it."""
    return list(reversed(exceptions))


def answer(incident: Incident, attempt: Attempt | None) -> list[tuple[str, str]]:
    """The answer in three lines: cause, change, fix. Each says what is known, or what to do to know it."""
    return [
        ("Cause", _cause(incident, attempt)),
        ("Change", _change(incident, attempt)),
        ("Fix", _fix(incident, attempt)),
    ]


def _cause(incident: Incident, attempt: Attempt | None) -> str:
    supported = [h for h in attempt.hypotheses if h.status == "supported"] if attempt else []
    if supported:
        best = max(supported, key=lambda hypothesis: hypothesis.score)
        claims = [evidence.claim for evidence in best.evidence if evidence.supports]
        if incident.location and best.kind == "change" and claims:  # which change it is says the next line
            return f"It fails at {_place(incident.location)} since a change: {claims[0]}."
        return best.statement
    if location := incident.location:
        return f"It fails at {_place(location)}. Why is not known yet."
    if incident.verdict is None:
        return "Not triaged yet."
    return incident.why or "The place in the code is not known: no repository holds these files."


def _place(location: CodeLocation) -> str:
    line = f":{location.line}" if location.line else ""
    where = f" in {location.function}" if location.function else ""
    return f"{location.repo}/{location.path}{line}{where}"


def _change(incident: Incident, attempt: Attempt | None) -> str:
    named = [change for change in (attempt.changes if attempt else ()) if change.verdict in _ANSWER_LINES]
    if not named:
        return f"No change is proven. Find candidates: nightdesk causes {incident.id}"
    best = min(named, key=lambda change: _ANSWER_LINES.index(change.verdict))
    ran = f", running since {best.first_exposed_at:%Y-%m-%d}" if best.first_exposed_at else ""
    by = f"{best.author}, {best.authored_at:%Y-%m-%d}{ran}"
    return f"{best.commit[:10]} {best.title} ({by}): {spoken(best.verdict.value)}."


def _fix(incident: Incident, attempt: Attempt | None) -> str:
    if attempt is None:
        return f"No repair was tried. Start one: nightdesk repair {incident.id}"
    if attempt.patch and attempt.validation:
        judged = attempt.validation.verdict
        files = ", ".join(attempt.patch.files)
        said = {
            ValidationVerdict.PROVEN: "proven by execution",
            ValidationVerdict.WEAK: "the crash is gone, but whether the result is right is not shown",
        }.get(judged, spoken(judged.value))
        return f"A {attempt.patch.kind} patch of {files}: {said}."
    if attempt.ended:
        return attempt.said or _ENDINGS.get(attempt.ended, spoken(attempt.ended.value))
    return "A repair is under way."


def stages(times: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float | None]]:
    """The stages of repairs, for a chart: the median and the ninetieth percentile after the stage before."""
    return {
        one["stage"]: (one["step_median_s"], one["step_p90_s"] if one["incidents"] > 1 else None)
        for one in times
        if one["step_median_s"] is not None
    }


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago, "stamp": stamp, "count": count, "kind": kind, "spoken": spoken, "compact": compact, "of": of,
    "plainly": proof.plainly, "stages": stages, "come_to": come_to, "checks": proof.rows, "spans": spans,
    "folded": folded, "numbered": numbered, "newest_first": newest_first,
}  # fmt: skip
