"""Container paths against repository paths: normalising, suffixes, which places are libraries'."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PACKAGES = re.compile(r"(?:^|/)(?:site|dist)-packages/(?P<rest>.+)$")
_STANDARD = re.compile(
    r"(?:^|/)lib(?:64)?/(?:python|pypy)\d[\d.]*/(?!(?:site|dist)-packages/)|<frozen [\w.]+>$|^<.*>$"
)
_UNLIKELY = frozenset(
    {"tests", "test", "testing", "docs", "examples", "vendor", "_vendor", "third_party", "build"}
)


def normal(path: str) -> str:
    """Forward slashes, no `./`, no drive."""
    path = path.replace("\\", "/")
    if path[1:3] == ":/":
        path = path[2:]
    return re.sub(r"/(?:\./)+|/{2,}", "/", path.removeprefix("./"))


def is_standard(path: str) -> bool:
    """Part of the interpreter: never in anybody's repository."""
    return _STANDARD.search(path) is not None


def inside_packages(path: str) -> str | None:
    """What follows site-packages, or None where the path is not in one."""
    match = _PACKAGES.search(path)
    return match["rest"] if match else None


def mapped(path: str, path_map: Mapping[str, str]) -> str | None:
    """The repository path by a configured prefix, the longest one; None where none fits."""
    for prefix in sorted(path_map, key=len, reverse=True):
        start = prefix.rstrip("/") + "/"
        if path.startswith(start):
            folder = path_map[prefix].strip("/")
            rest = path[len(start) :]
            return rest if folder in ("", ".") else f"{folder}/{rest}"
    return None


def common_suffix(left: str, right: str) -> int:
    """How many path parts two paths share at their ends."""
    count = 0
    for one, other in zip(reversed(left.split("/")), reversed(right.split("/")), strict=False):
        if one != other:
            break
        count += 1
    return count


def is_unlikely(path: str) -> bool:
    """Whether production would hardly run a file from there (tests, documentation, copies of others'
    code)."""
    return not _UNLIKELY.isdisjoint(path.split("/")[:-1])
