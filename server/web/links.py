"""Where code can be looked up in the forge of its repository: a file at a commit, a commit, by the address that the
repository was connected with. Local repositories have no such place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from store.project import RepositoryConfig

_SSH = re.compile(r"(?:ssh://)?(?:[\w.-]+@)?([\w.-]+)(?::\d+)?[:/](?!/)([\w./~-]+?)(?:\.git)?/?")
_FORGES = {"github.com": "github", "gitlab.com": "gitlab"}


@dataclass(frozen=True)
class Place:
    """The web pages of one repository."""

    base: str
    gitlab: bool

    def file(self, commit: str, path: str, line: int | None = None) -> str:
        """A file as it was at a commit, at a line."""
        anchor = f"#L{line}" if line else ""
        return f"{self.base}{self._dash}/blob/{quote(commit, safe='')}/{quote(path)}{anchor}"

    def commit(self, commit: str) -> str:
        """A commit."""
        return f"{self.base}{self._dash}/commit/{quote(commit, safe='')}"

    @property
    def _dash(self) -> str:
        return "/-" if self.gitlab else ""


def place_of(url: str, hosts: Mapping[str, str]) -> Place | None:
    """The pages of a repository by its address; `hosts` says which forge a host of one's own is. None where there are
    none, or it is not known which. Credentials in the address are left out."""
    host, path = _parts(url)
    kind = {**_FORGES, **hosts}.get(host)
    if kind not in {"github", "gitlab"} or path.count("/") < 1:
        return None
    return Place(f"https://{host}/{quote(path)}", kind == "gitlab")


def places(rows: Sequence[RepositoryConfig], hosts: Mapping[str, str]) -> dict[str, Place]:
    """The pages of each of these repositories that has some, by its name."""
    return {row.name: place for row in rows if (place := place_of(row.url, hosts))}


def _parts(url: str) -> tuple[str, str]:
    if url.startswith(("https://", "http://")):
        try:
            split = urlsplit(url)
            return split.hostname or "", split.path.strip("/").removesuffix(".git")
        except ValueError:
            return "", ""
    found = _SSH.fullmatch(url)
    return (found[1], found[2].strip("/")) if found and "@" in url else ("", "")
