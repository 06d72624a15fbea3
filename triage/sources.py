"""`Sources` where no repository is connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class NoSources:
    """No code to look at: every frame is taken by the sender's word."""

    def repositories(self) -> Sequence[str]:
        """None."""
        return ()

    def commit(self, repo: str) -> str:
        """Never asked."""
        raise KeyError(repo)

    def paths(self, repo: str) -> Sequence[str]:
        """Nothing."""
        return ()

    def text(self, repo: str, path: str) -> str | None:
        """Nothing."""
        return None

    def path_map(self, repo: str) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def renamed(self, repo: str) -> Mapping[str, str]:
        """Nothing."""
        return {}


NOTHING = NoSources()
