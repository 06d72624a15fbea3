"""Worlds: the team's code at chosen commits, laid out in the sandbox with one pinned environment.

A world is a value: which tree stands for which repository. The release, a parent, a patched release differ
only in one tree; everything else (interpreter, dependencies, variables, the other repositories) stays the
same, which is what makes a flip between two worlds mean something.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fixloop import Job, Mount, Repositories
from store.errors import Unavailable

if TYPE_CHECKING:
    from fixloop.running.environments import Environment

SOURCES = "/src"  # where the repositories lie inside the sandbox
PROBE = "/opt/nightdesk/nightdesk_probe.py"
CONVENTIONAL_ROOTS = ("src", ".")  # where packages stand in a repository, tried in this order
AUTHOR = "nightdesk@localhost"  # of the commits that we make
_GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Nightdesk",
    "GIT_AUTHOR_EMAIL": AUTHOR,
    "GIT_COMMITTER_NAME": "Nightdesk",
    "GIT_COMMITTER_EMAIL": AUTHOR,
    "GIT_TERMINAL_PROMPT": "0",
}


@dataclass(frozen=True)
class RepoLayout:
    """How one repository is used: the commit that runs, where its packages stand, how its tests are run."""

    name: str
    commit: str
    source_roots: tuple[str, ...] = ()
    test_command: str = "python -m pytest -q"
    has_tests: bool = True
    lint: str | None = None
    types: str | None = None
    security: str | None = None


@dataclass(frozen=True)
class Layout:
    """The team's code as it runs. `env` is set for everything that is executed."""

    repositories: tuple[RepoLayout, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def repo(self, name: str) -> RepoLayout:
        return next(repo for repo in self.repositories if repo.name == name)

    @property
    def commits(self) -> dict[str, str]:
        return {repo.name: repo.commit for repo in self.repositories}


@dataclass(frozen=True)
class Server:
    """A database server that a job can have beside it."""

    mounts: tuple[Mount, ...]
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class World:
    """One tree for each repository, and the environment that all worlds of an attempt share."""

    layout: Layout
    trees: Mapping[str, Path]
    environment: Environment
    server: Server | None = None  # of the database that the application's settings name

    def with_tree(self, repo: str, tree: Path) -> World:
        return replace(self, trees={**self.trees, repo: tree})

    def roots(self) -> list[str]:
        """The import path inside: configured roots first, then the conventional ones that exist in the
        tree."""
        found: list[str] = []
        for repo in self.layout.repositories:
            for root in (*repo.source_roots, *CONVENTIONAL_ROOTS):
                inside = f"{SOURCES}/{repo.name}" if root in (".", "") else f"{SOURCES}/{repo.name}/{root}"
                if (self.trees[repo.name] / root).is_dir() and inside not in found:
                    found.append(inside)
        return found

    @property
    def own(self) -> list[str]:
        return [f"{SOURCES}/{name}" for name in self.trees]

    def job(self, argv: Sequence[str], *, cwd: str | None = None, wall: float = 120.0, **bounds: int) -> Job:
        """A job in this world: sources and environment read-only, the probe beside them."""
        mounts = (
            *self.environment.mounts,
            *(self.server.mounts if self.server else ()),
            *(Mount(tree, f"{SOURCES}/{name}") for name, tree in self.trees.items()),
        )
        path = [*self.roots(), *self.environment.path]
        served = self.server.files if self.server else {}
        return Job(
            argv=tuple(argv),
            mounts=mounts,
            files={PROBE: (Path(__file__).parents[1] / "reproduce" / "probe.py").read_bytes(), **served},
            env={"PYTHONPATH": ":".join(path), **self.layout.env},
            cwd=cwd or f"{SOURCES}/{self.layout.repositories[0].name}",
            wall=wall,
            **bounds,
        )


class Trees:
    """Exported trees, cached by commit (and patch); made in a temporary folder and renamed into place."""

    def __init__(self, folder: Path, repositories: Repositories) -> None:
        self._folder = folder
        self._repositories = repositories
        folder.mkdir(parents=True, exist_ok=True)

    def at(self, repo: str, commit: str) -> Path:
        """The tree of a commit."""
        place = self._folder / f"{_safe(repo)}-{commit[:16]}"
        if not place.exists():
            self._make(place, lambda new: self._repositories.get(repo).export(commit, new))
        return place

    def patched(self, repo: str, base: Path, diff: str) -> Path | None:
        """`base` with a unified diff applied; None where it does not apply."""
        key = hashlib.sha256(f"{base}\0{diff}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
        place = self._folder / f"{_safe(repo)}-patched-{key}"
        if place.exists():
            return place

        def make(new: Path) -> None:
            new.rmdir()
            shutil.copytree(base, new, symlinks=True)
            applied = apply_diff(new, diff)
            if applied is not None:
                raise _DoesNotApply(applied)

        try:
            self._make(place, make)
        except _DoesNotApply:
            return None
        return place

    def _make(self, place: Path, fill: object) -> None:
        new = Path(tempfile.mkdtemp(prefix=".making-", dir=self._folder))
        try:
            new.chmod(0o755)
            fill(new)  # type: ignore[operator]
            try:
                new.rename(place)
            except OSError:
                if not place.exists():  # somebody else was faster is fine; anything else is not
                    raise
        finally:
            shutil.rmtree(new, ignore_errors=True)


class _DoesNotApply(Exception):
    """`git apply` said no; the text says why."""


def apply_diff(tree: Path, diff: str, *, reverse: bool = False) -> str | None:
    """Apply a unified diff to a tree that is not a git repository. None: applied; else git's reason."""
    command = ["git", "apply", "--whitespace=nowarn", "--recount", "-"]
    if reverse:
        command.insert(2, "--reverse")
    done = git(command[1:], cwd=tree, stdin=diff.encode("utf-8", "surrogateescape"), inside_repository=False)
    return None if done.returncode == 0 else done.stderr.decode("utf-8", "replace").strip()[:500]


def git(
    args: Sequence[str],
    *,
    cwd: Path,
    stdin: bytes = b"",
    inside_repository: bool = True,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git with the machine's and the user's configuration switched off."""
    surroundings = {**os.environ, **_GIT, **(env or {})}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        if not env or name not in env:
            surroundings.pop(name, None)
    if not inside_repository:
        surroundings["GIT_CEILING_DIRECTORIES"] = str(cwd.resolve().parent)
    try:
        return subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=off", "-c", "safe.directory=*",
             "-c", "gc.auto=0", *args],
            cwd=cwd, input=stdin, capture_output=True, env=surroundings, timeout=120, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise Unavailable("git is not installed: install git and try again") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"git {args[0]} did not end within two minutes", retry=True) from None


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name) or "repo"
