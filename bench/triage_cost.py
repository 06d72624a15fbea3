"""What one triage costs, and whether a second one says the same, byte for byte.

    python bench/triage_cost.py FOLDER      (FOLDER holds crashes/ and apps/dev/)

CPU of a triage of a new incident over the case's repositories, without a model of an assistant. Exits with 1 where
a replay differs or the dearest triage takes more than 150 ms of CPU.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from time import process_time

from bench.triage_lanes import NOW, cases
from triage.analyse import History
from triage.learned import Learned
from triage.pipeline import triage

ALLOWED = 0.150  # seconds of CPU


def main() -> int:
    """Triage everything twice."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    classifier = Learned()
    costs, digests = [], [hashlib.sha256(), hashlib.sha256()]
    with tempfile.TemporaryDirectory() as scratch:
        for case in cases(Path(sys.argv[1]), Path(scratch)):
            for digest in digests:
                started = process_time()
                done = triage(case.event, History(), case.sources, classifier, lambda: NOW)
                costs.append(process_time() - started)
                digest.update(done.model_dump_json().encode())
    costs.sort()
    same = digests[0].digest() == digests[1].digest()
    print(f"triages          {len(costs)}")
    print(f"CPU, median      {costs[len(costs) // 2] * 1000:.1f} ms")
    print(f"CPU, dearest     {costs[-1] * 1000:.1f} ms")
    print(f"replayed         {'byte-identical' if same else 'DIFFERENT'} ({digests[0].hexdigest()[:16]})")
    return int(not same or costs[-1] > ALLOWED)


if __name__ == "__main__":
    raise SystemExit(main())
