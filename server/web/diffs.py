"""Unified diffs as rows that a template can draw: the kind of each line, its numbers, its text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from markupsafe import Markup

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)")
_MOST_LINES = 2000  # a page is for reading


@dataclass
class Line:
    """One line of a diff. `sign` is `+`, `-`, a space, or `@` for the head of a hunk."""

    sign: str
    old: int | None
    new: int | None
    text: str
    html: Markup | None = None  # the text in colours, where the whole file is known

    @property
    def shown(self) -> Markup | str:
        """In colours, or as it is."""
        return self.text if self.html is None else self.html


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
    left = [0, 0]  # lines of the hunk that are still to come, on either side
    before = "?"
    for text in diff.split("\n"):
        if left != [0, 0] and text[:1] in {"+", "-", " "}:
            _append(files[-1], _line(text, old, new))
            old, new = old + (text[0] != "+"), new + (text[0] != "-")
            left = [max(left[0] - (text[0] != "+"), 0), max(left[1] - (text[0] != "-"), 0)]
        elif text.startswith("--- "):
            before = _path(text)
        elif text.startswith("+++ "):
            after = _path(text)
            path = before if after == "/dev/null" else after
            if (
                not files or files[-1].path != path
            ):  # hunks that were picked come with the head of their file each
                files.append(DiffFile(path))
        elif files and (head := _HUNK.match(text)):
            old, new = int(head[1]), int(head[3])
            left = [int(head[2] or 1), int(head[4] or 1)]
            files[-1].lines.append(Line("@", None, None, head[5]))
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
