"""The team's code as triage sees it: every repository of the project at the commit that the event ran on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.releases import Standing
from server.repository_part import RepositoryPart
from store.mirrors import Mirror


class ProjectSources:
    """Implements `triage.Sources` over mirrors. Reads are remembered, so one object serves one triage."""

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self._mirrors: dict[str, Mirror] = {}
        self._parts: dict[str, RepositoryPart] = {}
        self._paths: dict[str, Sequence[str]] = {}
        self._texts: dict[tuple[str, str], str | None] = {}

    def add(self, mirror: Mirror, standing: Standing, part: RepositoryPart) -> None:
        """Let triage look into a repository, as it stood."""
        self._mirrors[mirror.name] = mirror
        self.standings[mirror.name] = standing
        self._parts[mirror.name] = part

    def repositories(self) -> Sequence[str]:
        """Names of the repositories of the project."""
        return tuple(self._mirrors)

    def commit(self, repo: str) -> str:
        """The commit that the event's release contains."""
        return self.standings[repo].commit

    def paths(self, repo: str) -> Sequence[str]:
        """Every file at that commit."""
        if repo not in self._paths:
            self._paths[repo] = self._mirrors[repo].paths(self.commit(repo))
        return self._paths[repo]

    def text(self, repo: str, path: str) -> str | None:
        """A file's text at that commit, or None where it is absent or not text."""
        if (repo, path) not in self._texts:
            self._texts[repo, path] = self._mirrors[repo].text(self.commit(repo), path)
        return self._texts[repo, path]

    def path_map(self, repo: str) -> Mapping[str, str]:
        """Configured prefixes: path in production to folder of the repository."""
        return self._parts[repo].path_map
