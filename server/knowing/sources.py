"""The team's code as triage sees it: every repository of the project at the commit that the event ran on."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

from server.knowing.releases import Standing
from server.knowing.repository_part import RepositoryPart
from store.errors import NightdeskError
from store.mirrors import Mirror

log = logging.getLogger("nightdesk.sources")

_STEPS = 20  # renames of one file that are followed


class ProjectSources:
    """Implements `triage.Sources` over mirrors. Reads are remembered, so one object serves one triage."""

    def __init__(self) -> None:
        self.standings: dict[str, Standing] = {}
        self._mirrors: dict[str, Mirror] = {}
        self._parts: dict[str, RepositoryPart] = {}
        self._paths: dict[str, Sequence[str]] = {}
        self._texts: dict[tuple[str, str], str | None] = {}
        self._renamed: dict[str, Mapping[str, str]] = {}

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

    def renamed(self, repo: str) -> Mapping[str, str]:
        """Names that files had at another time, by the renames of the whole history, to the ones that they have at
        that commit. Where the history cannot be read: nothing."""
        if repo not in self._renamed:
            try:
                steps = self._mirrors[repo].history.renames(self.commit(repo))
            except NightdeskError as error:
                log.warning("Renames of %s are not followed: %s", repo, error)
                steps = []
            self._renamed[repo] = present_names(steps, frozenset(self.paths(repo)))
        return self._renamed[repo]


def present_names(steps: Iterable[tuple[str, str]], there: Collection[str]) -> dict[str, str]:
    """For every name in these renames (before, after) that is not there, the nearest one that is: what it was called
    later first, else what it had been called before."""
    later: dict[str, list[str]] = {}
    earlier: dict[str, list[str]] = {}
    for before, after in steps:
        later.setdefault(before, []).append(after)
        earlier.setdefault(after, []).append(before)
    found = {}
    for name in sorted(later.keys() | earlier.keys()):
        if name not in there:
            present = _followed(name, later, there) or _followed(name, earlier, there)
            if present is not None:
                found[name] = present
    return found


def _followed(name: str, steps: Mapping[str, Sequence[str]], there: Collection[str]) -> str | None:
    seen, edge = {name}, [name]
    for _ in range(_STEPS):
        edge = [after for before in edge for after in reversed(steps.get(before, ())) if after not in seen]
        seen.update(edge)
        present = next((each for each in edge if each in there), None)
        if present is not None or not edge:
            return present
    return None
