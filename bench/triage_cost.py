"""What one triage costs, and whether a second one says the same, byte for byte.

    python bench/triage_cost.py FOLDER      (FOLDER holds crashes/ and apps/dev/)

CPU of a triage of a new incident over the case's repositories, without a model of an assistant, each with all the other
events as its past and as its neighbours. Exits with 1 where a replay differs or the dearest triage takes more than
150 ms of CPU. The digest that is printed is the same in every process, whatever the seed of its hashes.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from time import process_time

from bench.triage_lanes import NOW, Case, cases
from triage.analyse import History
from triage.fingerprint import fingerprint
from triage.learned import Learned
from triage.nearness import Neighbour
from triage.pipeline import triage
from triage.similar import Known
from triage.surroundings import Surroundings
from triage.title import title

ALLOWED = 0.150  # seconds of CPU


NEIGHBOURS = 16  # as many as the store hands in at most


def surrounded(case: Case, all_of_them: list[Case]) -> History:
    """A past and neighbours for a case: the others."""
    known = [
        Known(f"INC-{at}", fingerprint(one.event).parts, title(one.event))
        for at, one in enumerate(all_of_them)
    ]
    own = known[all_of_them.index(case)]
    others = [one for one in all_of_them if one is not case][:NEIGHBOURS]
    beside = [
        Neighbour(one.event.model_copy(update={"timestamp": case.event.timestamp}), f"INC-{at}")
        for at, one in enumerate(others)
    ]
    return History(around=Surroundings(neighbours=beside, own=own, past=known))


def main() -> int:
    """Triage everything twice."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    classifier = Learned()
    costs, digests = [], [hashlib.sha256(), hashlib.sha256()]
    with tempfile.TemporaryDirectory() as scratch:
        found = list(cases(Path(sys.argv[1]), Path(scratch)))
        for case in found:
            history = surrounded(case, found)
            for digest in digests:
                started = process_time()
                done = triage(case.event, history, case.sources, classifier, lambda: NOW)
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
