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
