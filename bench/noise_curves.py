"""Draw precision and recall of `eval noise` as a picture.

    nightdesk eval noise FILE --json > figures.json
    python -m bench.noise_curves figures.json docs/noise-curves.svg

One panel a family of sources: recall (what matters is kept) against the share set aside, and precision. The dot is
the threshold that is in force. Plain SVG, the same figures give the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

SIZE, GAP, TOP = 220, 54, 46
RECALL, PRECISION = "#1f6feb", "#bf5b04"


def picture(families: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole picture."""
    width = len(families) * (SIZE + GAP) + GAP
    height = SIZE + TOP + 60
    panels = [
        _panel(name, figures, GAP + at * (SIZE + GAP)) for at, (name, figures) in enumerate(families.items())
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'font-family="system-ui, sans-serif" font-size="12">',
            "<title>Recall and precision against the share set aside, by family of sources</title>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            *panels,
            f'<text x="{GAP}" y="{height - 8}" fill="{RECALL}">recall of what matters</text>',
            f'<text x="{GAP + 170}" y="{height - 8}" fill="{PRECISION}">precision of what is kept</text>',
            f'<text x="{GAP + 350}" y="{height - 8}" fill="#57606a">across: share set aside. '
            f"dot: threshold in force</text>",
            "</svg>\n",
        ]
    )


def _panel(name: str, figures: Mapping[str, Any], left: float) -> str:
    points = figures["curve"]
    auc = "-" if figures["auc"] is None else f"{figures['auc']:.2f}"
    parts = [
        f'<text x="{left}" y="{TOP - 26}" font-weight="600">{escape(name)}</text>',
        f'<text x="{left}" y="{TOP - 10}" fill="#57606a">n {figures["n"]}, base rate '
        f"{figures['base_rate']:.2f}, AUC {auc}</text>",
        f'<rect x="{left}" y="{TOP}" width="{SIZE}" height="{SIZE}" fill="none" stroke="#8c959f"/>',
    ]
    for share in (0.25, 0.5, 0.75):
        across, down = left + share * SIZE, TOP + share * SIZE
        parts.append(
            f'<path d="M{across} {TOP}v{SIZE}M{left} {down}h{SIZE}" stroke="#d0d7de" stroke-width=".7"/>'
        )
    for share in (0, 0.5, 1):
        parts.append(
            f'<text x="{left + share * SIZE - 6}" y="{TOP + SIZE + 15}" fill="#57606a">{share:g}</text>'
        )
        parts.append(
            f'<text x="{left - 22}" y="{TOP + SIZE * (1 - share) + 4}" fill="#57606a">{share:g}</text>'
        )
    for key, colour in (("precision", PRECISION), ("recall", RECALL)):
        parts.append(_line([(point["set_aside"], point[key]) for point in points], left, colour))
        if figures[key] is not None:
            across, down = _at(figures["set_aside"], figures[key], left)
            parts.append(f'<circle cx="{across}" cy="{down}" r="4" fill="{colour}"/>')
    return "\n".join(parts)


def _line(points: Sequence[tuple[float, float]], left: float, colour: str) -> str:
    path = " ".join("{},{}".format(*_at(share, height, left)) for share, height in sorted(points))
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def _at(share: float, height: float, left: float) -> tuple[float, float]:
    return round(left + share * SIZE, 1), round(TOP + (1 - height) * SIZE, 1)


def main() -> int:
    """Read the figures, write the picture."""
    if len(sys.argv) != 3:
        print(__doc__)
        return 2
    figures = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    Path(sys.argv[2]).write_text(picture(figures["summary"]["families"]), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
