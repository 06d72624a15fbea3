"""What a forge is given to push: commits as whole files, so that no forge has to understand a diff.

A patch is applied by git, as the judge applies it, to the files that the commit of the proof has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fixloop.blocks import parse
from fixloop.running.worlds import git
from store.errors import BadPayload


@dataclass(frozen=True)
class Commit:
    """One commit: its message and the whole content of each file that it changes (None: the file goes).
    `executable` are those of them that may be run."""

    message: str
    files: Mapping[str, bytes | None]
    executable: frozenset[str] = frozenset()


class Blobs(Protocol):
    """What is needed of a repository: see `fixloop.Repository`."""

    def blob(self, commit: str, path: str) -> bytes | None: ...

    def executable(self, commit: str, paths: Sequence[str]) -> frozenset[str]: ...


TRAILER = "Nightdesk-Incident"  # by what a commit of ours is known
_MOST = 30  # commits of a branch that are looked through


def signed(message: str, incident_id: str) -> str:
    """The message with the line by which it is known as ours, once, at its end."""
    line = f"{TRAILER}: {incident_id}"
    kept = message.rstrip()
    return f"{kept}\n" if kept.splitlines()[-1:] == [line] else f"{kept}\n\n{line}\n"


def all_ours(messages: Sequence[str], branch: str) -> bool:
    """Whether every commit of a branch is our own: then nobody's work goes where it is made anew."""
    line = f"{TRAILER}: {branch.removeprefix('nightdesk/')}"
    ends = [message.rstrip().splitlines()[-1:] for message in messages]
    return 0 < len(ends) <= _MOST and all(end == [line] for end in ends)


def test_commit(incident_id: str, files: Mapping[str, str]) -> Commit:
    """The test by itself: it can be looked at, and landed, without the fix. Landed before, it is the same commit again:
    nothing of the fix stands in it."""
    said = f"{incident_id}: the failing test\n\nThe test that fails for the same reason as production did.\n"
    return Commit(signed(said, incident_id), {path: text.encode() for path, text in files.items()})


def fix_commit(message: str, repository: Blobs, base: str, diff: str, previous: str | None = None) -> Commit:
    """The fix, applied to the files at `base`. `previous` is the fix that stands on the branch already: what that
    changed and this one does not is as it was at `base` again. Raises BadPayload where it does not apply there."""
    files = applied(repository, base, diff)
    if previous is not None:
        before = applied(repository, base, previous)
        files |= {path: repository.blob(base, path) for path in before if path not in files}
        files = {path: text for path, text in files.items() if path not in before or before[path] != text}
    return Commit(message, files, repository.executable(base, tuple(sorted(files))))


def applied(repository: Blobs, base: str, diff: str) -> dict[str, bytes | None]:
    """The files that a diff touches as they are with it (None: it goes). Raises BadPayload where it does not apply."""
    touched = tuple(sorted({block.path for block in parse(diff)}))
    with tempfile.TemporaryDirectory(prefix="nd-draft-") as folder:
        tree = Path(folder).resolve()
        for path in touched:
            content = repository.blob(base, path)
            if content is not None:
                place = _inside(tree, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
        done = git(
            ("apply", "--whitespace=nowarn", "-"), cwd=tree, stdin=diff.encode("utf-8", "surrogateescape"),
            inside_repository=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise BadPayload(f"The patch does not apply to {base[:12]} any more.")
        return {path: _content(_inside(tree, path)) for path in touched}


def _inside(tree: Path, path: str) -> Path:
    """A path of the patch below the tree. Raises BadPayload where it leads out of it."""
    place = (tree / path).resolve()
    if not place.is_relative_to(tree):
        raise BadPayload("The patch names a file outside of the repository.")
    return place


def _content(place: Path) -> bytes | None:
    return place.read_bytes() if place.is_file() else None
