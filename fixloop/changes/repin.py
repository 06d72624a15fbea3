"""One package in another version, in the files that pin it: those lines are written again, and nothing else.

Requirements files (with hashes or without), the pins of a `pyproject.toml`, and `uv.lock`, of which what uv has locked
anew is taken over for that package and for the team's own projects only.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from fixloop.changes.kinds import is_lock
from fixloop.changes.pins import canonical

_PIN = re.compile(r"^(\s*([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*===?\s*)([^\s;\\#,]+)(?=$|[\s;\\#])")
_QUOTED = re.compile(
    r"""((["'])([A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*===?\s*)([^\s;,"']+)(?=\s*(?:;(?:(?!\2).)*)?\2)"""
)
_HASH = re.compile(r"\s*(?:\\\n\s*)?--hash[= ]\S+")
_BLOCK = re.compile(r"^\[\[package\]\]\n(?:(?!\[\[package\]\]).*\n?)*", re.M)
_OWN = ("virtual", "editable", "directory")  # sources of the team's own projects


def is_requirements(path: str) -> bool:
    """Whether a file is one of requirement lines."""
    return is_lock(path) and path.endswith((".txt", ".in"))


def is_uv_lock(path: str) -> bool:
    """Whether a file is uv's."""
    return PurePosixPath(path).name == "uv.lock"


def is_foreign(path: str) -> bool:
    """Whether a file is a lock of Python packages that is not written here."""
    return PurePosixPath(path).name in ("poetry.lock", "Pipfile.lock", "pdm.lock")


def is_project(path: str) -> bool:
    """Whether a file says what a project asks for."""
    return PurePosixPath(path).name == "pyproject.toml"


def pins(path: str, text: str, package: str, version: str) -> bool:
    """Whether a file of one of these kinds pins the package at that version."""
    if is_uv_lock(path):
        return any(canonical(n) == package and v == version for n, v, _ in locked(text))
    return repinned(path, text, package, version, "0!0") != text


def repinned(path: str, text: str, package: str, old: str, new: str, hashes: Sequence[str] = ()) -> str:
    """A requirements file or `pyproject.toml` with the package at the new version. Where its line has hashes it gets
    `hashes` ("sha256:…") in their place."""
    if is_project(path):
        return _QUOTED.sub(
            lambda at: f"{at[1]}{new}" if canonical(at[3]) == package and at[4] == old else at[0], text
        )
    return "".join(_line(line, package, old, new, hashes) for line in _logical(text))


def _line(line: str, package: str, old: str, new: str, hashes: Sequence[str]) -> str:
    found = _PIN.match(line)
    if found is None or canonical(found[2]) != package or found[3] != old:
        return line
    moved = f"{found[1]}{new}{line[found.end() :]}"
    if not _HASH.search(moved):
        return moved
    bare = _HASH.sub("", moved).rstrip().rstrip("\\").rstrip()
    return (
        bare + "".join(f" \\\n    --hash={each}" for each in hashes) + ("\n" if line.endswith("\n") else "")
    )


def _bare(line: str) -> str:
    """A line without its hashes."""
    return _HASH.sub("", line).rstrip().rstrip("\\").rstrip() + "\n" if _HASH.search(line) else line


def _logical(text: str) -> list[str]:
    """The lines, those that a backslash continues as one."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        if found and found[-1].rstrip("\n").endswith("\\"):
            found[-1] += line
        else:
            found.append(line)
    return found


def locked(text: str) -> list[tuple[str, str, bool]]:
    """(name, version, whether it is the team's own) of what a `uv.lock` has; nothing where it cannot be read."""
    try:
        listed = tomllib.loads(text).get("package", [])
    except tomllib.TOMLDecodeError:
        return []
    return [(str(one.get("name")), str(one.get("version")), _own(one)) for one in listed]


def _own(package: Mapping[str, Any]) -> bool:
    return any(kind in package.get("source", {}) for kind in _OWN)


def taken_over(text: str, anew: str, package: str) -> str:
    """A `uv.lock` with the blocks of the package and of the team's own projects as uv has locked them anew. The rest
    stays to the letter, whatever another version of uv would write there."""
    blocks = {_name(block): block for block in _BLOCK.findall(anew)}
    own = {name for name, _, mine in locked(text) if mine}

    def block(found: re.Match[str]) -> str:
        name = _name(found[0])
        return blocks.get(name, found[0]) if canonical(name) == package or name in own else found[0]

    return _BLOCK.sub(block, text)


def _name(block: str) -> str:
    found = re.search(r'^name = "([^"]+)"', block, re.M)
    return found[1] if found else ""


def only_moved(path: str, before: str, after: str, package: str, old: str, new: str) -> bool:
    """Whether a change of a file moves that package and does nothing else."""
    if is_uv_lock(path):
        was, now = locked(before), locked(after)
        moved = [(n, new if canonical(n) == package and v == old else v, mine) for n, v, mine in was]
        return bool(was) and was != now and moved == now and taken_over(before, after, package) == after
    if is_project(path):
        return before != after and repinned(path, before, package, old, new) == after
    lines, changed = _logical(before), _logical(after)
    alike = (_same(a, b, package, old, new) for a, b in zip(lines, changed, strict=False))
    return is_requirements(path) and before != after and len(lines) == len(changed) and all(alike)


def _same(before: str, after: str, package: str, old: str, new: str) -> bool:
    """Whether a line is what it was, or is the package's with the other version and hashes of its own."""
    moved = _line(before, package, old, new, ())
    return before == after or (moved != before and _bare(moved) == _bare(after))
