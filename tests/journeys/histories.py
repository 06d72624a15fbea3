"""Small git histories for tests: files, subjects and days in, hashes out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


class History:
    """A git repository that is written commit by commit, each a day later, by Ann unless another is named."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._day = 0
        self.git("init", "-q", "-b", "main")

    def commit(
        self, subject: str, files: Mapping[str, str], *, author: str = "Ann", tag: str | None = None
    ) -> str:
        """Write files, commit them, and return the hash."""
        self._day += 1
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text, encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject, author=author)
        if tag is not None:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str, author: str = "Ann") -> str:
        """Run git here, with nobody's configuration but ours."""
        at = f"2026-01-{self._day or 1:02}T10:00:00+00:00"
        mail = f"{author.lower()}@example.org"
        env = {
            "PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": author, "GIT_AUTHOR_EMAIL": mail, "GIT_AUTHOR_DATE": at,
            "GIT_COMMITTER_NAME": author, "GIT_COMMITTER_EMAIL": mail, "GIT_COMMITTER_DATE": at,
        }  # fmt: skip
        command = ["git", *words]
        done = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()
