"""What `nightdesk eval noise` and `eval grouping` print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.cli.output import table

_NOISE = (
    ("n", "n"), ("base rate", "base_rate"), ("set aside", "set_aside"), ("recall", "recall"),
    ("recall ≥ (95 %)", "recall_lower"), ("precision", "precision"), ("AUC", "auc"), ("threshold", "threshold"),
    ("not in focus", "cut"), ("lost", "lost"), ("not lost ≥", "not_lost_lower"),
)  # fmt: skip
_GROUPING = (
    ("n", "n"), ("wanted", "groups_wanted"), ("made", "groups_made"), ("pair P", "pairwise_precision"),
    ("pair R", "pairwise_recall"), ("pair F1", "pairwise_f1"), ("B3 F1", "bcubed_f1"),
    ("exact", "grouping_accuracy"),
)  # fmt: skip
_CUT = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def noise_table(summary: Mapping[str, Any]) -> str:
    """Each source apart, families beneath; what calibration promised; the curve of each family."""
    sources, families = summary["sources"], summary["families"]
    rows = [["source", *(head for head, _ in _NOISE)]]
    rows += [_row(name, figures, _NOISE) for name, figures in sources.items()]
    rows += [_row(f"= {name}", figures, _NOISE) for name, figures in families.items()]
    promised = [
        f"{name}: {figures['calibration']['said']}"
        for name, figures in sources.items()
        if "calibration" in figures
    ]
    heads = ["recall at a share set aside of", *(f"{share:.0%}" for share in _CUT)]
    curves = [heads, *([name, *_recalls(figures["curve"])] for name, figures in families.items())]
    said = (
        "set aside, recall, precision: by the score and its threshold. not in focus, lost: by lane (lost: what "
        "matters and was put into the noise lane). Sources mean different things: do not pool them."
    )
    return "\n\n".join(part for part in (table(rows), "\n".join(promised), table(curves), said) if part)


def grouping_table(summary: Mapping[str, Any]) -> str:
    """Each source and all together."""
    rows = [["source", *(head for head, _ in _GROUPING)]]
    rows += [_row(name, figures, _GROUPING) for name, figures in summary["sources"].items()]
    return table([*rows, _row("= all", summary, _GROUPING)])


def _row(name: str, figures: Mapping[str, Any], columns: tuple[tuple[str, str], ...]) -> list[str]:
    return [name, *(_plain(figures[key]) for _, key in columns)]


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _recalls(curve: list[dict[str, float]]) -> list[str]:
    """The best recall at each share set aside or more."""
    found = []
    for share in _CUT:
        reached = [point["recall"] for point in curve if point["set_aside"] >= share]
        found.append(f"{max(reached):.3f}" if reached else "-")
    return found
