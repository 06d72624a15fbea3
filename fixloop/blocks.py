"""Changes as blocks: the smallest contiguous pieces of a diff, which can be taken in or left out one by one.

A block is a value; texts are composed from blocks in Python, so that any subset gives an exact text and no
patch tool has to guess where a piece without context belongs.
"""

from __future__ import annotations

import difflib
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from store.errors import BadPayload

Read: TypeAlias = Callable[[str], str | None]
Given = TypeVar("Given")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", '"': '"', "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True)
class Block:
    """Lines `start .. start+len(old)` (1-based) of `path` become `new`. For an insertion `old` is empty and
    `start` is the line before which it goes. `created`: the file did not exist; `deleted`: it is gone
    afterwards."""

    path: str
    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]
    created: bool = False
    deleted: bool = False

    @property
    def key(self) -> tuple[str, int]:
        return self.path, self.start

    def reversed(self, offset: int) -> Block:
        """The block that undoes this one, in a text where earlier blocks have moved lines by `offset`."""
        return Block(self.path, self.start + offset, self.new, self.old, self.deleted, self.created)


def parse(diff: str) -> list[Block]:
    """The blocks of a unified diff with any amount of context. Raises BadPayload with one sentence."""
    try:
        patches = PatchSet(diff)
    except (UnidiffParseError, ValueError, IndexError) as problem:
        raise BadPayload(f"the diff cannot be read: {str(problem)[:160]}") from None
    blocks: list[Block] = []
    for file in patches:
        created, deleted = file.source_file == "/dev/null", file.target_file == "/dev/null"
        path = _unquoted(file.source_file if deleted else file.target_file)  # a rename: where it is now
        path = path[2:] if path.startswith(("a/", "b/")) else path
        for hunk in file:
            blocks += _blocks_of(path, hunk, created=created, deleted=deleted)
    return blocks


def _unquoted(path: str) -> str:
    """A path as git writes it where it has special characters: in quotes, with C escapes."""
    if not (len(path) > 1 and path.startswith('"') and path.endswith('"')):
        return path
    plain = path[1:-1].encode("utf-8", "surrogateescape").decode("latin-1")
    escaped = re.sub(r"\\([0-7]{3}|.)", lambda m: _ESCAPES.get(m[1]) or _octal(m[1]), plain)
    return escaped.encode("latin-1").decode("utf-8", "surrogateescape")


def _octal(text: str) -> str:
    return chr(int(text, 8) & 0xFF) if text.isdigit() else text


def split(text: str) -> list[str]:
    """Lines with their ends, as git and Python see them: only a newline ends one (no form feed, no
    U+2028)."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _blocks_of(path: str, hunk: object, *, created: bool, deleted: bool) -> list[Block]:
    blocks: list[Block] = []
    line = hunk.source_start + (1 if hunk.source_length == 0 and not created else 0)  # type: ignore[attr-defined]
    line = max(line, 1)
    old: list[str] = []
    new: list[str] = []
    last: list[str] | None = None
    begin = line

    def close() -> None:
        if old or new:
            blocks.append(Block(path, begin, tuple(old), tuple(new), created, deleted))
        old.clear()
        new.clear()

    for part in hunk:  # type: ignore[attr-defined]
        if part.line_type == "\\":
            if last:
                last[-1] = last[-1].rstrip("\n")
            continue
        if part.line_type in (" ", ""):
            close()
            line += 1
            last = None
            begin = line
        elif part.line_type == "-":
            old.append(part.value)
            last = old
            line += 1
        else:
            new.append(part.value)
            last = new
    close()
    return blocks


def compose(text: str | None, blocks: Iterable[Block]) -> str | None:
    """A file's text with some of its blocks taken in; None where the file does not exist afterwards.

    Raises ValueError where a block's old lines are not there.
    """
    chosen = sorted(blocks, key=lambda block: block.start)
    if any(block.deleted for block in chosen):
        return None
    lines = split(text) if text is not None else []
    out: list[str] = []
    at = 0
    for block in chosen:
        start = block.start - 1
        if start < at or [line.rstrip("\n") for line in lines[start : start + len(block.old)]] != [
            line.rstrip("\n") for line in block.old
        ]:
            raise ValueError(f"{block.path}:{block.start} is not what the change expects")
        out += lines[at:start]
        out += block.new
        at = start + len(block.old)
    return "".join(out + lines[at:])


def undo(text: str | None, blocks: Sequence[Block], chosen: Iterable[Block]) -> str | None:
    """A file's text *after* all `blocks`, with the chosen ones taken out again."""
    wanted = {block.key for block in chosen}
    offset = 0
    back: list[Block] = []
    for block in sorted(blocks, key=lambda block: block.start):
        if block.key in wanted:
            back.append(block.reversed(offset))
        offset += len(block.new) - len(block.old)
    return compose(text, back)


def by_file(blocks: Iterable[Block]) -> dict[str, list[Block]]:
    """Blocks grouped by path, in order."""
    grouped: dict[str, list[Block]] = {}
    for block in blocks:
        grouped.setdefault(block.path, []).append(block)
    return grouped


def unified(old: Mapping[str, str | None], new: Mapping[str, str | None], context: int = 3) -> str:
    """A git-style unified diff between two sets of texts (None: the file is absent)."""
    parts: list[str] = []
    for path in sorted(set(old) | set(new)):
        before, after = old.get(path), new.get(path)
        if before == after:
            continue
        head = f"diff --git a/{path} b/{path}\n"
        head += (
            "new file mode 100644\n"
            if before is None
            else "deleted file mode 100644\n"
            if after is None
            else ""
        )
        lines = difflib.unified_diff(
            split(before or ""),
            split(after or ""),
            "/dev/null" if before is None else f"a/{path}",
            "/dev/null" if after is None else f"b/{path}",
            n=context,
        )
        parts.append(head + "".join(_ended(line) for line in lines))
    return "".join(parts)


def _ended(line: str) -> str:
    return line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"


def merge(ours: str, base: str, theirs: str, *, favour_ours: bool = False) -> str | None:
    """Three-way merge of one text with `git merge-file`; None on a conflict, which `favour_ours` settles for
    `ours`."""
    with tempfile.TemporaryDirectory(prefix="nd-merge-") as folder:
        paths = []
        for name, text in (("ours", ours), ("base", base), ("theirs", theirs)):
            path = Path(folder, name)
            path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
            paths.append(str(path))
        option = ["--ours"] if favour_ours else []
        command = ["git", "merge-file", "-p", "-q", *option, *paths]
        done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None


def smallest(
    blocks: Sequence[Block], works: Callable[[list[Block]], Given | None]
) -> tuple[list[Block], Given] | None:
    """The smallest set for which `works` gives something: single blocks, single files, all, then shrinking."""
    groups = by_file(blocks)
    whole: list[list[Block]] = [list(blocks), *groups.values()] if len(groups) > 1 else [list(blocks)]
    for start in whole:
        got = works(start)
        if got is None:
            continue
        best = list(start)
        for block in list(start):
            fewer = [other for other in best if other is not block]
            smaller = works(fewer) if fewer else None
            if smaller is not None:
                best, got = fewer, smaller
        return best, got
    for block in blocks:  # the whole does not come out, but without one, or one by itself, it may
        others = [other for other in blocks if other is not block]
        got = works(others) if len(blocks) > 2 else None
        if got is not None:
            return others, got
    for block in blocks:
        got = works([block]) if len(blocks) > 1 else None
        if got is not None:
            return [block], got
    return None
