"""What `nightdesk eval causes` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.cli.output import table
from server.evaluation.changes import BASELINES, OURS, Outcome

_FIGURES = ("n", "top1", "top3", "top5", "top10", "mrr", "coverage", "changes", "candidates", "median_s")


def causes_tables(outcomes: Sequence[Outcome], summed: Mapping[int, Mapping[str, Any]], last: int) -> str:
    """For each window our row and the baselines'; then the parts of the last window; then what could not be asked."""
    heads = ["window", "method", *_FIGURES]
    rows = [heads]
    for days, rates in summed.items():
        rows.append([f"{days} d", OURS, *_figures(rates)])
        rows += [[f"{days} d", method, *_figures(rates["baselines"][method])] for method in BASELINES]
    parts = [["part", *_FIGURES], *([name, *_figures(row)] for name, row in summed[last]["parts"].items())]
    problems = sorted({one.problem for one in outcomes if one.problem})
    said = [
        f"not asked: {sum(one.problem == problem for one in outcomes)} × {problem}"
        for problem in problems[:12]
    ]
    return "\n\n".join(part for part in (table(rows), table(parts), "\n".join(said)) if part)


def _figures(rates: Mapping[str, Any]) -> list[str]:
    return [_plain(rates.get(name)) for name in _FIGURES]


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
