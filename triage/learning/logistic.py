"""A sparse logistic regression: trained the same way every time, read as reasons.

Full-batch gradient steps with per-weight scaling (Adam) and an L2 penalty. No randomness: the same samples
give the same weights.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Features = Mapping[str, float]
_STEPS = 250
_RATE = 0.1


@dataclass(frozen=True)
class Model:
    """Weights by feature. A feature's value is divided by its scale before it is weighed; `slope` and `shift`
    calibrate the sum, so that `probability` can be read as one."""

    weights: Mapping[str, float]
    bias: float
    scales: Mapping[str, float] = field(default_factory=dict)
    slope: float = 1.0
    shift: float = 0.0

    def margin(self, features: Features) -> float:
        """The weighted sum, before calibration."""
        return self.bias + math.fsum(weight for _, weight in self._weighed(features))

    def probability(self, features: Features) -> float:
        """That it matters, 0..1."""
        return sigmoid(self.slope * self.margin(features) + self.shift)

    def reasons(self, features: Features, count: int = 4) -> list[tuple[str, float]]:
        """The features that weighed most, with their weights, heaviest first."""
        weighed = sorted(self._weighed(features), key=lambda one: (-abs(one[1]), one[0]))
        return [(name, weight) for name, weight in weighed if abs(weight) >= 0.05][:count]

    def _weighed(self, features: Features) -> list[tuple[str, float]]:
        return [
            (name, self.weights[name] * value / self.scales.get(name, 1.0))
            for name, value in sorted(features.items())
            if name in self.weights
        ]


def sigmoid(value: float) -> float:
    """1 / (1 + e^-value), without overflow."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-min(value, 700.0)))
    grown = math.exp(max(value, -700.0))
    return grown / (1.0 + grown)


def fit(
    samples: Sequence[Features],
    labels: Sequence[bool],
    *,
    penalty: float = 1.0,
    rarest: int = 2,
    signs: Mapping[str, int] | None = None,
) -> Model:
    """Train on labelled samples. Features that fewer than `rarest` samples have are left out. `penalty` is
    the L2 weight for the whole set, so that it counts less the more samples there are. `signs` says of a
    feature which way it may count (+1 or -1): what is known beforehand need not be learnt from few samples."""
    seen = Counter(name for sample in samples for name, value in sample.items() if value)
    names = sorted(name for name, count in seen.items() if count >= rarest)
    place = {name: at for at, name in enumerate(names)}
    scales = _scales(samples, place)
    rows = [
        [(place[name], value / scales.get(name, 1.0)) for name, value in sorted(sample.items())
         if name in place and value]
        for sample in samples
    ]  # fmt: skip
    ways = [(signs or {}).get(name, 0) for name in names]
    weights, bias = _descend(rows, labels, ways, penalty)
    kept = {
        name: round(weight, 4) for name, weight in zip(names, weights, strict=True) if abs(weight) >= 0.005
    }
    return Model(
        kept, round(bias, 4), {name: round(size, 4) for name, size in scales.items() if name in kept}
    )


def calibrated(model: Model, margins: Sequence[float], labels: Sequence[bool]) -> Model:
    """The model with Platt's slope and shift, from margins of samples that it was not trained on."""
    scaled = fit([{"margin": margin} for margin in margins], labels, penalty=0.01, rarest=1)
    slope = scaled.weights.get("margin", 0.0) / scaled.scales.get("margin", 1.0)
    return Model(model.weights, model.bias, model.scales, round(max(slope, 0.05), 4), scaled.bias)


def _scales(samples: Sequence[Features], place: Mapping[str, int]) -> dict[str, float]:
    """The root mean square of each feature that is not simply there or not."""
    squares: dict[str, float] = {}
    graded: set[str] = set()
    for sample in samples:
        for name, value in sample.items():
            if name in place and value:
                squares[name] = squares.get(name, 0.0) + value * value
                if value != 1.0:
                    graded.add(name)
    return {name: max(math.sqrt(squares[name] / len(samples)), 1e-6) for name in sorted(graded)}


def _descend(
    rows: Sequence[Sequence[tuple[int, float]]], labels: Sequence[bool], ways: Sequence[int], penalty: float
) -> tuple[list[float], float]:
    width = len(ways)
    count = max(len(rows), 1)
    positives = (sum(labels) + 0.5) / (count + 1)
    weights, first, second = [0.0] * width, [0.0] * (width + 1), [0.0] * (width + 1)
    bias = math.log(positives / (1 - positives))
    for step in range(1, _STEPS + 1):
        slopes = [penalty * weight / count for weight in weights]
        slopes.append(0.0)
        for row, label in zip(rows, labels, strict=True):
            error = (sigmoid(bias + sum(weights[at] * value for at, value in row)) - label) / count
            slopes[width] += error
            for at, value in row:
                slopes[at] += error * value
        rate = _RATE * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        for at, slope in enumerate(slopes):
            first[at] = 0.9 * first[at] + 0.1 * slope
            second[at] = 0.999 * second[at] + 0.001 * slope * slope
            change = rate * first[at] / (math.sqrt(second[at]) + 1e-8)
            if at < width:
                weights[at] -= change
                if weights[at] * ways[at] < 0:
                    weights[at] = 0.0
            else:
                bias -= change
    return weights, bias
