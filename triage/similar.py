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


@dataclass(frozen=True)
class _Traits:
    """What is compared of an incident."""

    types: frozenset[str]
    calls: frozenset[str]
    words: frozenset[str]


def similar(own: Known, past: Sequence[Known]) -> tuple[Likeness, ...]:
    """The past incidents that are like this one, the likest first; of two that are alike the newer."""
    traits = _traits(own)
    found = []
    for other in past:
        if other.id != own.id:
            theirs = _traits(other)
            score = _score(traits, theirs)
            if score >= LEAST:
                found.append(Likeness(other.id, round(score, 3), other.title, _because(traits, theirs)))
    return tuple(sorted(found, key=lambda one: (-one.score, -_number(one.id)))[:SHOWN])


def _score(own: _Traits, other: _Traits) -> float:
    """By what both have: without a stack on either side the words weigh for it."""
    parts = {"words": _overlap(own.words, other.words)}
    if own.types or other.types:
        parts["type"] = float(not own.types.isdisjoint(other.types))
    if own.calls or other.calls:
        parts["calls"] = _overlap(own.calls, other.calls)
    return sum(_SHARES[name] * value for name, value in parts.items()) / sum(_SHARES[name] for name in parts)


def _because(own: _Traits, other: _Traits) -> str:
    reasons = [f"the same {name}" for name in sorted(own.types & other.types)]
    if own.calls & other.calls:
        reasons.append(f"{len(own.calls & other.calls)} of {len(own.calls | other.calls)} calls")
    common = sorted(own.words & other.words)[:6]
    reasons += [f"the words {', '.join(common)}"] if common else []
    return "; ".join(reasons)


def _traits(known: Known) -> _Traits:
    said = known.title.partition(": ")[2] or known.title  # without the type that stands before it
    return _Traits(
        types=_of(known.parts, "type: "),
        calls=_of(known.parts, "call: "),
        words=frozenset(_WORD.findall(said.lower())),
    )


def _of(parts: Sequence[str], prefix: str) -> frozenset[str]:
    return frozenset(part.removeprefix(prefix) for part in parts if part.startswith(prefix))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    both = one | other
    return len(one & other) / len(both) if both else 0.0


def _number(name: str) -> int:
    return int(name.rpartition("-")[2]) if name.rpartition("-")[2].isdigit() else 0
