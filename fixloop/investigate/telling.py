"""A pack in words for a model: our facts in the open, what others wrote between marks that it cannot know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence

from fixloop.investigate.pack import Code, Pack
from store.repair import CandidateChange, Hypothesis

ROOM = 48_000  # characters of a pack
_HUNKS = 2_500
_DOCUMENT = 3_000


def fenced(label: str, text: str) -> str:
    """A text of others between marks that carry its own hash: nothing in it can be the end of it."""
    mark = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return f"===== {label} {mark}\n{text}\n===== end {mark}"


def told(pack: Pack, room: int = ROOM) -> str:
    """Everything of the pack that fits, the most telling first."""
    parts: list[str] = []
    for part in _parts(pack):
        room -= len(part) + 2
        if room < 0:
            parts.append("(More is known than fits here: ask with your tools.)")
            break
        parts.append(part)
    return "\n\n".join(parts)


def _parts(pack: Pack) -> Iterator[str]:
    commits = ", ".join(f"{repo} at {commit}" for repo, commit in pack.commits.items())
    yield f"Running release: {commits}. {len(pack.events)} occurrence(s) are kept."
    for hint in pack.hints:
        yield fenced("what whoever started this thinks", hint)
    event = pack.first
    head = [f"{error.type}: {error.value}" for error in event.exceptions] or [event.message or ""]
    yield fenced("event 0, exceptions (the last was raised last)", "\n".join(head))
    rows = [
        f"{own.location.repo} {own.location.path}:{own.location.line} in {own.frame.function}: "
        f"{json.dumps(own.frame.vars, ensure_ascii=False, default=str)[:1200]}"
        for own in pack.own
    ]
    yield fenced("event 0, own frames, innermost last, with their variables", "\n".join(rows))
    yield from code_parts(pack.code[:4])
    if event.request is not None:
        request = event.request.model_dump(mode="json", exclude_defaults=True)
        yield fenced("event 0, request", json.dumps(request, ensure_ascii=False)[:4000])
    yield from changes_parts(pack.changes)
    moments = [f"{one.id} {one.offset:+} ms {one.source}: {one.text}" for one in pack.moments]
    yield fenced("what happened when (id, milliseconds from the first occurrence)", "\n".join(moments[:80]))
    authored = [f"{one.repo} {one.path}:{one.line} {one.commit[:12]} {one.text}" for one in pack.authored]
    yield fenced("who last wrote the lines of the stack", "\n".join(authored))
    for document in pack.documents:
        yield fenced(f"{document.kind} {document.repo}/{document.path}", document.text[:_DOCUMENT])
    if pack.earlier:
        rows = [f"{one.incident} {one.status} {one.place}: {one.title}; {one.said}" for one in pack.earlier]
        yield fenced("earlier incidents in the same lines", "\n".join(rows))


def code_parts(code: Iterable[Code]) -> Iterator[str]:
    """Pieces of the release, numbered."""
    for piece in code:
        lines = [f"{piece.first + at} {line}" for at, line in enumerate(piece.text.split("\n"))]
        yield fenced(
            f"{piece.repo} {piece.path} at {piece.commit} (line {piece.failed} failed)", "\n".join(lines)
        )


def changes_parts(changes: Iterable[CandidateChange]) -> Iterator[str]:
    """Candidate changes, likeliest first."""
    for change in changes:
        head = f"{change.repo} {change.commit} {change.authored_at:%Y-%m-%d} {change.title}"
        why = "; ".join(change.reasons)
        hunks = f"\n{change.hunks[:_HUNKS]}" if change.hunks else f"\n{', '.join(change.files[:8])}"
        yield fenced("candidate change", f"{head}\nranked because: {why}{hunks}")


def claims(hypotheses: Sequence[Hypothesis]) -> str:
    """What was claimed, checked and not refuted: only what stands in code and commits, no words of an event."""
    rows = []
    for one in hypotheses:
        if one.status == "refuted":
            continue
        rows.append(f"{one.id} ({one.status}, {one.kind}) {one.statement}")
        for cited in one.evidence:
            if cited.kind in {"code_line", "commit"}:
                where = " ".join(filter(None, (cited.repo, (cited.commit or "")[:12], cited.path)))
                rows.append(f"  {where}{f':{cited.line}' if cited.line else ''} {cited.quote or ''}")
    return "\n".join(rows)
