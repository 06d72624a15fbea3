"""Does the bound that a calibration states hold? Resample the labels, calibrate, look at the rest.

    python -m bench.calibration_bound DEV.jsonl.gz SOURCE [SOURCE …] [--times 100]

A source is the population. Half of it at random is labelled; a half of that fits, the other half sets the
threshold. `held`: the recall over everything that was not fitted on is at least the stated 95 % lower bound (this is
what the bound promises). `rest`: the same over what was not labelled at all, a sample that has noise of its own.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.evaluation.noise import label_of
from server.evaluation.noise_rows import read_rows
from triage.learning.team import Label, coin, recalibrate


@dataclass(frozen=True)
class Trial:
    """One resampling: what was stated, and what was so."""

    bound: float
    whole: float  # recall over everything that was not fitted on
    rest: float  # recall over what was not labelled
    cut: float  # share set aside of what was not labelled


def trial(labels: Sequence[Label], number: int) -> Trial | None:
    """One resampling; None where half of the labels are too few."""
    order = list(labels)
    random.Random(number).shuffle(order)  # noqa: S311 - a resampling, not a secret
    half = len(order) // 2
    known = [Label(f"{number} {one.id}", one.features, one.matters) for one in order[:half]]
    calibration = recalibrate(known)
    if calibration is None:
        return None

    def recall(asked: Sequence[Label]) -> tuple[float, float]:
        kept = [calibration.model.probability(one.features) >= calibration.focus_from for one in asked]
        hits = sum(keep and one.matters for keep, one in zip(kept, asked, strict=True))
        return hits / max(sum(one.matters for one in asked), 1), 1 - sum(kept) / len(asked)

    rest, cut = recall(order[half:])
    unfitted = [one for one in known if coin(one.id)] + order[half:]
    return Trial(calibration.threshold.recall_lower, recall(unfitted)[0], rest, cut)


def main() -> int:
    """Print a row for each source."""
    names = sys.argv[2:]
    times = int(names[names.index("--times") + 1]) if "--times" in names else 100
    sources = names[: names.index("--times")] if "--times" in names else names
    if not sources:
        print(__doc__)
        return 2
    rows = read_rows(Path(sys.argv[1]))
    print(f"{'source':28} made  held  rest  stated recall    cut")
    for source in sources:
        labels = [
            label_of(row.id, row.event, row.past, row.matters)
            for row in rows
            if row.source == source or row.source.partition(":")[0] == source
        ]
        trials = [found for number in range(times) if (found := trial(labels, number))]
        held = sum(one.whole >= one.bound for one in trials)
        rest = sum(one.rest >= one.bound for one in trials)
        bound, recall, cut = (
            sum(values) / max(len(trials), 1)
            for values in zip(*((one.bound, one.rest, one.cut) for one in trials), strict=True)
        )
        print(
            f"{source:28} {len(trials):4} {held:5} {rest:5} {bound:7.3f} {recall:6.3f} {cut:6.3f}", flush=True
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
