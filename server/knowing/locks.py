"""What a service has installed, read from its lock: `uv.lock`, `poetry.lock`, requirement files. Pure.

Only exact pins count: a version, or the revision of a git source. A range says nothing of what ran. A lock that
cannot be read is as if it were not there: it is the team's file, not ours to judge.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

LOCKS = ("uv.lock", "poetry.lock", "requirements.txt")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_PINNED = re.compile(rf"({_NAME})\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;,*\\]+)\s*(?:;.*)?(?:\\.*|--.*)?")
_FROM_GIT = re.compile(
    rf"(?:(?P<name>{_NAME})\s*(?:\[[^\]]*\])?\s*@\s*|-e\s+|--editable[= ]\s*)?git\+[^\s#]+"
    r"@(?P<revision>[^\s#;@]+)(?:#(?P<fragment>\S*))?(?:\s*;.*)?"
)


@dataclass(frozen=True)
class Pin:
    """One distribution as it was locked: its version, and the git revision where it came from a repository."""

    version: str | None = None
    revision: str | None = None


def canonical(name: str) -> str:
    """A distribution's name as they are compared: lower case, runs of `-`, `_` and `.` as one dash."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: str, text: str) -> dict[str, Pin]:
    """Canonical name to pin, from the text of a lock; which kind it is, its file's name says. Never raises."""
    name = PurePosixPath(path).name
    if name == "uv.lock":
        return dict(_uv(text))
    if name == "poetry.lock":
        return dict(_poetry(text))
    return dict(_requirements(text))


def _packages(text: str) -> Iterator[tuple[str, str | None, Mapping[str, Any]]]:
    """Name, version and source of each `[[package]]`."""
    try:
        found = tomllib.loads(text).get("package", [])
    except tomllib.TOMLDecodeError:
        return
    for package in found if isinstance(found, list) else ():
        if isinstance(package, dict) and isinstance(package.get("name"), str):
            source, version = package.get("source"), package.get("version")
            named = version if isinstance(version, str) else None
            yield package["name"], named, source if isinstance(source, dict) else {}


def _uv(text: str) -> Iterator[tuple[str, Pin]]:
    """The commit of a git source stands behind the `#` of its address; own packages are left out."""
    for name, version, source in _packages(text):
        if source.keys() & {"editable", "virtual", "directory", "path"}:
            continue
        revision = str(source["git"]).partition("#")[2] if "git" in source else ""
        yield canonical(name), Pin(version, revision or None)


def _poetry(text: str) -> Iterator[tuple[str, Pin]]:
    for name, version, source in _packages(text):
        kind = source.get("type")
        if kind in ("directory", "file"):
            continue
        told = source.get("resolved_reference") or source.get("reference") if kind == "git" else None
        yield canonical(name), Pin(version, told if isinstance(told, str) else None)


def _requirements(text: str) -> Iterator[tuple[str, Pin]]:
    for line in text.replace("\\\n", " ").splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if pinned := _PINNED.fullmatch(bare):
            yield canonical(pinned[1]), Pin(version=pinned[2])
        elif (found := _FROM_GIT.fullmatch(bare)) and (name := _git_name(found)):
            yield canonical(name), Pin(revision=found["revision"])


def _git_name(found: re.Match[str]) -> str | None:
    """Of a line `name @ git+…`, or of `git+…#egg=name`."""
    egg = re.search(rf"(?:^|&)egg=({_NAME})", found["fragment"] or "")
    return found["name"] or (egg[1] if egg else None)
