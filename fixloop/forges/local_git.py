"""Drafts in a git repository on this machine: a branch, and nothing else of it is touched.

The branch is made with plumbing on a temporary index, so that neither the work tree nor the index nor the checked-out
branch of the repository changes. It starts at the commit on which the fix was proven.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from fixloop.forges.commits import Commit
from fixloop.running.worlds import AUTHOR, git
from store.errors import NotFound, Unavailable
from store.repair import DraftPullRequest


class LocalGit:
    """`fixloop.Forge` over a local repository."""

    name = "local_git"

    def __init__(self, address: str) -> None:
        self._repository = Path(address)

    @staticmethod
    def takes(address: str) -> bool:
        """A folder on this machine."""
        return bool(address) and Path(address).is_dir()

    def open_draft(self, draft: DraftPullRequest, commits: Sequence[Commit]) -> DraftPullRequest:
        """Make (or make anew) the branch. Idempotent: the same proposal gives the same trees, and a branch that has
        them is left as it is. Raises NotFound, Unavailable."""
        ref = f"refs/heads/{draft.branch}"
        if self._git("symbolic-ref", "-q", "HEAD", check=False) == ref:
            raise Unavailable(
                f"{draft.branch} is checked out in {self._repository}: switch to another branch and try again"
            )
        trees = self._trees(draft.base, commits)
        old = self._git("rev-parse", "--verify", "-q", ref, check=False)
        opened = draft.model_copy(update={"state": "open", "url": str(self._repository)})
        if old and self._git("rev-parse", f"{old}^{{tree}}") == trees[-1]:
            return opened
        if old and set(self._git("log", "--format=%ae", f"{draft.base}..{old}").split()) - {AUTHOR}:
            raise Unavailable(
                f"Somebody has worked on {draft.branch}: it stays as it is. Rename it, and try again."
            )
        standing = self._git("rev-parse", f"{old}^{{tree}}") if old else ""
        done = trees.index(standing) + 1 if standing in trees else 0  # a review has changed the fix since
        head = old if done else draft.base
        for tree, commit in zip(trees[done:], commits[done:], strict=True):
            head = self._commit(tree, head, commit.message)
        self._git("update-ref", ref, head, *([old] if old else []))
        return opened

    def look(self, draft: DraftPullRequest) -> DraftPullRequest:
        """Merged when the branch that is checked out contains it, also where its own branch is gone by then; closed
        when it is gone without."""
        head = self._git("rev-parse", "--verify", "-q", f"refs/heads/{draft.branch}", check=False)
        if not head:
            ours = (f"--author={AUTHOR}", "--fixed-strings", f"--grep={draft.title}")
            head = self._git("log", "-1", "--format=%H", *ours, f"{draft.base}..HEAD", check=False)
        if not head:
            return draft.model_copy(update={"state": "closed"})
        merged = self._git("merge-base", "--is-ancestor", head, "HEAD", code=True) == "0"
        state, commit = ("merged", head) if merged else ("open", None)
        return draft.model_copy(update={"state": state, "merge_commit": commit})

    def _trees(self, base: str, commits: Sequence[Commit]) -> list[str]:
        """The tree after each commit, made on an index of its own."""
        made = []
        with tempfile.TemporaryDirectory(prefix="nd-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self._git("read-tree", base, env=index)
            for commit in commits:
                for path, content in commit.files.items():
                    if content is None:
                        self._git("update-index", "--force-remove", "--", path, env=index)
                        continue
                    blob = self._git("hash-object", "-w", "--stdin", stdin=content)
                    mode = "100755" if path in commit.executable else "100644"
                    self._git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=index)
                made.append(self._git("write-tree", env=index))
        return made

    def _commit(self, tree: str, parent: str, message: str) -> str:
        return self._git("commit-tree", tree, "-p", parent, "-F", "-", stdin=message.encode())

    def _git(
        self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, check: bool = True,
        code: bool = False,
    ) -> str:  # fmt: skip
        """What git says; with `code` its exit code."""
        done = git(args, cwd=self._repository, stdin=stdin, env=env)
        if code:
            return str(done.returncode)
        if done.returncode != 0 and check:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            if "not a git repository" in " ".join(said):
                raise NotFound(f"{self._repository} is not a git repository")
            raise Unavailable(
                f"git {args[0]} in {self._repository} said: {said[-1][:200] if said else 'nothing'}"
            )
        return done.stdout.decode("utf-8", "replace").strip()
