"""Small charts as inline SVG, drawn on the server: each says in words what it shows, and needs no script and no style
attribute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from markupsafe import Markup

_BUCKETS = 24
_WIDTH, _HEIGHT = 120, 28
_BAR = 220  # of the longest time
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def sparkline(times: Sequence[datetime], now: datetime | None = None) -> Markup:
    """How often something was seen, oldest on the left, from its first time shown to now, in 24 equal parts."""
    if not times:
        return Markup("")
    end = max(now or datetime.now(UTC), times[-1])
    span = max((end - times[0]).total_seconds(), 60.0)
    counts = [0] * _BUCKETS
    for moment in times:
        place = int((moment - times[0]).total_seconds() / span * _BUCKETS)
        counts[min(place, _BUCKETS - 1)] += 1
    top, step = max(counts), _WIDTH / _BUCKETS
    bars = Markup("").join(
        Markup('<rect x="{}" y="{}" width="{}" height="{}"/>').format(
            f"{place * step:.1f}", f"{_HEIGHT - tall:.1f}", f"{step - 1:.1f}", f"{tall:.1f}"
        )
        for place, count in enumerate(counts)
        if (tall := max(count / top * _HEIGHT, 2.0 if count else 0.0))
    )
    said = f"{len(times)} events in the last {length(span)}, {top} in the busiest {length(span / _BUCKETS)}"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<path d="M0 {}H{}"/>{}</svg>'
    ).format(_WIDTH, _HEIGHT, _WIDTH, _HEIGHT, said, _HEIGHT - 0.5, _WIDTH, bars)


def durations(named: Mapping[str, tuple[float, float | None]]) -> Markup:
    """One bar for each length of time, in seconds, on one scale: the median, and fainter the time that nine of ten
    keep."""
    longest = max((max(took, most or 0.0) for took, most in named.values()), default=0.0) or 1.0
    rows, said = [], []
    for place, (name, (took, most)) in enumerate(named.items()):
        wide = max(most or 0.0, took) / longest * _BAR
        told = length(took) + (f", 9 of 10 within {length(most)}" if most is not None else "")
        rows.append(
            Markup(
                '<g transform="translate(0 {})"><text x="0" y="13">{}</text><rect class="most" x="90" y="3" width="{}" '
                'height="12"/><rect x="90" y="3" width="{}" height="12"/><text x="{}" y="13">{}</text></g>'
            ).format(
                place * 22,
                name,
                f"{max(wide, 2):.0f}",
                f"{max(took / longest * _BAR, 2):.0f}",
                f"{98 + wide:.0f}",
                told,
            )
        )
        said.append(f"{name}: {told}")
    tall = len(named) * 22
    return Markup(
        '<svg class="bars" viewBox="0 0 560 {}" width="560" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(tall, tall, "; ".join(said), Markup("").join(rows))


def columns(named: Mapping[str, float], unit: str) -> Markup:
    """One column for each amount, in their order, on one scale."""
    most = max(named.values(), default=0.0)
    step = _WIDTH * 2 / max(len(named), 1)
    bars = Markup("").join(
        Markup('<rect x="{}" y="{}" width="{}" height="{}"/>').format(
            f"{place * step:.1f}", f"{_HEIGHT - tall:.1f}", f"{step - 2:.1f}", f"{tall:.1f}"
        )
        for place, amount in enumerate(named.values())
        if (tall := amount / most * _HEIGHT if most else 0.0)
    )
    first, last = next(iter(named), ""), next(reversed(list(named)), "")
    said = f"from {first} to {last}: {sum(named.values()):.2f} {unit} in all, at most {most:.2f} {unit} a day"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<path d="M0 {}H{}"/>{}</svg>'
    ).format(_WIDTH * 2, _HEIGHT, _WIDTH * 2, _HEIGHT, said, _HEIGHT - 0.5, _WIDTH * 2, bars)


def before(moment: datetime | None, end: datetime) -> str:
    """How long before `end` something was: `-120 ms`, `-4.2 s`; nothing where it is not known."""
    if moment is None:
        return ""
    seconds = (moment - end).total_seconds()
    if abs(seconds) < 10:
        return f"{seconds * 1000:+.0f} ms" if abs(seconds) < 1 else f"{seconds:+.1f} s"
    return f"{'-' if seconds < 0 else '+'}{length(abs(seconds))}"


def length(seconds: float | timedelta) -> str:
    """A length of time in one or two units: `3 h 20 min`, `850 ms`."""
    left = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    if left < 1:
        return f"{left * 1000:.0f} ms"
    if left < 60:
        return f"{left:.1f} s" if left < 10 else f"{left:.0f} s"
    parts: list[str] = []
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if number or parts:
            parts.append(f"{number:.0f} {unit}" if number else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


CHARTS: dict[str, Callable[..., Any]] = {
    "sparkline": sparkline,
    "durations": durations,
    "columns": columns,
    "before": before,
    "length": length,
}
