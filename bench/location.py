"""Where container paths are found: the corpus of tests/corpus/locations, over all of its repositories.

    python -m bench.location [CASES.json]

Prints each miss, then by language: cases, right place first, rightly nowhere, "ambiguous" said where it is.
Exits with 1 where something was missed.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from store.event import Event, ExceptionValue, Frame
from triage.locate import DOUBT, Located, locate

CASES = Path(__file__).resolve().parents[1] / "tests" / "corpus" / "locations" / "cases.json"
NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Trees:
    """`Sources` over files that are given as texts."""

    def __init__(
        self, files: Mapping[str, Mapping[str, str]], renamed: Mapping[str, Mapping[str, str]]
    ) -> None:
        self._files, self._renamed = files, renamed

    def repositories(self) -> Sequence[str]:
        return tuple(self._files)

    def commit(self, repo: str) -> str:
        return "c" * 40

    def paths(self, repo: str) -> Sequence[str]:
        return tuple(self._files[repo])

    def text(self, repo: str, path: str) -> str | None:
        return self._files[repo].get(path)

    def path_map(self, repo: str) -> Mapping[str, str]:
        return {}

    def renamed(self, repo: str) -> Mapping[str, str]:
        return self._renamed.get(repo, {})


@dataclass(frozen=True)
class Outcome:
    """One case and what was said: a place, `nowhere` or `ambiguous`."""

    id: str
    language: str
    wanted: str
    said: str

    @property
    def right(self) -> bool:
        return self.wanted == self.said


def outcomes(path: Path = CASES) -> list[Outcome]:
    """Locate every case."""
    corpus = json.loads(path.read_text("utf-8"))
    found = []
    for case in corpus["cases"]:
        located = locate(_event(case), Trees(corpus["repositories"], corpus["renamed"]))
        found.append(Outcome(case["id"], case["platform"], case["want"] or "nowhere", said(located)))
    return found


def said(located: Located) -> str:
    """What the product says of the innermost frame."""
    best = located.best
    if best is None:
        return "nowhere"
    if located.alternatives and best.confidence <= DOUBT:
        return "ambiguous"
    return f"{best.repo}:{best.path}"


def _event(case: Mapping[str, Any]) -> Event:
    frame = Frame(**case["frame"])
    raised = ExceptionValue(type="Error", frames=(frame,))
    return Event(
        event_id=case["id"], project="p", received_at=NOW, timestamp=NOW, platform=case["platform"],
        exceptions=(raised,),
    )  # fmt: skip


def main() -> int:
    """Print the table."""
    found = outcomes(Path(sys.argv[1]) if len(sys.argv) > 1 else CASES)
    for one in found:
        if not one.right:
            print(f"{one.id}: wanted {one.wanted}, said {one.said}")
    by_language: dict[str, list[Outcome]] = defaultdict(list)
    for one in found:
        by_language[one.language].append(one)
    print(f"{'language':12} cases  place first  rightly nowhere  said ambiguous")
    for name, members in [*sorted(by_language.items()), ("all", found)]:
        counts = []
        for kind in ("place", "nowhere", "ambiguous"):
            group = [one for one in members if _kind(one.wanted) == kind]
            counts.append(f"{sum(one.right for one in group)} of {len(group)}")
        print(f"{name:12} {len(members):5}  {counts[0]:>11}  {counts[1]:>15}  {counts[2]:>14}")
    return int(not all(one.right for one in found))


def _kind(wanted: str) -> str:
    return wanted if wanted in ("nowhere", "ambiguous") else "place"


if __name__ == "__main__":
    raise SystemExit(main())
