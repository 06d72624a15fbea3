"""What a forge knows of a commit that git does not tell: the pull request that brought it."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Protocol, runtime_checkable

from fixloop import Forge
from fixloop.changes.pull_requests import Asked, Brought
from server import plugins
from server.house import House
from store import queries
from store.errors import NightdeskError

log = logging.getLogger("nightdesk.forges")


@runtime_checkable
class Remembers(Protocol):
    """A forge that can say which of its pull requests brought a commit."""

    def merged_by(self, commit: str) -> tuple[str, int] | None:
        """Its name ("#12", "!7") and when it was merged, in seconds since 1970; None where it knows of none."""
        ...


def asked_of(house: House, names: Collection[str]) -> Asked:
    """Asks the forge of each of these repositories. One without a token is never called; one that fails is not called
    again: what is missing then is a name, and nobody waits for it."""
    rows = {row.name: row.url for row in queries.repositories(house.database) if row.name in names}
    forges: dict[str, Forge | None] = {}

    def asked(repo: str, commit: str) -> Brought | None:
        try:
            if repo not in forges:
                forges[repo] = None
                forges[repo] = plugins.forge(rows[repo], house.config.forges)
            forge = forges[repo]
            found = forge.merged_by(commit) if isinstance(forge, Remembers) else None
        except NightdeskError as problem:
            log.info("The forge of %s is not asked about commits: %s", repo, problem)
            forges[repo] = None
            return None
        return Brought(*found) if found else None

    return asked
