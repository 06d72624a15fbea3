"""Blocks of a review that say how lines should read (```suggestion), applied as text. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLOCK = re.compile(
    r"^(?P<fence>`{3,})suggestion(?::-(?P<above>[0-9]{1,3})\+(?P<below>[0-9]{1,3}))?[ \t]*\n"
    r"(?P<text>.*?)^(?P=fence)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Suggestion:
    """Lines that take the place of those the comment stands on, widened by `above` and `below` lines (GitLab)."""

    text: str
    above: int | None = None
    below: int | None = None


def suggested(comment: str) -> Suggestion | None:
    """The first block of a comment; None where it has none."""
    found = _BLOCK.search(comment.replace("\r\n", "\n"))
    if found is None:
        return None
    above, below = found["above"], found["below"]
    wide = above is not None
    return Suggestion(found["text"], int(above) if wide else None, int(below) if wide else None)


def applied(text: str, suggestion: Suggestion, first: int, last: int) -> str | None:
    """A file's text with the suggestion in the place of its lines `first` to `last` (from 1); None where it has no such
    lines."""
    if suggestion.above is not None and suggestion.below is not None:
        first, last = last - suggestion.above, last + suggestion.below
    lines = text.splitlines(keepends=True)
    if not 1 <= first <= last <= len(lines):
        return None
    ending = "\r\n" if lines[first - 1].endswith("\r\n") else "\n"
    new = suggestion.text.replace("\n", ending)
    return "".join([*lines[: first - 1], new, *lines[last:]])
