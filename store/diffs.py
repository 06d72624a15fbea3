"""What git prints of changes, taken apart: log records with their files, and hunks without context."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from store.commits import Change, Hunk, Touch
from store.git import unquote

RECORD = "%x01%H%x00%P%x00%an <%ae>%x00%at%x00%ct%x00%B%x00"
LONGEST = 400  # characters of a diff line that are kept
_LATEST = 253402300799  # the end of the calendar: commit times are whatever somebody wrote

_SUBJECT_PULL = re.compile(r"\((#\d+|!\d+)\)\s*$")
_MERGE_PULL = re.compile(r"^Merge pull request (#\d+) from ", re.MULTILINE)
_MERGE_REQUEST = re.compile(r"^See merge request (?:[\w.\-/]+)?(!\d+)\s*$", re.MULTILINE)
_TRAILER = re.compile(
    r"^(?:PR-URL|Pull-Request|Reviewed-on|Reviewed-by-PR|Differential Revision|Closes-PR|GitHub-Pull-Request|"
    r"Merge-Request):\s*(\S{1,200})\s*$",
    re.MULTILINE | re.IGNORECASE,
)
_NUMBER = re.compile(r"(?:/pull/|/merge_requests/|/\+/|/c/[\w./-]*?/)(\d+)/?$")
_REVERTS = re.compile(r"(?:This )?[Rr]everts? (?:commit )?([0-9a-f]{8,64})\b")
_PICKED = re.compile(r"\(cherry[- ]picked from commit ([0-9a-f]{8,64})")
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)")
_RAW = re.compile(rb":\d+ \d+ [0-9a-f]+ [0-9a-f]+ ([A-Z])\d*")


def changes(printed: bytes) -> Iterator[tuple[Change, list[tuple[str, Touch]]]]:
    """Records of `git log -z --raw --format=RECORD`: the change, and (path, touch) for each of its files.

    A message can hold anything but a NUL, and each field has its place; the mark at the start of a record is
    looked for only where a record can start."""
    fields = iter(printed.split(b"\0"))
    head = _filled(fields)
    while head.startswith(b"\x01"):
        sha = head[1:].decode()
        parents, author, authored, committed, message = (next(fields) for _ in range(5))
        touches: list[tuple[str, Touch]] = []
        head = _filled(fields)
        while (raw := _RAW.match(head)) is not None:
            kind, path = raw[1].decode(), os.fsdecode(next(fields))
            before = None
            if kind in "RC":
                before, path = path, os.fsdecode(next(fields))
            touches.append((path, Touch(sha, kind, before)))
            head = _filled(fields)
        yield _change(sha, parents, author, (authored, committed), message), touches


def _filled(fields: Iterator[bytes]) -> bytes:
    """The next field that is not empty, without the line break that git puts before the first file."""
    return next((field.lstrip(b"\n") for field in fields if field), b"")


def _change(sha: str, parents: bytes, author: bytes, times: tuple[bytes, bytes], message: bytes) -> Change:
    text = message.decode("utf-8", "replace")
    subject = " ".join(text.partition("\n\n")[0].split())[:300]
    authored, committed = (min(max(int(time or 0), 0), _LATEST) for time in times)
    return Change(
        sha=sha, parents=tuple(parents.decode().split()), author=author.decode("utf-8", "replace"),
        authored=authored, committed=committed, subject=subject, pull_request=pull_request(subject, text),
        reverts=tuple(dict.fromkeys(_REVERTS.findall(text)))[:5],
        picked_from=tuple(dict.fromkeys(_PICKED.findall(text)))[:5],
    )  # fmt: skip


def pull_request(subject: str, message: str) -> str | None:
    """The pull or merge request that a message names: "#12", "!7"; None where it names none."""
    found = _SUBJECT_PULL.search(subject) or _MERGE_PULL.search(message) or _MERGE_REQUEST.search(message)
    if found:
        return found[1]
    trailer = _TRAILER.search(message)
    number = _NUMBER.search(trailer[1]) if trailer else None
    if trailer is None or number is None:
        return None
    return f"!{number[1]}" if "merge_requests" in trailer[1] else f"#{number[1]}"


def hunks(printed: bytes) -> Iterator[tuple[str, Hunk]]:
    """(commit, hunk) of `git diff-tree --stdin -p --unified=0`. Counts tell where a hunk ends, so no line of a
    file can pass for one of the diff."""
    commit, path = "", ""
    lines = printed.split(b"\n")
    at, last = 0, len(lines)
    while at < last:
        line = lines[at]
        at += 1
        if line.startswith(b"@@ "):
            found = _HUNK.match(line)
            if found is None:
                continue
            old, old_lines, new, new_lines = int(found[1]), _count(found[2]), int(found[3]), _count(found[4])
            removed, at = _take(lines, at, b"-", old_lines)
            added, at = _take(lines, at, b"+", new_lines)
            symbol = found[5].decode("utf-8", "replace")
            yield commit, Hunk(path, old, old_lines, new, new_lines, symbol, added, removed)
        elif line[:4] in (b"--- ", b"+++ ") and line[4:] != b"/dev/null":
            path = _path(line[4:])
        elif len(line) in (40, 64) and b" " not in line:
            commit, path = line.decode(), ""


def _count(text: bytes | None) -> int:
    return 1 if text is None else int(text)


def _take(lines: list[bytes], at: int, sign: bytes, count: int) -> tuple[tuple[str, ...], int]:
    taken = []
    while count > 0 and at < len(lines) and lines[at][:1] in (sign, b"\\"):
        if lines[at][:1] == sign:
            taken.append(lines[at][1 : LONGEST + 1].decode("utf-8", "replace"))
            count -= 1
        at += 1
    while at < len(lines) and lines[at].startswith(b"\\ "):
        at += 1
    return tuple(taken), at


def _path(text: bytes) -> str:
    named = unquote(text.removesuffix(b"\t"))
    return os.fsdecode(named[2:] if named[:2] in (b"a/", b"b/") else named)
