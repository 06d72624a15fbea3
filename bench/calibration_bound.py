"""Does the bound that a calibration states hold? Resample the labels, calibrate, look at the rest.

    python -m bench.calibration_bound DEV.jsonl.gz SOURCE [SOURCE …] [--times 100]

For each source: how often the recall on what was not used for calibrating is at least the stated 95 % lower bound,
and the share set aside there. A source is resampled whole: half of it at random calibrates, the other half is asked.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

from server.evaluation.noise import label_of
from server.evaluation.noise_rows import read_rows
from triage.learning.team import Label, recalibrate


def resampled(labels: Sequence[Label], times: int) -> tuple[int, int, float, float, float]:
    """(calibrations, those whose bound held, mean bound, mean recall, mean share set aside)."""
    held = made = 0
    bounds, recalls, cuts = 0.0, 0.0, 0.0
    for number in range(times):
        order = list(labels)
        random.Random(number).shuffle(order)  # noqa: S311 - a resampling, not a secret
        half = len(order) // 2
        known = [Label(f"{number} {one.id}", one.features, one.matters) for one in order[:half]]
        calibration = recalibrate(known)
        if calibration is None:
            continue
        rest = order[half:]
        kept = [calibration.model.probability(one.features) >= calibration.focus_from for one in rest]
        hits = sum(keep and one.matters for keep, one in zip(kept, rest, strict=True))
        recall = hits / max(sum(one.matters for one in rest), 1)
        made += 1
        held += recall >= calibration.threshold.recall_lower
        bounds, recalls = bounds + calibration.threshold.recall_lower, recalls + recall
        cuts += 1 - sum(kept) / len(rest)
    whole = max(made, 1)
    return made, held, bounds / whole, recalls / whole, cuts / whole


def main() -> int:
    """Print a row for each source."""
    names = sys.argv[2:]
    times = int(names[names.index("--times") + 1]) if "--times" in names else 100
    sources = names[: names.index("--times")] if "--times" in names else names
    if not sources:
        print(__doc__)
        return 2
    rows = read_rows(Path(sys.argv[1]))
    print(f"{'source':36} made held  bound recall    cut")
    for source in sources:
        labels = [
            label_of(row.id, row.event, row.past, row.matters)
            for row in rows
            if row.source == source or row.source.partition(":")[0] == source
        ]
        made, held, bound, recall, cut = resampled(labels, times)
        print(f"{source:36} {made:4} {held:4} {bound:6.3f} {recall:6.3f} {cut:6.3f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
