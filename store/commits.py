"""What git tells of a history. Frozen values; no I/O.

They stand apart from `mirrors` because the loop speaks of them and must not need the mirrors to do so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CommitInfo:
    """One commit as git tells it."""

    sha: str
    parents: tuple[str, ...]
    author: str
    authored_at: datetime
    committed_at: datetime
    subject: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class BlameLine:
    """Which commit last touched a line, and where the line stood in that commit."""

    line: int
    commit: str
    original_line: int
    original_path: str
    text: str


@dataclass(frozen=True)
class Change:
    """One commit as the index of a history keeps it, merges included. Times are seconds since 1970.

    `pull_request` is what its own message or the merge that brought it says ("#12", "!7"); `reverts` and
    `picked_from` are the hashes its message names, as written there (they may be shortened)."""

    sha: str
    parents: tuple[str, ...]
    author: str
    authored: int
    committed: int
    subject: str
    pull_request: str | None = None
    reverts: tuple[str, ...] = ()
    picked_from: tuple[str, ...] = ()

    @property
    def is_merge(self) -> bool:
        return len(self.parents) > 1


@dataclass(frozen=True)
class Touch:
    """A change to a file: added (A), modified (M), deleted (D) or renamed (R; `before` is the old path)."""

    sha: str
    kind: str
    before: str | None = None


@dataclass(frozen=True)
class Hunk:
    """A piece of a change without context; blank-only differences left out. `symbol` is the line of the
    definition that git names as around it. Line numbers are 1-based; a count of 0 stands before that line."""

    path: str
    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    symbol: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
