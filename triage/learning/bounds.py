"""What counts can carry: exact binomial bounds, thresholds that hold them, ranking figures, weighted audits.

Two guarantees are kept apart. A *confidence* bound holds in at least 95 of 100 repetitions of the whole
labelling. An *expectation* holds on average over them. Both ask that what comes later is drawn as the labels
were (exchangeable); neither survives a change of the world.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
_ROOM = 0.25


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it promises: scores below it are left out."""

    value: float
    positives: int  # calibration labels that matter
    missed: int  # of them, below the threshold
    recall_lower: float  # with 95 % confidence
    recall_expected: float  # on average


def miss_bound(positives: int, confidence: float = CONFIDENCE) -> float:
    """The miss rate that `positives` without a miss still allow: 1 - 0.05^(1/p) at 95 %."""
    return 1.0 if positives <= 0 else 1.0 - (1.0 - confidence) ** (1.0 / positives)


def lower_bound(hits: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """The exact (Clopper-Pearson) one-sided lower bound of a rate."""
    if trials <= 0 or hits <= 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_least(hits, trials, middle) < 1.0 - confidence:
            low = middle
        else:
            high = middle
    return low


def threshold_for(positive_scores: Sequence[float], recall: float = 0.97) -> Threshold:
    """The highest threshold whose recall has `recall` as its 95 % lower bound. Where there are too few
    positives for that, the threshold that misses none of them, with the bound that they do carry. The scores
    must come from a model that has not seen them. The threshold stands below the lowest one kept, by a
    quarter of its distance to the next: the bound is about all that is to come, of which anybody sees a sample."""
    ordered, count = sorted(positive_scores), len(positive_scores)
    missed = 0
    while missed + 1 < count and lower_bound(count - missed - 1, count) >= recall:
        missed += 1
    room = ordered[missed + 1] - ordered[missed] if missed + 1 < count else 0.0
    return Threshold(
        value=ordered[missed] - _ROOM * room if ordered else 0.0,
        positives=count,
        missed=missed,
        recall_lower=round(lower_bound(count - missed, count), 4),
        recall_expected=round(1.0 - (missed + 1) / (count + 1), 4),
    )


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """The chance that what matters scores above what does not; ties count half. None with one class only."""
    positives = sum(labels)
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    order = sorted(range(len(scores)), key=lambda at: scores[at])
    ranks, at = 0.0, 0
    while at < len(order):
        end = at
        while end + 1 < len(order) and scores[order[end + 1]] == scores[order[at]]:
            end += 1
        ranks += sum(labels[order[one]] for one in range(at, end + 1)) * ((at + end) / 2 + 1)
        at = end + 1
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def curve(scores: Sequence[float], labels: Sequence[bool], points: int = 41) -> list[dict[str, float]]:
    """Threshold, share left out, recall and precision, from everything kept to the highest score kept."""
    order = sorted(zip(scores, labels, strict=True), reverse=True)
    positives = sum(labels)
    rows, kept, hits = [], 0, 0
    for at, (score, label) in enumerate(order):
        kept, hits = kept + 1, hits + label
        if at + 1 == len(order) or order[at + 1][0] != score:
            rows.append(
                {
                    "threshold": round(score, 6),
                    "set_aside": round(1 - kept / len(order), 4),
                    "recall": round(hits / positives, 4) if positives else 0.0,
                    "precision": round(hits / kept, 4),
                }
            )
    if len(rows) <= points:
        return rows
    return [rows[round(at * (len(rows) - 1) / (points - 1))] for at in range(points)]


def weighted_rate(draws: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """(estimate, standard error) of a rate over a population from draws of unequal chance: each draw is
    (its chance to be drawn, whether it counts). Hájek's estimator: each counts for 1 / chance."""
    weights = [1.0 / chance for chance, _ in draws]
    whole = math.fsum(weights)
    if not whole:
        return 0.0, 0.0
    rate = math.fsum(weight for weight, (_, counts) in zip(weights, draws, strict=True) if counts) / whole
    spread = math.fsum(
        (weight * (counts - rate)) ** 2 for weight, (_, counts) in zip(weights, draws, strict=True)
    )
    return rate, math.sqrt(spread) / whole


def _at_least(hits: int, trials: int, rate: float) -> float:
    """The chance of `hits` or more successes of `trials`."""
    if rate <= 0.0:
        return 0.0
    if rate >= 1.0:
        return 1.0
    head, tail = math.log(rate), math.log1p(-rate)
    whole = math.lgamma(trials + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * head + (trials - k) * tail)
        for k in range(hits, trials + 1)
    )
