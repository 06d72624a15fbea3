"""`_meta` of a Sentry event: what the sender itself had cut or taken out, as marks with our pointers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from store.event import Redaction

LIMIT = 500  # marks of one event
_KINDS = {"x": "cut", "s": "filtered", "d": "removed", "m": "masked", "p": "hashed"}


def marks_of(meta: Any, frame_counts: Sequence[int]) -> tuple[Redaction, ...]:
    """A mark for each remark; `frame_counts` are the frames each exception was sent with (the middle may be
    gone)."""
    marks: list[Redaction] = []
    for path, rule, kind in _remarks(meta, ()):
        pointer = _pointer(path, frame_counts)
        if pointer is not None and len(marks) < LIMIT:
            marks.append(Redaction(pointer=pointer, kind=_KINDS.get(kind, "cut"), rule=f"sender:{rule}"[:60]))
    return tuple(marks)


def _remarks(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if not isinstance(node, dict) or len(path) > 20:
        return
    for key, below in node.items():
        if key:
            yield from _remarks(below, (*path, str(key)))
        elif isinstance(below, dict):
            remarks = below.get("rem")
            for remark in remarks if isinstance(remarks, list) else []:
                if isinstance(remark, list) and len(remark) >= 2:
                    yield path, str(remark[0]), str(remark[1])
            if not remarks and "len" in below:
                yield path, "limit", "x"


def _pointer(path: tuple[str, ...], frame_counts: Sequence[int]) -> str | None:
    """Sentry's path as a JSON pointer into our Event; None where that part is not kept."""
    parts = list(path)
    if parts[:2] == ["exception", "values"]:
        parts[:2] = ["exceptions"]
    elif parts[:2] == ["breadcrumbs", "values"]:
        parts[:2] = ["breadcrumbs"]
    elif parts[:1] == ["logentry"]:
        parts = ["message"]
    if (
        parts[2:4] == ["stacktrace", "frames"]
        and parts[1].isdigit()
        and len(parts) > 4
        and parts[4].isdigit()
    ):
        which, number = int(parts[1]), int(parts[4])
        count = frame_counts[which] if which < len(frame_counts) else 0
        if count > 100 and number >= 50:
            number -= count - 101
            if number <= 50:
                return None
        parts[2:5] = ["frames", str(number)]
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)
