"""Unified diffs as rows that a template can draw: the kind of each line, its numbers, its text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)")
_MOST_LINES = 2000  # a page is for reading


@dataclass
class Line:
    """One line of a diff. `sign` is `+`, `-`, a space, or `@` for the head of a hunk."""

    sign: str
    old: int | None
    new: int | None
    text: str


@dataclass
class DiffFile:
    """The lines of one file, and how many were left out because there are too many."""

    path: str
    lines: list[Line] = field(default_factory=list)
    left_out: int = 0

    @property
    def added(self) -> int:
        """Number of lines added, of those shown."""
        return sum(line.sign == "+" for line in self.lines)

    @property
    def removed(self) -> int:
        """Number of lines removed, of those shown."""
        return sum(line.sign == "-" for line in self.lines)


def diff_files(diff: str) -> list[DiffFile]:
    """The files of a unified diff in order. What is not part of a hunk is not shown."""
    files: list[DiffFile] = []
    old = new = 0
    before = "?"
    in_hunk = False
    for text in diff.split("\n"):
        if not in_hunk and text.startswith("--- "):
            before = _path(text)
        elif not in_hunk and text.startswith("+++ "):
            after = _path(text)
            files.append(DiffFile(before if after == "/dev/null" else after))
        elif files and (head := _HUNK.match(text)):
            old, new, in_hunk = int(head.group(1)), int(head.group(2)), True
            files[-1].lines.append(Line("@", None, None, head.group(3)))
        elif text.startswith("diff --git "):
            in_hunk = False
        elif in_hunk and text[:1] in {"+", "-", " "}:
            _append(files[-1], _line(text, old, new))
            old, new = old + (text[0] != "+"), new + (text[0] != "-")
    return files


def _line(text: str, old: int, new: int) -> Line:
    sign = text[0]
    return Line(sign, None if sign == "+" else old, None if sign == "-" else new, text[1:])


def _append(file: DiffFile, line: Line) -> None:
    if len(file.lines) < _MOST_LINES:
        file.lines.append(line)
    else:
        file.left_out += 1


def _path(header: str) -> str:
    """The path of a `--- a/…` or `+++ b/…` line, without the prefix and a time stamp."""
    name = header[4:].split("\t")[0].strip('"')
    return name[2:] if name[:2] in {"a/", "b/"} else name
