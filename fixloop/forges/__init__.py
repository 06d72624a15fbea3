"""Where drafts are opened; see `fixloop.Forge`. Which one, is a question of the repository's address."""

from __future__ import annotations

from collections.abc import Sequence

from fixloop.forges.github import GitHub
from fixloop.forges.gitlab import GitLab
from fixloop.forges.local_git import LocalGit

BUILT_IN: Sequence[type[GitHub] | type[GitLab] | type[LocalGit]] = (GitHub, GitLab, LocalGit)
