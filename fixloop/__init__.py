"""fixloop: from an incident to a draft that carries its proof. Its tools arrive as protocols.

Blocking by design: the work is subprocesses. The doors call it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from store.commits import BlameLine, Change, CommitInfo, Hunk, Touch

if TYPE_CHECKING:
    from datetime import datetime

    from fixloop.forges.commits import Commit
    from store.repair import DraftPullRequest

__all__ = [
    "BlameLine",
    "Change",
    "CommitInfo",
    "Forge",
    "History",
    "Hunk",
    "Job",
    "Mount",
    "Repositories",
    "Repository",
    "Result",
    "Sandbox",
    "SelfTest",
    "Session",
    "Touch",
]


# --- sandbox ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mount:
    """A host path that appears read-only at `target` inside."""

    source: Path
    target: str


@dataclass(frozen=True)
class Job:
    """What to run, and within which bounds. There is never a network; nothing outside `scratch` can be
    written.

    Results are read from the channel, a file descriptor whose number is in the environment as ``ND_CHANNEL``;
    exit codes and printed text belong to the code that is judged and prove nothing.
    """

    argv: tuple[str, ...]
    mounts: tuple[Mount, ...] = ()
    files: Mapping[str, bytes] = field(
        default_factory=dict
    )  # small read-only files: absolute path inside -> bytes
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/tmp"  # noqa: S108 - a path inside the sandbox, on its own bounded tmpfs
    wall: float = 60.0  # seconds, for the whole job; a session counts from its start
    cpu: int = 120  # seconds
    memory: int = 2 << 30  # bytes of address space for each process
    scratch: int = 256 << 20  # bytes of /tmp
    processes: int = 128
    output: int = 4 << 20  # bytes of stdout + stderr + channel together


@dataclass(frozen=True)
class Result:
    """What came out of a finished job."""

    exit_code: int | None  # None when it was killed
    stdout: bytes
    stderr: bytes
    channel: bytes
    timed_out: bool
    over_output: bool
    took: float


@dataclass(frozen=True)
class SelfTest:
    """Whether a sandbox holds on this machine. `open` names what is known not to be closed yet."""

    name: str
    ok: bool
    said: str  # one sentence; when not ok: why, and what to do
    open: tuple[str, ...] = ()


class Session(Protocol):
    """A running job that answers line by line over the channel."""

    def ask(self, line: bytes, *, wall: float) -> bytes | None:
        """Send one line to stdin, wait for one line on the channel. None: it died, or the time was up (then
        it is killed)."""
        ...

    def stderr(self) -> bytes:
        """What it has printed to stderr so far (bounded)."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Sandbox(Protocol):
    """A place where the team's code may run. Entry-point group `nightdesk.sandboxes`."""

    name: str

    def self_test(self) -> SelfTest:
        """Run the probes, once in a process; cheap afterwards."""
        ...

    def run(self, job: Job, stdin: bytes = b"") -> Result:
        """Run to the end, or kill the whole tree at the wall limit. Raises SandboxRefused where the self-test
        fails."""
        ...

    def open(self, job: Job) -> Session:
        """Start a job that is spoken to. Raises SandboxRefused where the self-test fails."""
        ...


# --- repositories -------------------------------------------------------------------------------------------


class History(Protocol):
    """The index of one repository's history, read-only. Times are seconds since 1970."""

    def reachable(self, release: str, since: int | None = None) -> list[str]:
        """Hashes of what `release` contains, newest first, merges included; `since` is about committing."""
        ...

    def changes(self, shas: Iterable[str]) -> dict[str, Change]: ...

    def touches(self, paths: Iterable[str]) -> dict[str, list[Touch]]:
        """Every touch of the files named, in no order, by whatever commit. Merges have none."""
        ...

    def files(self, shas: Iterable[str]) -> dict[str, list[str]]:
        """The files that each of the commits touched."""
        ...

    def hunks(self, shas: Sequence[str], paths: Sequence[str] = ()) -> dict[str, list[Hunk]]:
        """What each of the commits changed against its first parent, blanks aside; with `paths`, only there."""
        ...

    def blame(
        self,
        release: str,
        path: str,
        ranges: Sequence[tuple[int, int]],
        *,
        since: int | None = None,
        passed_over: Sequence[str] = (),
    ) -> list[BlameLine]:
        """Who last wrote the lines, through moves and blanks, and behind the commits that are `passed_over`."""
        ...

    def grep(self, release: str, pattern: str, folders: Sequence[str] = ()) -> list[tuple[str, int, str]]:
        """(path, line number, line) of the lines in which an extended regular expression matches whole words."""
        ...


class Repository(Protocol):
    """A bare mirror, read-only. Every path is relative to the repository's root, with forward slashes."""

    name: str

    @property
    def history(self) -> History: ...

    def resolve(self, rev: str) -> str | None: ...

    def head(self) -> str: ...

    def is_ancestor(self, ancestor: str, of: str) -> bool: ...

    def paths(self, commit: str) -> Sequence[str]: ...

    def blob(self, commit: str, path: str) -> bytes | None: ...

    def blobs(self, commit: str, paths: Sequence[str]) -> Mapping[str, bytes | None]: ...

    def text(self, commit: str, path: str) -> str | None: ...

    def log(
        self,
        commit: str,
        *,
        paths: Sequence[str] = (),
        since: datetime | None = None,
        limit: int | None = None,
    ) -> list[CommitInfo]:
        """Commits reachable from `commit`, newest first, with the files each touched (merges against their
        first parent)."""
        ...

    def diff(self, commit: str, *, paths: Sequence[str] = (), context: int = 3) -> str:
        """The unified diff of a commit against its first parent (a root commit: against the empty tree)."""
        ...

    def diff_between(self, old: str, new: str, *, paths: Sequence[str] = (), context: int = 3) -> str: ...

    def renamed(self, old: str, new: str) -> Mapping[str, str]:
        """Path at `old` to path at `new`, for files that moved and stayed much the same."""
        ...

    def blame(self, commit: str, path: str, start: int, end: int) -> list[BlameLine]:
        """Lines start..end (1-based, inclusive), whitespace ignored."""
        ...

    def executable(self, commit: str, paths: Sequence[str]) -> frozenset[str]:
        """Those of the paths that are files which may be run."""
        ...

    def export(self, commit: str, dest: Path) -> None:
        """Write the tree of a commit to an empty folder."""
        ...


class Repositories(Protocol):
    """The repositories of a project."""

    def names(self) -> Sequence[str]: ...

    def get(self, name: str) -> Repository: ...


# --- proposals and drafts -----------------------------------------------------------------------------------


class Forge(Protocol):
    """Where drafts are opened. Entry-point group `nightdesk.forges`; made with the address of a repository."""

    name: str

    @staticmethod
    def takes(address: str) -> bool:
        """Whether repositories at such an address are this forge's. Reads nothing over a network."""
        ...

    def open_draft(self, draft: DraftPullRequest, commits: Sequence[Commit]) -> DraftPullRequest:
        """Push the commits as one branch on `draft.base`, and open a draft for it; never anything but a draft, and
        nothing is merged. Idempotent by branch: what is there already is gone on with, or given back as it is.

        Raises Unavailable (`retry`: the forge does not answer now), NotAllowed, NotFound."""
        ...

    def look(self, draft: DraftPullRequest) -> DraftPullRequest:
        """What became of it: `open`, `merged` or `closed`. Raises as `open_draft` does."""
        ...
