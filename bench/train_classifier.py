"""Train the model that comes with the product.

    python -m bench.train_classifier DEV.jsonl.gz      (writes triage/learning/weights.json)

Only sources whose licence allows it are read (LICENCES below; the model card in docs/model-card.md says more).
The same file gives the same weights, byte for byte. Thresholds and calibration come from margins of models that
had not seen the source they are asked about (one source left out at a time).
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.evaluation.noise_rows import Row, read_rows
from triage.learned import WEIGHTS, Part, written_part
from triage.learning.alerts import WAYS, Past, escalates
from triage.learning.bounds import auc, lower_bound
from triage.learning.features import Domain, domain, features
from triage.learning.logistic import Model, calibrated, fit

OUT = Path(__file__).resolve().parents[1] / "triage" / "learning" / WEIGHTS
LICENCES = {
    "noise-bench": "Apache-2.0",
    "handler:aio-libs/aiohttp": "Apache-2.0", "handler:certbot/certbot": "Apache-2.0",
    "handler:dask/distributed": "BSD-3-Clause", "handler:getmoto/moto": "Apache-2.0",
    "handler:getsentry/sentry-python": "MIT", "handler:mitmproxy/mitmproxy": "MIT",
    "handler:openstack/ironic": "Apache-2.0", "handler:openstack/keystone": "Apache-2.0",
    "handler:openstack/neutron": "Apache-2.0", "handler:procrastinate-org/procrastinate": "MIT",
    "handler:python-poetry/poetry-core": "MIT", "handler:sanic-org/sanic": "MIT",
    "handler:scrapy/scrapy": "BSD-3-Clause", "handler:spotify/luigi": "Apache-2.0",
    "handler:tornadoweb/tornado": "Apache-2.0",
}  # fmt: skip
RECALL = 0.97


@dataclass(frozen=True)
class Recipe:
    """How one part is trained. A feature counts only if it was seen in at least `sources` sources: words of
    one project say nothing about another."""

    domain: Domain
    penalty: float
    sources: int


RECIPES = (Recipe(Domain.ALERT, 1.0, 2), Recipe(Domain.MESSAGE, 8.0, 4))


def allowed(row: Row) -> bool:
    """Whether the licence of the row's source lets what was learnt from it be shipped."""
    return row.source in LICENCES or row.source.partition(":")[0] in LICENCES


def train(rows: Sequence[Row], recipe: Recipe) -> Part:
    """Fit, calibrate and set the threshold of one part."""
    samples = [features(row.event, row.past or Past(), recipe.domain) for row in rows]
    labels = [row.matters for row in rows]
    sources = [row.source for row in rows]
    margins = [0.0] * len(rows)
    for left_out in sorted(set(sources)):
        inside = [at for at, source in enumerate(sources) if source != left_out]
        model = _fitted(inside, samples, labels, sources, recipe)
        for at, source in enumerate(sources):
            if source == left_out:
                margins[at] = model.margin(samples[at])
    guards = [escalates(row.event, row.past or Past()) for row in rows]
    model = calibrated(_fitted(range(len(rows)), samples, labels, sources, recipe), margins, labels)
    judged = [math.inf if guarded else margin for margin, guarded in zip(margins, guards, strict=True)]
    ordered = sorted(margin for margin, label in zip(judged, labels, strict=True) if label)
    missed = int(len(ordered) * (1 - RECALL) + 1e-9)
    floor = Model({"margin": 1.0}, 0.0, {}, model.slope, model.shift)
    # Half way down to the next that matters, which is given up: as much room for what is new on both sides.
    limit = (ordered[missed] + ordered[missed - 1]) / 2 if missed else ordered[0]
    focus_from = floor.probability({"margin": limit})
    cut = sum(margin < limit for margin in judged) / len(margins)
    hits = len(ordered) - missed
    said = (
        f"{hits} of {len(ordered)} that matter kept, each judged without its own source (95 % lower bound "
        f"{lower_bound(hits, len(ordered)):.3f}, if new sources are like these); share below: {cut:.3f}; "
        f"AUC {auc(margins, labels) or 0:.3f}; trained on {len(rows)} events of {len(set(sources))} sources"
    )
    print(f"{recipe.domain.value}: {said}")
    return Part(model, round(focus_from - 5e-7, 6), said)


def _fitted(
    chosen: Sequence[int],
    samples: Sequence[dict[str, float]],
    labels: Sequence[bool],
    sources: Sequence[str],
    recipe: Recipe,
) -> Model:
    seen: dict[str, set[str]] = defaultdict(set)
    for at in chosen:
        for name in samples[at]:
            seen[name].add(sources[at])
    kept = [
        {name: value for name, value in samples[at].items() if len(seen[name]) >= recipe.sources}
        for at in chosen
    ]
    return fit(kept, [labels[at] for at in chosen], penalty=recipe.penalty, signs=WAYS)


def main() -> int:
    """Train every part and write them."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    rows = [row for row in read_rows(Path(sys.argv[1])) if allowed(row)]
    parts = {
        recipe.domain.value: written_part(
            train([row for row in rows if domain(row.event) is recipe.domain], recipe)
        )
        for recipe in RECIPES
    }
    OUT.write_text(json.dumps({"version": 1, "parts": parts}, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
