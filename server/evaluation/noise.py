"""`eval noise`: labelled events through triage, each source measured apart. Labels are read last.

Two thresholds are told apart. Only what a named rule sets aside is in the noise lane and could be *lost*; what is
not in focus is *cut* and waits in the backlog. The score has a threshold of its own, shipped or calibrated, which
is what the curve is about.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from server.evaluation.noise_rows import NOW, Row
from store.event import Event
from store.incident import Lane, Triage
from triage.analyse import History
from triage.classify import Rules
from triage.learned import Learned, Part, team_view
from triage.learning.alerts import NO_PAST, Past
from triage.learning.bounds import auc, curve, lower_bound, miss_bound
from triage.learning.team import Calibration, Label, recalibrate
from triage.pipeline import triage
from triage.sources import NOTHING


@dataclass(frozen=True)
class Case:
    """One row and what triage made of it."""

    row: Row
    triage: Triage

    @property
    def score(self) -> float:
        return self.triage.verdict.score

    @property
    def threshold(self) -> float:
        """The score below which it is not a matter for today."""
        return max(self.triage.verdict.threshold, self.triage.verdict.focus_from)

    @property
    def shown(self) -> dict[str, Any]:
        """As JSON."""
        verdict = self.triage.verdict
        return {
            "id": self.row.id, "source": self.row.source, "label": "actionable" if self.row.matters else "noise",
            "lane": self.triage.lane.value, "kind": verdict.kind.value, "score": verdict.score,
            "threshold": self.threshold, "kept": self.score >= self.threshold, "why": self.triage.why,
            "reasons": list(verdict.reasons),
        }  # fmt: skip


def judge(row: Row, classifier: Learned, project: str = "eval") -> Case:
    """Triage of one row, as if it had just come, with no repository connected."""
    event = row.event if row.event.project == project else row.event.model_copy(update={"project": project})
    history = History(event_count=1 + (row.past.count if row.past else 0), past=row.past or NO_PAST)
    return Case(row, triage(event, history, NOTHING, classifier, lambda: NOW))


def measure(rows: Sequence[Row], train: Sequence[Row] = ()) -> tuple[dict[str, Any], list[Case]]:
    """(summary, cases). With `train`, each source is judged by a model calibrated on its own labels there, or
    on those of the sources nearest to it."""
    by_source: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    sources, cases = {}, []
    for source in sorted(by_source):
        calibration = _calibration(source, train)
        classifier = Learned({source: _part(calibration[0])} if calibration else None)
        judged = [judge(row, classifier, source) for row in by_source[source]]
        sources[source] = summary(judged)
        if calibration is not None:
            sources[source]["calibration"] = _promise(*calibration)
        cases += judged
    return {
        "n": len(rows),
        "calibrated": bool(train),
        "sources": sources,
        "families": _families(cases),
    }, cases


def summary(cases: Sequence[Case]) -> dict[str, Any]:
    """The figures of one source."""
    labels = [case.row.matters for case in cases]
    scores = [case.score for case in cases]
    positives, count = sum(labels), len(cases)
    kept = [case.score >= case.threshold for case in cases]
    hits = sum(keep and label for keep, label in zip(kept, labels, strict=True))
    ranking = auc(scores, labels)
    return {
        "n": count,
        "actionable": positives,
        "base_rate": _share(positives, count),
        "set_aside": _share(count - sum(kept), count),
        "recall": _share(hits, positives),
        "recall_lower": round(lower_bound(hits, positives), 4) if positives else None,
        "precision": _share(hits, sum(kept)),
        "auc": None if ranking is None else round(ranking, 4),
        "threshold": _thresholds(cases),
        **_lanes(cases, positives),
        "curve": curve(scores, labels),
    }


def _promise(calibration: Calibration, whose: str) -> dict[str, Any]:
    """What was calibrated on, and the bound that it carries."""
    bound = calibration.threshold
    said = (
        calibration.said
        if whose == "itself"
        else f"{calibration.said}; labels of {whose}: a bound for those, not for it"
    )
    return {
        "labels_of": whose, "fitted_on": calibration.fitted, "calibrated_on": calibration.calibrated,
        "positives": bound.positives, "missed": bound.missed, "recall_lower": bound.recall_lower,
        "recall_expected": bound.recall_expected, "no_miss_bound": round(miss_bound(bound.positives), 4),
        "cut": calibration.cut, "said": said,
    }  # fmt: skip


def _lanes(cases: Sequence[Case], positives: int) -> dict[str, Any]:
    lanes = Counter(case.triage.lane for case in cases)
    lost = sum(case.row.matters and case.triage.lane is Lane.NOISE for case in cases)
    focused = sum(case.row.matters and case.triage.lane is Lane.FOCUS for case in cases)
    quiet = [case for case in cases if not case.row.matters]
    return {
        "lanes": {lane.value: lanes[lane] for lane in Lane},
        "cut": _share(len(cases) - lanes[Lane.FOCUS], len(cases)),
        "lost": lost,
        "not_lost": _share(positives - lost, positives),
        "not_lost_lower": round(lower_bound(positives - lost, positives), 4) if positives else None,
        "in_focus": _share(focused, positives),
        "noise_in_noise_lane": _share(sum(case.triage.lane is Lane.NOISE for case in quiet), len(quiet)),
        "noise_out_of_focus": _share(sum(case.triage.lane is not Lane.FOCUS for case in quiet), len(quiet)),
    }


def _thresholds(cases: Sequence[Case]) -> float | None:
    """The threshold that most of the source's events are held to."""
    counted = Counter(case.threshold for case in cases)
    return counted.most_common(1)[0][0] if counted else None


def _families(cases: Sequence[Case]) -> dict[str, Any]:
    """The same figures for sources of one kind together: what `name:` stands before their names."""
    families: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        families[case.row.source.partition(":")[0]].append(case)
    return {name: summary(members) for name, members in sorted(families.items())}


def _calibration(source: str, train: Sequence[Row]) -> tuple[Calibration, str] | None:
    """On the labels of that source; where they are too few, of its family; else of all that were given. With
    whose labels they are: a bound from labels of others is none for this source."""
    family = source.partition(":")[0]
    for whose, chosen in (
        ("itself", [row for row in train if row.source == source]),
        ("its family", [row for row in train if row.source.partition(":")[0] == family]),
        ("all sources", list(train)),
    ):
        found = recalibrate([label_of(row.id, row.event, row.past, row.matters) for row in chosen])
        if found is not None:
            return found, whose
    return None


def label_of(name: str, event: Event, past: Past | None, matters: bool) -> Label:
    """A judged event as a label: the features that a team's model sees of it."""
    history = History(past=past or NO_PAST)
    verdict = triage(event, history, NOTHING, Rules(), lambda: NOW).verdict
    return Label(name, team_view(event, past or NO_PAST, verdict), matters)


def _part(calibration: Calibration) -> Part:
    return Part(calibration.model, calibration.focus_from, calibration.said)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
