"""Drafts in a git repository on this machine: a branch, and nothing else of it is touched.

The branch is made with plumbing on a temporary index, so that neither the work tree nor the index nor the checked-out
branch of the repository changes. It starts at the commit on which the fix was proven.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from fixloop.worlds import git
from store.errors import NotFound, Unavailable
from store.repair import DraftPullRequest, Patch


class LocalGit:
    """`fixloop.Forge` over a local repository."""

    name = "local_git"

    def __init__(self, address: str) -> None:
        self._repository = Path(address)

    @staticmethod
    def takes(address: str) -> bool:
        """A folder on this machine."""
        return bool(address) and Path(address).is_dir()

    def open_draft(self, draft: DraftPullRequest, patch: Patch, files: Mapping[str, str]) -> DraftPullRequest:
        """Make (or make anew) the branch: the tests in a first commit, the fix in a second. Idempotent: the same
        proposal gives the same trees, and a branch that has them is left as it is. Raises NotFound, Unavailable."""
        ref = f"refs/heads/{draft.branch}"
        if self._git("symbolic-ref", "-q", "HEAD", check=False) == ref:
            raise Unavailable(
                f"{draft.branch} is checked out in {self._repository}: switch to another branch and try again"
            )
        with tempfile.TemporaryDirectory(prefix="nd-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self._git("read-tree", draft.base, env=index)
            for path, text in files.items():
                blob = self._git("hash-object", "-w", "--stdin", stdin=text.encode())
                self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
            test_tree = self._git("write-tree", env=index)
            self._git(
                "apply",
                "--cached",
                "--whitespace=nowarn",
                "-",
                env=index,
                stdin=patch.diffs[draft.repo].encode(),
            )
            fix_tree = self._git("write-tree", env=index)
        old = self._git("rev-parse", "--verify", "-q", ref, check=False)
        if old and self._git("rev-parse", f"{old}^{{tree}}") == fix_tree:
            return draft.model_copy(update={"state": "open", "url": str(self._repository)})
        head = draft.base
        if files:
            head = self._commit(
                test_tree,
                head,
                f"{draft.title}\n\nThe test that fails for the same reason as production did.\n",
            )
        head = self._commit(fix_tree, head, f"{draft.title}\n\n{draft.body}\n")
        self._git("update-ref", ref, head, *([old] if old else []))
        return draft.model_copy(update={"state": "open", "url": str(self._repository)})

    def _commit(self, tree: str, parent: str, message: str) -> str:
        return self._git("commit-tree", tree, "-p", parent, "-F", "-", stdin=message.encode())

    def _git(
        self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, check: bool = True
    ) -> str:
        done = git(args, cwd=self._repository, stdin=stdin, env=env)
        if done.returncode != 0 and check:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            if "not a git repository" in " ".join(said):
                raise NotFound(f"{self._repository} is not a git repository")
            raise Unavailable(
                f"git {args[0]} in {self._repository} said: {said[-1][:200] if said else 'nothing'}"
            )
        return done.stdout.decode("utf-8", "replace").strip()
