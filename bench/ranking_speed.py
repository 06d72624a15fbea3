"""How long the index of a history takes, and a ranking with it, in processor time and on the clock.

    uv run python -m bench.ranking_speed ../shared/data/causes/dev.jsonl --repos DIR --repo django/django

Evenly spread labelled cases of one repository are asked by function, each with a window of 90 days, of a year and with
none. The index is made from nothing in a folder that is thrown away.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fixloop.changes.evidence import look
from fixloop.changes.model import FUNCTIONS
from fixloop.changes.ranking import order
from server.evaluation.change_cases import asked, clues_for, history_folder, read_cases
from store.mirrors import Mirror

WINDOWS = (("90 days", 90), ("a year", 365), ("no window", None))
DAY = 86_400


@dataclass
class Watch:
    """Processor time of this process and its children, and the clock, since it was made."""

    def __post_init__(self) -> None:
        self._began = time.perf_counter(), _processor()

    def read(self) -> tuple[float, float]:
        clock, processor = self._began
        return _processor() - processor, time.perf_counter() - clock


def _processor() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--repos", type=Path, required=True)
    parser.add_argument("--repo", required=True)
    parser.add_argument("--asked", type=int, default=8)
    given = parser.parse_args()
    folder = history_folder(given.repo, given.repos)
    with tempfile.TemporaryDirectory() as place:
        mirror = Mirror(given.repo, folder, Path(place))
        there = [
            question
            for question, _ in read_cases(given.cases)
            if question.repo == given.repo and asked(question, FUNCTIONS) and mirror.resolve(question.release)
        ]
        newest = max(there, key=lambda one: one.at)
        watch = Watch()
        mirror.history.update(newest.release)
        processor, clock = watch.read()
        count = len(mirror.history.reachable(newest.release))
        print(f"{given.repo}, {count} commits: first index {processor:.1f} s of processor, {clock:.1f} s")
        chosen = there[:: max(1, len(there) // given.asked)][: given.asked]
        for question in chosen:
            mirror.history.update(question.release)
        for name, days in WINDOWS:
            took = []
            for question in chosen:
                watch = Watch()
                clues = clues_for(question, FUNCTIONS, mirror)
                since = None if days is None else question.at - days * DAY
                order(clues, look(clues, [(mirror, question.release)], since))
                took.append(watch.read())
            used, waited = zip(*took, strict=True)
            print(
                f"{name:10} {len(took)} rankings: processor {median(used):.2f} s (at most {max(used):.2f}), "
                f"clock {median(waited):.2f} s (at most {max(waited):.2f})"
            )


if __name__ == "__main__":
    main()
