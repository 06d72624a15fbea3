"""Which pull or merge request brought a commit: by its own message, by the merge that contains it, by what it was
picked from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fixloop import Change, History

DAY = 86_400


@dataclass(frozen=True)
class Brought:
    """How a commit came into the release. `merged` is when (seconds since 1970), where a merge tells."""

    pull_request: str | None = None
    merged: int | None = None


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
