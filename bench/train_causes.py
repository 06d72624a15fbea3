"""Learn again how much each feature of a change weighs, from labelled cases, and say how well it does elsewhere.

    uv run python -m bench.train_causes ../shared/data/causes/dev.jsonl --repos DIR --write

Every repository counts the same above a bound, reverts are left out. What is printed is leave-one-repository-out: each
case ranked with weights that were learned without its repository. Same data, same weights: there is no chance in it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.cause_cases import Example, gather
from fixloop.changes import model
from fixloop.changes.model import FUNCTIONS, TRACE

FULL = 45  # cases of one repository that count full; beyond, each counts less
PENALTY = {FUNCTIONS: 10.0, TRACE: 2.0}  # of weights far from where they start, on features scaled to one
# No labelled case shows them: a pinned package of the trace counts as much as a newest touch of the failing function;
# a history's first commit took nothing away, however much of today's code it wrote.
NOT_LEARNED = {"bumps": 2.0, "root": -2.0}
# Where the weights of traces start, if not from those of the functions, which have no words: chosen on the development
# crashes and applications, of other repositories than the traces.
START = {"words": 5.0}
# What speaks for a change may not speak against it, and the other way round: with a few hundred cases such a weight is
# chance.
FOR = frozenset(
    f"{place}_{what}"
    for place in ("body", "whole", "callee", "caller", "reads")
    for what in ("share", "newest", "part", "touch", "added", "removed", "novel", "logic")
) | {
    "line", "outer_line", "near_line", "callee_redefines", "defines", "redefines", "words", "drops", "begins",
    "handles", "test_newest", "file_newest", "focus", "spread", "fresh", "mended", "says_place", "asked", "mentions",
    "row_new", "row_owned", "only", "word_share", "word_part",
}  # fmt: skip
AGAINST = frozenset({"mass", "reverted", "moved", "says_tidy", "merge", "elsewhere"})


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


def learn(examples: Sequence[Example], rows: Rows, chosen: Sequence[int]) -> dict[str, np.ndarray]:
    """Both sets of weights. There are few traces, and nearly all are of one repository: their weights start from those
    of the functions, and what a change says of itself keeps those."""
    of_kind = {kind: [at for at in chosen if examples[at].kind == kind] for kind in (FUNCTIONS, TRACE)}
    free = fit(
        rows, of_kind[FUNCTIONS], importance(examples), np.zeros(len(rows.names)), PENALTY[FUNCTIONS], set()
    )
    told_by_itself = {name for name in rows.names if name.startswith("says_") or name == "tested"}
    even = np.ones(len(examples))
    start = np.array([START.get(name, weight) for name, weight in zip(rows.names, free, strict=True)])
    return {FUNCTIONS: free, TRACE: fit(rows, of_kind[TRACE], even, start, PENALTY[TRACE], told_by_itself)}


def fit(
    rows: Rows, chosen: Sequence[int], weight: np.ndarray, prior: np.ndarray, penalty: float, held: set[str]
) -> np.ndarray:
    """The likeliest weights near `prior`, refitted without those whose sign makes no sense until none is left; what is
    `held` stays."""
    some = [at for at in chosen if rows.right[at].any() and len(rows.right[at]) > 1]
    if not some:
        return prior
    every = np.vstack([rows.matrices[at] for at in some])
    lengths = [len(rows.right[at]) for at in some]
    cases = Cases(
        np.concatenate([rows.right[at] for at in some]), np.r_[0, np.cumsum(lengths)[:-1]],
        np.repeat(np.arange(len(some)), lengths), weight[some],
    )  # fmt: skip
    # Scaled by those that have it: a rare feature is not blown up.
    scale = np.sqrt((every**2).sum(0) / np.maximum((every != 0).sum(0), 1))
    scale[scale == 0] = 1.0
    every /= scale
    kept, begin = list(range(len(rows.names))), prior * scale
    while True:
        stiff = np.array([1e6 if rows.names[column] in held else penalty for column in kept])
        found = _climb(every[:, kept], cases, (prior * scale)[kept], stiff, begin[kept])
        begin[kept] = found
        wrong = {
            column
            for column, value in zip(kept, found, strict=True)
            if (value < -1e-9 and rows.names[column] in FOR)
            or (value > 1e-9 and rows.names[column] in AGAINST)
        }
        if not wrong:
            break
        kept = [column for column in kept if column not in wrong]
    weights = np.zeros(len(rows.names))
    weights[kept] = found / scale[kept]
    return weights


@dataclass(frozen=True)
class Cases:
    """Rows of many cases in one matrix: which are right, where each case starts, which case each row is of."""

    right: np.ndarray
    starts: np.ndarray
    of: np.ndarray
    weight: np.ndarray


def _climb(
    x: np.ndarray, cases: Cases, prior: np.ndarray, stiff: np.ndarray, begin: np.ndarray
) -> np.ndarray:
    """The most likely weights of a softmax over each case: Newton's steps from `begin`, halved where they overshoot."""
    starts, of, each = cases.starts, cases.of, cases.weight[cases.of]

    def likely(b: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        z = np.clip(x @ b, -300, 300)
        power = np.exp(np.maximum(z - np.maximum.reduceat(z, starts)[of], -600))
        total = np.add.reduceat(power, starts)
        good = np.add.reduceat(power * cases.right, starts)
        value = float((cases.weight * np.log(good / total)).sum() - (stiff / 2 * (b - prior) ** 2).sum())
        return value, power / total[of], power * cases.right / good[of]

    b = begin.copy()
    value, p, q = likely(b)
    for _ in range(60):
        slope = x.T @ ((q - p) * each) - stiff * (b - prior)
        means = np.add.reduceat(x * p[:, None], starts, axis=0)
        curve = (x * (p * each)[:, None]).T @ x - (means * cases.weight[:, None]).T @ means + np.diag(stiff)
        step = np.linalg.solve(curve, slope)
        size, new = 1.0, value
        while size > 1e-6:
            new, new_p, new_q = likely(b + size * step)
            if new > value:
                break
            size /= 2
        if new - value < 1e-6:
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


def left_out(examples: Sequence[Example], rows: Rows, parts: Sequence[set[int]]) -> list[int | None]:
    """The rank of each case in `parts`, with weights learned without the part that it is in."""
    ranks: list[int | None] = [None] * len(examples)
    for part in parts:
        weights = learn(examples, rows, [at for at in range(len(examples)) if at not in part])
        for at in part:
            ranks[at] = rank_of(rows, at, weights[examples[at].kind])
    return ranks


def folds(examples: Sequence[Example]) -> list[set[str]]:
    """Which repositories are left out at a time: each large one alone, the small ones in four groups."""
    counts = Counter(one.repo for one in examples)
    small = sorted(repo for repo, count in counts.items() if count < 8)
    alone = [{repo} for repo in sorted(counts) if counts[repo] >= 8]
    return [*alone, *(set(small[at::4]) for at in range(4) if small[at::4])]


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
    parser.add_argument(
        "--seconds", type=float, default=3600, help="stop gathering then; the next run goes on"
    )
    parser.add_argument("--without", action="append", default=[], help="leave out features that begin so")
    parser.add_argument("--each", action="store_true", help="say what each family of features brings")
    parser.add_argument("--write", action="store_true", help="write weights.json")
    given = parser.parse_args()
    until = time.time() + given.seconds
    examples, remain = gather(given.cases, given.repos, given.cache, given.jobs, until)
    if remain:
        sys.exit(
            f"{remain} cases were not reached in {given.seconds:.0f} s; run it again, and it goes on there."
        )
    rows = rows_of(examples)
    for name in given.without:
        rows = without(rows, name)
    report(examples, rows)
    if given.each:
        for family in ("line", "near", "body", "callee", "file", "words", "says", "age", "novel"):
            print(f"\nwithout {family}")
            report(examples, without(rows, family), parts=False)
    if given.write:
        write(rows, learn(examples, rows, range(len(examples))), len(examples))


def without(rows: Rows, name: str) -> Rows:
    """The same examples without a family of features."""
    kept = [at for at, one in enumerate(rows.names) if name not in one.split("_") and one != name]
    return Rows([rows.names[at] for at in kept], [matrix[:, kept] for matrix in rows.matrices], rows.right)


def report(examples: Sequence[Example], rows: Rows, *, parts: bool = True) -> None:
    """Leave-one-repository-out. Nearly all traces are of one repository, and without it nothing learns what a failing
    line weighs: so traces also by case, in eight parts, each with the same cases asked by function."""
    by_repository = [{at for at, one in enumerate(examples) if one.repo in some} for some in folds(examples)]
    ids = sorted({one.id for one in examples if one.kind == TRACE}, key=lambda name: name[::-1])
    by_case = [{at for at, one in enumerate(examples) if one.id in ids[first::8]} for first in range(8)]
    for how, split in (("", by_repository), (", by case", by_case)):
        ranks = left_out(examples, rows, split)
        for name, some in groups_of(examples).items():
            if (parts and not how) or (":" not in name and (not how or name.startswith(TRACE))):
                told(f"{name}{how}", [examples[at] for at in some], [ranks[at] for at in some])


def write(rows: Rows, weights: Mapping[str, np.ndarray], count: int) -> None:
    learned = {
        kind: {
            name: round(float(value), 3)
            for name, value in zip(rows.names, found, strict=True)
            if abs(value) >= 0.005
        }
        for kind, found in weights.items()
    }
    place = Path(model.__file__).with_name("weights.json")
    said = f"learned by `python -m bench.train_causes` from {count} labelled cases; see docs/results.md"
    place.write_text(json.dumps({"said": said, **learned, "set_by_hand": NOT_LEARNED}, indent=1) + "\n")
    print(f"\nwrote {', '.join(f'{len(found)} weights by {kind}' for kind, found in learned.items())}")


if __name__ == "__main__":
    main()
