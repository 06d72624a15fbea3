"""A repository that ends at a commit: its ancestors and nothing later, no tags, no other branches."""

from __future__ import annotations

import tempfile
from pathlib import Path

from store.git import FETCHING, git

BRANCH = "main"


def cut_off(source: Path, commit: str, dest: Path) -> None:
    """Make the bare repository `dest`, whose only branch is at `commit`, from a git folder or a bundle.

    Only reachable objects are packed. Some that `source` itself lacks (a stored history without a few large
    files) stay absent. Raises NotFound for a commit that is not there, Unavailable where git fails.
    """
    if source.is_file():
        with tempfile.TemporaryDirectory(prefix="nightdesk-bundle-") as folder:
            whole = Path(folder)
            git(None, "init", "--quiet", "--bare", str(whole))
            git(whole, "bundle", "unbundle", str(source), seconds=FETCHING)
            _pack(whole, commit, dest)
    else:
        _pack(source, commit, dest)


def _pack(source: Path, commit: str, dest: Path) -> None:
    git(source, "cat-file", "-e", f"{commit}^{{commit}}")
    git(None, "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(dest))
    pack = dest / "objects" / "pack" / "pack-history.pack"
    wanted = ("pack-objects", "--quiet", "--revs", "--stdout", "--missing=allow-any", "--delta-base-offset")
    with pack.open("wb") as file:
        git(source, *wanted, stdin=commit.encode() + b"\n", stdout=file, seconds=FETCHING)
    git(dest, "index-pack", str(pack), seconds=FETCHING)
    git(dest, "update-ref", f"refs/heads/{BRANCH}", commit)
