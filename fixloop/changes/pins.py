"""Which package a change pins at another version, out of the lines that it changed in a lock file.

A lock is not parsed: hundreds of changes touch one, and a large lock takes a tenth of a second. A line says its package
by itself (`names==2.0`), or the nearest line above does (`name = "names"` in a TOML lock, `"node_modules/names": {`,
`names:` in a YAML lock).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fixloop import Repository
from fixloop.changes.kinds import is_lock
from store.commits import Hunk

ABOVE = 12  # lines between a package's name and its version, at most
_ITSELF = re.compile(
    r"""^\s*"?(?P<name>[@A-Za-z][\w./@-]*?)"?(?:\[[^\]]*\])?(?:\s*(?:==|[ ]v(?=\d))|\s+\(|":\s*")\s*=?v?"""
    r"""(?P<version>\d[\w.+!-]*)"""
)  # requirements `a==1`, go.sum and go.mod `a v1`, Gemfile.lock `a (1)`, package-lock.json of old `"a": "1"`
_VERSION = re.compile(
    r"""^\s*"?version"?\s*[=:]?\s*"(?:==)?(?P<version>\d[^"]*)",?\s*$|^\s*version (?P<plain>\d\S*)$"""
)
_NAME = re.compile(
    r"""^\s*(?:"?name"?\s*[=:]\s*"(?P<toml>[^"]+)",?|"(?:node_modules/)?(?P<json>[^"]+)":\s*\{|"?(?P<yaml>@?[A-Za-z][\w./-]*)@[^:]*:)\s*$"""
)


@dataclass(frozen=True)
class Bump:
    """One package at another version; None where it came or went."""

    package: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None or self.new is None:
            return f"{self.package} {self.new or self.old}{'' if self.new else ' (no longer)'}"
        return f"{self.package} {self.old} → {self.new}"


def canonical(name: str) -> str:
    """A package's name as names are compared: lower case, runs of `-`, `_` and `.` as one dash."""
    return re.sub(r"[-_.]+", "-", name).strip("-").lower()


def bumps(hunks: Iterable[Hunk], after: str) -> list[Bump]:
    """What the hunks of one lock file change, by package; `after` is its text with the change."""
    lines = after.splitlines()
    old: dict[str, str] = {}
    new: dict[str, str] = {}
    for hunk in hunks:
        above = _above(lines, hunk.new_start - (1 if hunk.new_lines else 0))
        old |= _versions(hunk.removed, above)
        new |= _versions(hunk.added, above)
    return [
        Bump(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def bumps_of(repository: Repository, commit: str) -> list[Bump]:
    """What a commit did to the versions of packages, out of the lock files that it touched; each package once."""
    hunks = repository.history.hunks([commit]).get(commit, [])
    found: dict[str, Bump] = {}
    for path in sorted({hunk.path for hunk in hunks if is_lock(hunk.path)}):
        text = repository.text(commit, path) or ""
        for bump in bumps([hunk for hunk in hunks if hunk.path == path], text):
            found.setdefault(bump.package, bump)
    return list(found.values())


def before(repository: Repository, commit: str, package: str) -> str | None:
    """The version of a package that a commit replaced by another; None where it did not."""
    versions = (
        bump.old for bump in bumps_of(repository, commit) if bump.package == canonical(package) and bump.new
    )
    return next(versions, None)


def _above(lines: Sequence[str], before: int) -> str | None:
    """The package that the line after the first `before` ones is of."""
    for line in reversed(lines[max(before - ABOVE, 0) : before]):
        found = _NAME.match(line)
        if found:
            return next(name for name in found.groups() if name)
    return None


def _versions(changed: Sequence[str], package: str | None) -> Iterator[tuple[str, str]]:
    for line in changed:
        name, version = _NAME.match(line), _VERSION.match(line)
        if name:
            package = next(each for each in name.groups() if each)
        elif version and package:
            yield canonical(package), version["version"] or version["plain"]
        elif not version and (itself := _ITSELF.match(line)):
            yield canonical(itself["name"]), itself["version"]
