"""The files of the repositories that pin a package, with it in another version. uv locks and looks hashes up; what is
taken of it is that package's lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fixloop import Repository
from fixloop.bench import Bench
from fixloop.blocks import unified
from fixloop.changes.kinds import is_lock
from fixloop.changes.pins import canonical
from fixloop.changes.repin import (
    is_foreign,
    is_project,
    is_requirements,
    is_uv_lock,
    locked,
    only_moved,
    pins,
    repinned,
    taken_over,
)
from fixloop.running.packages import Packages
from fixloop.running.uv_lock import locked_anew
from store.repair import Upgrade


class NotLocked(Exception):
    """The files cannot be written for that version; the text says why."""


@dataclass(frozen=True)
class Relocked:
    """What changes in one repository."""

    diff: str
    files: tuple[str, ...]


def must_be_pinned(bench: Bench, package: str, version: str) -> None:
    """Raises NotLocked where no file of any repository has the package at the version that is installed, or where one
    has it that is not written here."""
    found = False
    for repo in bench.layout.repositories:
        for path, text in _files(bench.repositories.get(repo.name), repo.commit).items():
            if is_foreign(path) and _names(text, package):
                written = "only requirements files, pyproject.toml and uv.lock are written"
                raise NotLocked(f"{path} pins {package}, and {written}")
            found = found or (_written(path) and pins(path, text, package, version))
    if not found:
        raise NotLocked(
            f"no file of the repositories pins {package} at {version}, which is what is installed: the version is "
            "decided elsewhere"
        )


def _written(path: str) -> bool:
    return is_requirements(path) or is_project(path) or is_uv_lock(path)


def relocked(bench: Bench, packages: Packages, upgrade: Upgrade) -> dict[str, Relocked]:
    """What changes in each repository that pins the package. Raises NotLocked, Unavailable."""
    must_be_pinned(bench, upgrade.package, upgrade.old)
    changed: dict[str, Relocked] = {}
    for repo in bench.layout.repositories:
        mirror = bench.repositories.get(repo.name)
        old = _files(mirror, repo.commit)
        new = _moved(old, packages, upgrade)
        if new:
            diff = unified({path: old[path] for path in new}, new)
            changed[repo.name] = Relocked(diff, tuple(new))
    return changed


def _files(mirror: Repository, commit: str) -> dict[str, str]:
    paths = [path for path in mirror.paths(commit) if is_lock(path) or is_project(path)]
    texts = ((path, mirror.text(commit, path)) for path in paths)
    return {path: text for path, text in texts if text is not None}


def _moved(files: Mapping[str, str], packages: Packages, upgrade: Upgrade) -> dict[str, str]:
    """The texts of the files that pin the package, with it at the new version."""
    new: dict[str, str] = {}
    hashes: list[str] | None = None
    for path, text in files.items():
        listed = is_requirements(path) or is_project(path)
        if listed and pins(path, text, upgrade.package, upgrade.old):
            if "--hash" in text and hashes is None:
                hashes = _hashes(packages, upgrade)
            new[path] = repinned(path, text, upgrade.package, upgrade.old, upgrade.new, hashes or ())
    for path, text in files.items():
        if is_uv_lock(path) and pins(path, text, upgrade.package, upgrade.old):
            new[path] = _uv_locked(path, {**files, **new}, upgrade)
    return new


def _names(text: str, package: str) -> bool:
    return any(
        canonical(word.strip('"')) == package for word in text.replace("=", " ").replace(":", " ").split()
    )


def _hashes(packages: Packages, upgrade: Upgrade) -> list[str]:
    said = packages.resolved(f"{upgrade.package}=={upgrade.new}", "--generate-hashes")
    found = [word.removeprefix("--hash=") for word in said.split() if word.startswith("--hash=")]
    if not found:
        raise NotLocked(
            f"the index gives no hash of {upgrade.package} {upgrade.new}, and the file pins hashes"
        )
    return found


def _uv_locked(lock: str, files: Mapping[str, str], upgrade: Upgrade) -> str:
    """The text of a `uv.lock` with the package as uv locks it anew, and all else as it was. Raises Unavailable."""
    anew = locked_anew(files, lock, f"{upgrade.package}=={upgrade.new}", upgrade.python)
    others = _else(files[lock], anew, upgrade)
    if others:
        raise NotLocked(f"it needs other packages in {lock} as well: {', '.join(others[:4])}")
    text = taken_over(files[lock], anew, upgrade.package)
    if not only_moved(lock, files[lock], text, upgrade.package, upgrade.old, upgrade.new):
        raise NotLocked(f"uv changes more of {lock} than the version of {upgrade.package}")
    return text


def _else(before: str, after: str, upgrade: Upgrade) -> list[str]:
    """What a lock has of other packages after, and had not before."""
    was, now = ({(n, v) for n, v, _ in locked(text)} for text in (before, after))
    return sorted(f"{name} {version}" for name, version in now - was if canonical(name) != upgrade.package)
