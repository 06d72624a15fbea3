"""Learn again how much each feature of a change weighs, from labelled cases, and say how well it does elsewhere.

    uv run python -m bench.train_causes ../shared/data/causes/dev.jsonl --repos DIR --write

Every repository counts the same above a bound, reverts are left out. What is printed is leave-one-repository-out: each
case ranked with weights that were learned without its repository. Same data, same weights: there is no chance in it.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from fixloop.changes import features, model
from fixloop.changes.evidence import look
from server.evaluation.change_cases import FUNCTIONS, TRACE, asked, clues_for, history_folder, read_cases
from store.errors import NightdeskError
from store.mirrors import Mirror

DAYS = 365
CAP = 60  # cases of one repository that are looked at; evenly spread
FULL = 45  # cases of one repository that count full; beyond, each counts less
PENALTY = 3.0  # of large weights, on features scaled to one
NOT_LEARNED = {"bumps": 2.0}  # no labelled case shows it: as much as a newest touch of the failing function
# What speaks for a change may not speak against it, and the other way round: with a few hundred cases such a weight is
# chance.
FOR = frozenset(
    f"{place}_{what}"
    for place in ("body", "whole", "callee")
    for what in ("share", "newest", "part", "touch", "added", "removed", "novel", "logic")
) | {
    "line", "outer_line", "near_line", "callee_redefines", "defines", "redefines", "words", "drops", "begins",
    "handles", "test_newest", "file_newest", "focus", "spread", "fresh", "mended", "says_place",
}  # fmt: skip
AGAINST = frozenset({"mass", "reverted", "moved", "says_tidy", "merge", "elsewhere"})


@dataclass(frozen=True)
class Example:
    """One case: a row of features for each candidate, and which of them are right."""

    id: str
    repo: str
    kind: str
    inside: bool  # a culprit is in the window
    placed: bool  # it led to a place in running code
    vectors: dict[str, dict[str, float]]
    culprits: frozenset[str]


def gather(path: Path, repos: Path, cache: Path, kind: str, jobs: int) -> list[Example]:
    """The examples of one kind of question, kept in `cache` by what they were made from and with."""
    cases = [case for case in read_cases(path) if asked(case[0], kind) and case[1].label != "R"]
    by_repo: dict[str, list[str]] = {}
    for question, _ in cases:
        by_repo.setdefault(question.repo, []).append(question.id)
    chosen = {one for ids in by_repo.values() for one in ids[:: max(1, -(-len(ids) // CAP))]}
    made = b"".join(file.read_bytes() for file in sorted(Path(features.__file__).parent.glob("*.py")))
    kept = cache / f"{kind}-{sha256(made + path.read_bytes()).hexdigest()[:12]}.pickle"
    if kept.exists():
        return list(pickle.loads(kept.read_bytes()))  # noqa: S301 - our own file
    wanted = [
        (at, path, repos, cache, kind)
        for at, (question, _) in enumerate(read_cases(path))
        if question.id in chosen
    ]
    with ProcessPoolExecutor(jobs) as pool:
        found = [one for one in pool.map(_example, wanted, chunksize=4) if one is not None]
    cache.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(pickle.dumps(found))
    return found


def _example(wanted: tuple[int, Path, Path, Path, str]) -> Example | None:
    at, path, repos, cache, kind = wanted
    question, answer = read_cases(path)[at]
    try:
        folder = history_folder(question.repo, repos)
        mirror = Mirror(question.repo, folder, cache / question.repo.replace("/", "+"))
        clues = clues_for(question, kind, mirror)
        since = question.at - DAYS * 86_400
        scene = look(clues, [(mirror, question.release)], since)[0]
        reached = set(mirror.history.reachable(question.release, since))
    except NightdeskError as error:
        print(f"left out: {question.id}: {error}")
        return None
    table = features.vectors(scene, clues)
    inside = bool(reached & answer.culprits)
    return Example(question.id, question.repo, kind, inside, bool(clues.spots), table, answer.culprits)


# --- learning -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """Examples as numbers: a matrix for each, and which rows are right."""

    names: list[str]
    matrices: list[np.ndarray]
    right: list[np.ndarray]


def rows_of(examples: Sequence[Example]) -> Rows:
    seen = {
        name for one in examples for vector in one.vectors.values() for name, value in vector.items() if value
    }
    names = sorted(seen - set(NOT_LEARNED))
    matrices = [np.array([[v.get(n, 0.0) for n in names] for v in one.vectors.values()]).reshape(-1, len(names))
                for one in examples]  # fmt: skip
    return Rows(names, matrices, [np.array([sha in one.culprits for sha in one.vectors]) for one in examples])


def importance(examples: Sequence[Example]) -> np.ndarray:
    """No repository outweighs the rest."""
    counts = Counter((one.repo, one.kind) for one in examples)
    return np.array([min(1.0, FULL / counts[one.repo, one.kind]) for one in examples])


def learn(rows: Rows, chosen: Sequence[int], weight: np.ndarray) -> np.ndarray:
    """The weights, refitted without those whose sign makes no sense until none is left."""
    some = [at for at in chosen if rows.right[at].any() and len(rows.right[at]) > 1]
    every = np.vstack([rows.matrices[at] for at in some])
    right = np.concatenate([rows.right[at] for at in some])
    starts = np.r_[0, np.cumsum([len(rows.right[at]) for at in some])[:-1]]
    of = np.repeat(np.arange(len(some)), [len(rows.right[at]) for at in some])
    scale = every.std(0) + 1e-9
    kept = list(range(len(rows.names)))
    while True:
        found = _climb(every[:, kept] / scale[kept], right, starts, of, weight[some])
        wrong = {
            column
            for column, value in zip(kept, found, strict=True)
            if (value < 0 and rows.names[column] in FOR) or (value > 0 and rows.names[column] in AGAINST)
        }
        if not wrong:
            break
        kept = [column for column in kept if column not in wrong]
    weights = np.zeros(len(rows.names))
    weights[kept] = found / scale[kept]
    return weights


def _climb(
    x: np.ndarray, right: np.ndarray, starts: np.ndarray, of: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """The most likely weights of a softmax over each case, penalised: Newton's steps, halved where they overshoot."""

    def likely(b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        z = x @ b
        power = np.exp(z - np.maximum.reduceat(z, starts)[of])
        total = np.add.reduceat(power, starts)
        good = np.add.reduceat(power * right, starts)
        value = float((weight * np.log(good / total)).sum() - PENALTY / 2 * b @ b)
        return value, power / total[of], power * right / good[of]

    b = np.zeros(x.shape[1])
    value, p, q = likely(b)
    for _ in range(60):
        w = weight[of]
        slope = x.T @ ((q - p) * w) - PENALTY * b
        means = np.add.reduceat(x * p[:, None], starts, axis=0)
        curve = (
            (x * (p * w)[:, None]).T @ x - (means * weight[:, None]).T @ means + PENALTY * np.eye(x.shape[1])
        )
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while size > 1e-6:
            new, new_p, new_q = likely(b + size * step)
            if new > value:
                break
            size /= 2
        if size <= 1e-6 or new - value < 1e-6:
            break
        b, value, p, q = b + size * step, new, new_p, new_q
    return b


# --- telling ------------------------------------------------------------------------------------------------------


def rank_of(rows: Rows, at: int, weights: np.ndarray) -> int | None:
    right = rows.right[at]
    if not right.any():
        return None
    scores = rows.matrices[at] @ weights
    return int((scores > scores[right].max() + 1e-12).sum()) + 1


def elsewhere(examples: Sequence[Example], rows: Rows, weight: np.ndarray) -> list[int | None]:
    """The rank of each case with weights learned without its repository."""
    ranks: list[int | None] = [None] * len(examples)
    for repo in sorted({one.repo for one in examples}):
        others = [at for at, one in enumerate(examples) if one.repo != repo]
        weights = learn(rows, others, weight)
        for at, one in enumerate(examples):
            if one.repo == repo:
                ranks[at] = rank_of(rows, at, weights)
    return ranks


def told(name: str, examples: Sequence[Example], ranks: Sequence[int | None]) -> None:
    found = [rank for one, rank in zip(examples, ranks, strict=True) if one.inside]
    if not found:
        return
    tops = "  ".join(
        f"top{k} {sum(r is not None and r <= k for r in found) / len(found):.3f}" for k in (1, 3, 5, 10)
    )
    mrr = sum(1 / r for r in found if r) / len(found)
    print(f"{name:44} n {len(found):4}  {tops}  mrr {mrr:.3f}")


def groups_of(examples: Sequence[Example]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for at, one in enumerate(examples):
        kind = (
            one.kind
            if one.kind == FUNCTIONS
            else f"{TRACE}, {'' if one.placed else 'no '}frame in running code"
        )
        groups.setdefault(kind, []).append(at)
        groups.setdefault(f"{kind}: {one.repo}", []).append(at)
    return {name: some for name, some in sorted(groups.items()) if ":" not in name or len(some) >= 8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--repos", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("/tmp/nightdesk-histories"))  # noqa: S108
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--without", action="append", default=[], help="leave out features that begin so")
    parser.add_argument("--each", action="store_true", help="say what each family of features brings")
    parser.add_argument("--write", action="store_true", help="write weights.json")
    given = parser.parse_args()
    examples = [
        one
        for kind in (TRACE, FUNCTIONS)
        for one in gather(given.cases, given.repos, given.cache, kind, given.jobs)
    ]
    rows, weight = rows_of(examples), importance(examples)
    for name in given.without:
        rows = without(rows, name)
    report(examples, rows, weight)
    if given.each:
        for family in ("line", "near", "body", "callee", "file", "words", "says", "age", "novel"):
            print(f"\nwithout {family}")
            report(examples, without(rows, family), weight, parts=False)
    if given.write:
        write(rows, learn(rows, range(len(examples)), weight), len(examples))


def without(rows: Rows, name: str) -> Rows:
    """The same examples without a family of features."""
    kept = [at for at, one in enumerate(rows.names) if name not in one.split("_") and one != name]
    return Rows([rows.names[at] for at in kept], [matrix[:, kept] for matrix in rows.matrices], rows.right)


def report(examples: Sequence[Example], rows: Rows, weight: np.ndarray, *, parts: bool = True) -> None:
    ranks = elsewhere(examples, rows, weight)
    for name, some in groups_of(examples).items():
        if parts or ":" not in name:
            told(name, [examples[at] for at in some], [ranks[at] for at in some])


def write(rows: Rows, weights: np.ndarray, count: int) -> None:
    learned = {
        name: round(float(value), 3)
        for name, value in zip(rows.names, weights, strict=True)
        if abs(value) > 5e-4
    }
    place = Path(model.__file__).with_name("weights.json")
    said = f"learned by `python -m bench.train_causes` from {count} labelled cases; see docs/results.md"
    place.write_text(
        json.dumps({"said": said, "learned": learned, "set_by_hand": NOT_LEARNED}, indent=1) + "\n"
    )
    print(f"\nwrote {len(learned)} weights to {place.name}")


if __name__ == "__main__":
    main()
