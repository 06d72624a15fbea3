"""Incidents of the past that look like this one. Shown as a hint, with what became of them; nothing is merged by it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 0.5  # likeness from which a past incident is named
SHOWN = 3
_WORD = re.compile(r"[A-Za-z_]{3,}")
_SHARES = {"type": 0.25, "calls": 0.5, "words": 0.25}


@dataclass(frozen=True)
class Known:
    """An incident of the past: its fingerprint's parts, title, and its outcome in words."""

    id: str
    parts: tuple[str, ...]
    title: str


@dataclass(frozen=True)
class Likeness:
    """How like a past incident is, 0..1, and by what."""

    id: str
    score: float
    title: str
    because: str


def similar(own: Known, past: Sequence[Known]) -> tuple[Likeness, ...]:
    """The past incidents that are like this one, the likest first; of two that are alike the newer."""
    found = [one for other in past if other.id != own.id and (one := _likeness(own, other)).score >= LEAST]
    return tuple(sorted(found, key=lambda one: (-one.score, -_number(one.id)))[:SHOWN])


def _likeness(own: Known, other: Known) -> Likeness:
    """By what both have: without a stack on either side the words weigh for it."""
    calls = _of(own.parts, "call: "), _of(other.parts, "call: ")
    parts = {"words": _overlap(_words(own), _words(other))}
    types = _of(own.parts, "type: "), _of(other.parts, "type: ")
    if types[0] or types[1]:
        parts["type"] = float(bool(types[0] & types[1]))
    if calls[0] or calls[1]:
        parts["calls"] = _overlap(*calls)
    whole = sum(_SHARES[name] for name in parts)
    score = sum(_SHARES[name] * value for name, value in parts.items()) / whole
    reasons = []
    if parts.get("type"):
        reasons.append(f"the same {', '.join(sorted(types[0] & types[1]))}")
    if calls[0] & calls[1]:
        reasons.append(f"{len(calls[0] & calls[1])} of {len(calls[0] | calls[1])} calls")
    common = sorted(_words(own) & _words(other))[:6]
    reasons += [f"the words {', '.join(common)}"] if common else []
    return Likeness(other.id, round(score, 3), other.title, "; ".join(reasons))


def _of(parts: Sequence[str], prefix: str) -> frozenset[str]:
    return frozenset(part.removeprefix(prefix) for part in parts if part.startswith(prefix))


def _words(known: Known) -> frozenset[str]:
    """Of the title, without the type that stands before it."""
    said = known.title.partition(": ")[2] or known.title
    return frozenset(word.lower() for word in _WORD.findall(said))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    both = one | other
    return len(one & other) / len(both) if both else 0.0


def _number(name: str) -> int:
    return int(name.rpartition("-")[2]) if name.rpartition("-")[2].isdigit() else 0
