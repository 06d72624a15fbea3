"""What a repair says in the end: the best patch, the proof, the hypotheses with their executed evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from fixloop.blocks import parse
from store.repair import (
    CandidateChange,
    ChangeVerdict,
    Evidence,
    Hypothesis,
    Patch,
    Proof,
    Reproducer,
    Validation,
    ValidationVerdict,
)

_RANK = {ValidationVerdict.PROVEN: 0, ValidationVerdict.WEAK: 1}
_STATUS = {
    ChangeVerdict.PROVEN: "supported",
    ChangeVerdict.SUPPORTED: "supported",
    ChangeVerdict.REFUTED: "refuted",
}


def choose(judged: Sequence[tuple[Patch, Validation]]) -> tuple[Patch, Validation] | None:
    """The patch to offer: proven before weak; then what keeps features, what goes forward instead of back, and
    the smaller diff."""
    fit = [pair for pair in judged if pair[1].verdict in _RANK]
    if not fit:
        return None
    return min(
        fit,
        key=lambda pair: (
            _RANK[pair[1].verdict], len(pair[0].loses), pair[0].kind == "revert", _size(pair[0]), pair[0].fixer,
        ),
    )  # fmt: skip


def _size(patch: Patch) -> int:
    lines = (line for diff in patch.diffs.values() for line in diff.splitlines())
    return sum(line.startswith(("+", "-")) and not line.startswith(("+++", "---")) for line in lines)


def proof_of(
    incident_id: str, patch: Patch, reproducer: Reproducer, validation: Validation, at: datetime
) -> Proof:
    """The proof, named by the hash of everything it says except when it was made."""
    parts = [incident_id, *(part.model_dump(mode="json") for part in (patch, reproducer, validation))]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return Proof(
        id=digest,
        incident_id=incident_id,
        patch=patch,
        reproducer=reproducer,
        validation=validation,
        made_at=at,
    )


def _telling(change: CandidateChange) -> str | None:
    """The file to open for a change: of its culprit hunks, else its first file that is code."""
    if change.hunks:
        return next((block.path for block in parse(change.hunks)), None)
    return next(
        (path for path in change.files if path.endswith(".py")), change.files[0] if change.files else None
    )


def hypotheses_of(changes: Iterable[CandidateChange]) -> tuple[Hypothesis, ...]:
    """One hypothesis for each change that was run, with what the runs showed; status is computed, never
    claimed."""
    found: list[Hypothesis] = []
    for change in changes:
        if change.verdict == ChangeVerdict.UNTESTED:
            continue
        evidence = Evidence(
            kind="commit",
            claim=change.said or change.verdict,
            supports=change.verdict != ChangeVerdict.REFUTED,
            repo=change.repo,
            commit=change.commit,
            path=_telling(change),
            quote=change.title,
        )
        found.append(
            Hypothesis(
                id=f"H{len(found) + 1}",
                statement=f"{change.repo} {change.commit[:9]} ({change.title}) caused it",
                score=change.score,
                status=_STATUS.get(change.verdict, "undetermined"),
                evidence=(evidence,),
                predicts="the reproducer passes on its parent and fails on it; without its hunks it passes",
            )
        )
    return tuple(found)
