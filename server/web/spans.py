"""The spans around an event, those that came with it, as a waterfall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from server.web.charts import length
from store.event import Event

_MOST = 40  # spans that are drawn, the longest
_WIDTH, _ROW = 640, 22


@dataclass(frozen=True)
class Span:
    """One span: its name, when it began in seconds after the first, and how long it took."""

    name: str
    begins: float
    took: float
    failed: bool


def spans(event: Event) -> Sequence[Span]:
    """The spans that came along as breadcrumbs, in the order in which they began."""
    told = [
        (crumb.timestamp, crumb.message or "?", crumb.data["ms"] / 1000, crumb.level == "error")
        for crumb in event.breadcrumbs
        if crumb.category == "span" and crumb.timestamp and isinstance(crumb.data.get("ms"), int | float)
    ]
    if not told:
        return ()
    first = min(at for at, *_ in told)
    found = [Span(name, (at - first).total_seconds(), took, failed) for at, name, took, failed in told]
    longest = sorted(found, key=lambda span: -span.took)[:_MOST]
    return sorted(longest, key=lambda span: span.begins)


def waterfall(event: Event) -> Markup:
    """The spans of an event, one line each on one scale of time."""
    found = spans(event)
    whole = max((span.begins + span.took for span in found), default=0.0) or 1.0
    rows = Markup("").join(
        Markup(
            '<g transform="translate(0 {})"><rect class="{}" x="{}" y="4" width="{}" height="14"/>'
            '<text x="4" y="15">{}{} · {}</text></g>'
        ).format(
            place * _ROW,
            "failed" if span.failed else "",
            f"{span.begins / whole * _WIDTH:.1f}",
            f"{max(span.took / whole * _WIDTH, 2):.1f}",
            "✗ " if span.failed else "",
            span.name[:80],
            length(span.took),
        )
        for place, span in enumerate(found)
    )
    said = "; ".join(
        f"{span.name[:60]} {length(span.took)}{', failed' if span.failed else ''}" for span in found[:12]
    )
    tall = len(found) * _ROW
    return Markup(
        '<div class="scroll" role="region" tabindex="0" aria-label="Spans"><svg class="bars" viewBox="0 0 {} {}" '
        'width="{}" height="{}" role="img" aria-label="{}">{}</svg></div>'
    ).format(_WIDTH, tall, _WIDTH, tall, said, rows)
