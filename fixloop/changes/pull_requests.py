"""Which pull or merge request brought a commit: by its own message, by the merge that contains it, by what it was
picked from, and where none of these tells (a squash without a number), by the forge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fixloop import Change, History

DAY = 86_400
ASKED = 10  # commits of a list that a forge is asked about: the first, which people read


@dataclass(frozen=True)
class Brought:
    """How a commit came into the release. `merged` is when (seconds since 1970), where a merge tells."""

    pull_request: str | None = None
    merged: int | None = None


Asked = Callable[[str, str], Brought | None]  # (repository, commit) -> what its forge knows of it


def nobody(repo: str, commit: str) -> None:
    """Where no forge is to be asked."""


def completed(
    found: Mapping[tuple[str, str], Brought], first: Sequence[tuple[str, str]], asked: Asked
) -> dict[tuple[str, str], Brought]:
    """The same, with what the forge knows of the `first` of which git tells nothing. The forge's moment of merging is
    taken only where git has none: a push to the forge is no merge."""
    known = dict(found)
    for repo, sha in first[:ASKED]:
        how = known[repo, sha]
        told = asked(repo, sha) if how.pull_request is None else None
        if told is not None:
            known[repo, sha] = Brought(told.pull_request, told.merged if how.merged is None else how.merged)
    return known


def brought(history: History, release: str, listed: Sequence[Change]) -> dict[str, Brought]:
    """For each of the changes; one process and a walk for all of them."""
    if not listed:
        return {}
    oldest = min(change.committed for change in listed) - 30 * DAY
    known = history.changes(history.reachable(release, oldest))
    by = _merges(known, release)
    picked = history.changes(sha for change in listed for sha in change.picked_from)
    found = {}
    for change in listed:
        merge = by.get(change.sha)
        named = change.pull_request or (merge.pull_request if merge else None)
        origin = next((picked[sha].pull_request for sha in change.picked_from if sha in picked), None)
        found[change.sha] = Brought(named or origin, merge.committed if merge else None)
    return found


def _merges(known: Mapping[str, Change], release: str) -> dict[str, Change]:
    """Commit -> the merge on the main line that first contained it; octopus merges bring all their branches."""
    line: list[Change] = []
    at = known.get(release)
    while at is not None:
        line.append(at)
        at = known.get(at.parents[0]) if at.parents else None
    taken = {change.sha for change in line}
    by: dict[str, Change] = {}
    for merge in reversed([change for change in line if change.is_merge]):
        pending = [sha for sha in merge.parents[1:] if sha not in taken]
        while pending:
            sha = pending.pop()
            if sha in taken or sha not in known:
                continue
            taken.add(sha)
            by[sha] = merge
            pending += known[sha].parents
    return by
