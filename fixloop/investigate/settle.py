"""The status of a hypothesis, computed from what was run; who proposed it has no say in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from store.repair import CandidateChange, ChangeVerdict, Ended, Hypothesis

_STATUS = {
    ChangeVerdict.PROVEN: "supported",
    ChangeVerdict.SUPPORTED: "supported",
    ChangeVerdict.REFUTED: "refuted",
}
_CANNOT_RUN = {
    Ended.NOT_REPRODUCED: "a failing test: {said}; to capture more, send local variables and the request's body",
    Ended.NOT_RUNNABLE: "an application that runs here: {said}",
    Ended.OVER_BUDGET: "time: {said}; the setting `repair_seconds` bounds it",
}
_HASH = re.compile(r"\b[0-9a-f]{7,40}\b")
_UNTESTED = "a run of that change: `nightdesk causes INC-n --prove` runs the likeliest first"


def about(one: Hypothesis) -> tuple[str, str] | None:
    """(repository, commit) of the change that a hypothesis predicts something of."""
    return (one.test.repo, one.test.commit) if one.test is not None and one.test.kind == "change" else None


def suspected_first(
    candidates: Sequence[CandidateChange], hypotheses: Sequence[Hypothesis], hints: Sequence[str] = ()
) -> list[CandidateChange]:
    """The candidates, with those first that a hint or a hypothesis of somebody other than the patterns is about: who
    reads the code may know better than the ranking, and to be wrong costs one run."""
    named = {pair for one in hypotheses if one.by != "patterns" and (pair := about(one)) is not None}
    told = [word for hint in hints for word in _HASH.findall(hint)]

    def suspected(change: CandidateChange) -> bool:
        return (change.repo, change.commit) in named or any(change.commit.startswith(word) for word in told)

    return sorted(candidates, key=lambda change: not suspected(change))


def unlisted(
    candidates: Sequence[CandidateChange], hypotheses: Sequence[Hypothesis]
) -> list[tuple[str, str]]:
    """(repository, commit) of hypotheses about changes that the ranking does not list."""
    known = {(change.repo, change.commit) for change in candidates}
    named = dict.fromkeys(pair for one in hypotheses if (pair := about(one)) is not None)
    return [pair for pair in named if pair not in known]


def untested(changes: Sequence[CandidateChange], hypotheses: Sequence[Hypothesis]) -> list[CandidateChange]:
    """The changes that a hypothesis is about and that nothing has run."""
    named = {pair for one in hypotheses if (pair := about(one)) is not None}
    waiting = (change for change in changes if change.verdict is ChangeVerdict.UNTESTED)
    return [change for change in waiting if (change.repo, change.commit) in named]


def by_version(changes: Sequence[CandidateChange], hypotheses: Sequence[Hypothesis]) -> list[CandidateChange]:
    """The changes, those first whose package in its earlier version was seen to work: the flip is seen, so they are
    supported; which of all that else was different then does not matter is not, so they are not proven."""
    shown = {
        (one.test.repo, one.test.commit): one.shown
        for one in hypotheses
        if one.status == "supported" and one.test is not None and one.test.kind == "package"
    }
    seen = [
        change.model_copy(
            update={"verdict": ChangeVerdict.SUPPORTED, "said": shown[change.repo, change.commit]}
        )
        for change in changes
        if (change.repo, change.commit) in shown and change.verdict is not ChangeVerdict.PROVEN
    ]
    return [
        *seen,
        *(one for one in changes if (one.repo, one.commit) not in {(c.repo, c.commit) for c in seen}),
    ]


def settled(
    hypotheses: Sequence[Hypothesis], changes: Sequence[CandidateChange], ended: Ended | None, said: str
) -> tuple[Hypothesis, ...]:
    """Each with the status that the runs give it; what could not be run says what is missing. Before there is a result
    a hypothesis that nothing has tested stays proposed."""
    known = {(change.repo, change.commit): change for change in changes}
    return tuple(_settled(one, known, ended, said) for one in hypotheses)


def _settled(
    one: Hypothesis, known: dict[tuple[str, str], CandidateChange], ended: Ended | None, said: str
) -> Hypothesis:
    if one.status in ("supported", "refuted") and about(one) is None:
        return one  # an experiment has settled it
    pair = about(one)
    change = known.get(pair) if pair is not None else None
    if change is not None and change.verdict is not ChangeVerdict.UNTESTED:
        status = _STATUS.get(change.verdict, "undetermined")
        return one.model_copy(update={"status": status, "shown": change.said or str(change.verdict)})
    if ended is None:
        return one
    lacks = _CANNOT_RUN.get(ended, _UNTESTED if pair is not None else "").format(said=said)
    missing = tuple(dict.fromkeys((*one.missing, lacks))) if lacks else one.missing
    return one.model_copy(update={"status": "undetermined", "missing": missing})
