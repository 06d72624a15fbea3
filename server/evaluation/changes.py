"""Ask the product for the cause of every labelled case, and beside it what anybody would look at first.

The labels are opened after the last case has been asked. What is measured is the ranking that the product itself uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import Any

from pydantic import Field

from fixloop.changes.evidence import Scene, Suspect, look
from fixloop.changes.kinds import runs
from fixloop.changes.ranking import order
from server.evaluation.change_cases import Answer, Question, clues_for, history_folder
from store.errors import NightdeskError
from store.event import Value
from store.mirrors import Mirror

DAY = 86_400
LISTED = 30  # candidates that are kept of a case
OURS = "nightdesk"
PLACED = "with a place in the code"
BASELINES = ("blame of the lines", "blame of the functions", "newest over the files")


class Asked(Value):
    """What was said to one question. `orders` maps a method to its first candidates; `seconds` are ours."""

    id: str
    repo: str
    reached: frozenset[str] = frozenset()  # what the window holds
    changes: int = 0
    candidates: int = 0
    frames: int = 0  # places in running code that the question led to
    orders: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    seconds: float = 0.0
    problem: str | None = None


class Outcome(Value):
    """One case with its score. A rank counts from 1; None where no culprit is listed."""

    id: str
    repo: str
    label: str
    inside: bool
    changes: int
    candidates: int
    frames: int
    ranks: dict[str, int | None]
    first: str | None
    seconds: float
    problem: str | None


def ask_all(
    questions: Sequence[Question], repos: Path, cache: Path, kind: str, days: int | None, jobs: int,
    note: Callable[[Asked], None],
) -> list[Asked]:  # fmt: skip
    """Ask each question, `jobs` at a time. Indexes are kept in `cache`; what is in `repos` is only read."""

    def one(question: Question) -> Asked:
        result = ask(question, repos, cache, kind, days)
        note(result)
        return result

    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="eval") as pool:
        return list(pool.map(one, questions))


def ask(question: Question, repos: Path, cache: Path, kind: str, days: int | None) -> Asked:
    """One question. A repository or commit that is not there is a problem of the case, and counts as a miss."""
    try:
        folder = history_folder(question.repo, repos)
        mirror = Mirror(question.repo, folder, cache / question.repo.replace("/", "+"))
        mirror.history.update(question.release)  # the first index of a repository is not the ranking's time
        since = None if days is None else question.at - days * DAY
        started = perf_counter()
        clues = clues_for(question, kind, mirror)
        scene = look(clues, [(mirror, question.release)], since)[0]
        ranked = order(clues, [scene])
        took = perf_counter() - started
        orders = {OURS: [one.suspect.change.sha for one in ranked], **baselines(scene)}
        return Asked(
            id=question.id, repo=question.repo, changes=scene.considered, candidates=len(ranked),
            reached=frozenset(mirror.history.reachable(question.release, since)), frames=len(clues.spots),
            orders={method: tuple(shas[:LISTED]) for method, shas in orders.items()}, seconds=round(took, 3),
        )  # fmt: skip
    except NightdeskError as error:
        return Asked(id=question.id, repo=question.repo, problem=f"{type(error).__name__}: {error}")


def baselines(scene: Scene) -> dict[str, list[str]]:
    """What a simple tool would say: the last writers of the lines, of the functions, the newest over the files."""
    suspects = sorted(scene.suspects.values(), key=lambda one: -one.change.committed)
    depths = {number: region.depth for number, region in enumerate(scene.regions)}
    own = {number for number, region in enumerate(scene.regions) if region.kind != "callee"}

    def nearest(one: Suspect) -> int:
        return min(depths[number] for number in one.lines)

    return {
        BASELINES[0]: _hashes(sorted((one for one in suspects if one.lines), key=nearest)),
        BASELINES[1]: _hashes(one for one in suspects if own & set(one.body)),
        BASELINES[2]: _hashes(one for one in suspects if one.in_files and any(map(runs, one.in_files))),
    }


def _hashes(suspects: Iterable[Suspect]) -> list[str]:
    return [one.change.sha for one in suspects]


def score(asked: Asked, answer: Answer) -> Outcome:
    """Compare what was said with what is right."""
    ranks = {
        method: next((at for at, sha in enumerate(shas, 1) if sha in answer.culprits), None)
        for method, shas in asked.orders.items()
    }
    ours = asked.orders.get(OURS, ())
    return Outcome(
        id=asked.id, repo=asked.repo, label=answer.label, inside=bool(asked.reached & answer.culprits),
        changes=asked.changes, candidates=asked.candidates, frames=asked.frames, ranks=ranks,
        first=ours[0] if ours else None, seconds=asked.seconds, problem=asked.problem,
    )  # fmt: skip


def rates(outcomes: Sequence[Outcome], method: str = OURS) -> dict[str, Any]:
    """Rates among the cases whose culprit is in the window; `coverage` is the share of those. Cases that could not be
    asked (their history is not here) are counted apart."""
    asked = [one for one in outcomes if one.problem is None]
    inside = [one for one in asked if one.inside]
    found = [one.ranks.get(method) for one in inside]

    def top(limit: int) -> float | None:
        return round(mean(at is not None and at <= limit for at in found), 4) if found else None

    return {
        "n": len(inside),
        "asked": len(asked),
        "not_asked": len(outcomes) - len(asked),
        "coverage": round(len(inside) / len(asked), 4) if asked else None,
        "top1": top(1),
        "top3": top(3),
        "top5": top(5),
        "top10": top(10),
        "mrr": round(mean(1 / at if at else 0.0 for at in found), 4) if found else None,
        "median_s": round(median(one.seconds for one in asked), 3) if asked else None,
        "changes": int(median(one.changes for one in asked)) if asked else None,
        "candidates": int(median(one.candidates for one in asked)) if asked else None,
    }


def groups(outcomes: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """The rates of parts: by label, by repository, and with or without a frame in code that runs (there with the
    baselines beside it)."""
    parts: dict[str, list[Outcome]] = {}
    for one in outcomes:
        parts.setdefault(f"label {one.label}", []).append(one)
        parts.setdefault(f"repository {one.repo}", []).append(one)
        parts.setdefault(PLACED if one.frames else "without a place in the code", []).append(one)
    found = {name: rates(some) for name, some in sorted(parts.items())}
    placed = parts.get(PLACED, [])
    return found | {f"{PLACED}, {method}": rates(placed, method) for method in BASELINES if placed}


def summary(outcomes: Sequence[Outcome], days: int | None) -> dict[str, Any]:
    """The headline, the baselines beside it, and the parts."""
    beside: Mapping[str, Any] = {method: rates(outcomes, method) for method in BASELINES}
    return {**rates(outcomes), "window": days, "baselines": beside, "parts": groups(outcomes)}
