"""Write a repository with a dated history, in one go: `git fast-import`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_SECONDS = 60  # the longest that git may take


@dataclass(frozen=True)
class Commit:
    """One commit: the whole tree as it stands after it."""

    message: str
    author: str
    at: datetime
    files: Mapping[str, str]


def write(folder: Path, commits: Sequence[Commit]) -> list[str]:
    """Make a repository with its last commit checked out; return the commits' ids, oldest first."""
    folder.mkdir(parents=True)
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "fast-import", "--quiet", stdin=b"".join(_imported(commit) for commit in commits))
    _git(folder, "reset", "-q", "--hard", "main")
    return _git(folder, "rev-list", "--reverse", "main").split()


def _imported(commit: Commit) -> bytes:
    name = commit.author
    email = name.lower().replace(" ", ".") + "@example.com"
    who = f"{name} <{email}> {int(commit.at.timestamp())} +0000"
    parts = [
        f"commit refs/heads/main\nauthor {who}\ncommitter {who}\n".encode(),
        _quoted(commit.message),
        b"deleteall\n",
    ]
    parts += [
        f"M 100644 inline {path}\n".encode() + _quoted(text) for path, text in sorted(commit.files.items())
    ]
    return b"".join(parts)


def _quoted(text: str) -> bytes:
    body = text.encode()
    return b"data %d\n%s\n" % (len(body), body)


def _git(folder: Path, *args: str, stdin: bytes = b"") -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ["git", *args], cwd=folder, input=stdin, capture_output=True, env=env, timeout=_SECONDS, check=True
    )
    return done.stdout.decode()
