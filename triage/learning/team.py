"""A team's own labels: recalibration with the bound that they carry, back-test, audit sample.

Half of the labels fits, the other half sets the threshold: a bound from labels that the model was fitted on is
none. Which half a label falls into hangs on its id alone, so the same labels give the same model.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from triage.learning.bounds import Threshold, miss_bound, threshold_for
from triage.learning.features import SHIPPED
from triage.learning.logistic import Model, calibrated, fit

FEWEST = 5  # labels of each class and half; below it a team's own model says nothing worth having
WORDS_FROM = 10  # labels of what matters in the fitting half from which words are learnt, too
PENALTY = 2.0


@dataclass(frozen=True)
class Label:
    """One judged incident or event. `id` decides the half."""

    id: str
    features: Mapping[str, float]
    matters: bool


@dataclass(frozen=True)
class Calibration:
    """A team's model and what its labels carry."""

    model: Model
    threshold: Threshold
    cut: float  # share of the calibration half that is below the threshold
    fitted: int
    calibrated: int

    @property
    def focus_from(self) -> float:
        """The probability from which something is in focus."""
        return self.threshold.value

    @property
    def said(self) -> str:
        """The guarantee in words, and the cut beside it."""
        bound = self.threshold
        return (
            f"of {bound.positives} labels that matter and that the model had not seen, {bound.missed} fell below; "
            f"with 95 % confidence at most {1 - bound.recall_lower:.1%} of what matters does "
            f"(on average {1 - bound.recall_expected:.1%}); {self.cut:.0%} of the labelled would wait"
        )


@dataclass(frozen=True)
class Flip:
    """An incident that a new version would judge differently."""

    id: str
    before: bool  # in focus
    after: bool


@dataclass(frozen=True)
class Draw:
    """One event that was set aside, chosen for a look, with the chance that it had."""

    id: str
    chance: float


def recalibrate(labels: Sequence[Label], recall: float = 0.97) -> Calibration | None:
    """A model of the team's own, or None where there are too few labels for one."""
    halves: tuple[list[Label], list[Label]] = ([], [])
    for label in labels:
        halves[coin(label.id)].append(label)
    for half in halves:
        mattering = sum(label.matters for label in half)
        if min(mattering, len(half) - mattering) < FEWEST:
            return None
    fitting, holding = halves
    model = fit(_seen(fitting), [label.matters for label in fitting], penalty=PENALTY, signs={SHIPPED: 1})
    margins = [model.margin(label.features) for label in holding]
    model = calibrated(model, margins, [label.matters for label in holding])
    chances = [model.probability(label.features) for label in holding]
    threshold = threshold_for(
        [chance for chance, label in zip(chances, holding, strict=True) if label.matters], recall
    )
    below = sum(chance < threshold.value for chance in chances)
    return Calibration(model, threshold, round(below / len(holding), 4), len(fitting), len(holding))


def no_miss_bound(labels: Sequence[Label]) -> float:
    """What this many labels that matter can carry at best: 1 - 0.05^(1/p)."""
    return miss_bound(sum(label.matters for label in labels))


def flips(before: Mapping[str, bool], after: Mapping[str, bool]) -> list[Flip]:
    """What would change, by id: first what would leave focus."""
    changed = [
        Flip(name, before[name], after[name])
        for name in sorted(before)
        if name in after and before[name] != after[name]
    ]
    return sorted(changed, key=lambda flip: (not flip.before, flip.id))


def audit_sample(chances: Mapping[str, float], count: int, seed: str) -> list[Draw]:
    """Up to `count` of what was set aside, drawn at random, likelier the likelier it is to matter: half of
    each draw is uniform, so that nothing is never looked at. The same seed draws the same. Each draw carries
    its chance: estimates weigh by it (`bounds.weighted_rate`)."""
    names = sorted(chances)
    whole = sum(chances.values()) or 1.0
    drawn = []
    source = random.Random(seed)  # noqa: S311 - a sample, not a secret
    for name in names:
        share = 0.5 / len(names) + 0.5 * chances[name] / whole
        chance = min(1.0, count * share)
        if source.random() < chance:
            drawn.append(Draw(name, round(chance, 6)))
    return drawn


def _seen(labels: Sequence[Label]) -> list[Mapping[str, float]]:
    """What the model is fitted on: with few labels of what matters only what the shipped model says of them,
    where it has an opinion. Words that a handful have in common are chance."""
    enough = sum(label.matters for label in labels) >= WORDS_FROM
    if enough or not all(SHIPPED in label.features for label in labels):
        return [label.features for label in labels]
    return [{SHIPPED: label.features[SHIPPED]} for label in labels]


def coin(name: str) -> int:
    """The half that a label is in: 0 fits, 1 sets the threshold."""
    return hashlib.sha256(name.encode("utf-8", "replace")).digest()[0] & 1
