"""Whether an incident is fixed in somebody's checkout, as far as the history and the proven patch tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fixloop.blocks import parse
from server.incidents.view import IncidentView
from store.errors import NightdeskError
from store.mirrors import Mirror
from store.repair import Attempt, ChangeVerdict

if TYPE_CHECKING:
    from server.house import House

_SHA = re.compile(r"[0-9a-fA-F]{7,40}")


def checkout_words(house: House, view: IncidentView, sha: str) -> str:
    """One sentence: what the commit `sha` means for this incident."""
    if not _SHA.fullmatch(sha):
        return "what was given is not a commit; pass 7 to 40 hex digits, as `git rev-parse HEAD` prints them"
    for repo in _repositories(view):
        try:
            mirror = house.mirrors.get(repo)
            commit = mirror.resolve(sha.lower())
        except NightdeskError:
            continue
        if commit:
            return _words(mirror, commit, view)
    return (
        f"commit {sha[:12].lower()} is in no mirror of a repository concerned; push it, or run "
        "`nightdesk repo sync`, and ask again"
    )


def _repositories(view: IncidentView) -> list[str]:
    place, attempt = view.incident.location, view.attempt
    names = [*(attempt.patch.diffs if attempt and attempt.patch else ()), *([place.repo] if place else ())]
    return list(dict.fromkeys(names))


def _words(mirror: Mirror, commit: str, view: IncidentView) -> str:
    at = f"commit {commit[:12]}"
    attempt, place = view.attempt, view.incident.location
    if (
        attempt
        and attempt.patch
        and (diff := attempt.patch.diffs.get(mirror.name))
        and _contains(mirror, commit, diff)
    ):
        return f"{at} contains the fix"
    cause = _cause(attempt, mirror.name)
    if cause and not mirror.is_ancestor(cause, commit):
        return f"{at} does not contain the change that caused it, so it should not fail there"
    if place and place.repo == mirror.name:
        if mirror.blob(commit, place.path) is None:
            return f"{at} has no such file any more; run the test to know"
        if mirror.blob(commit, place.path) == mirror.blob(place.commit, place.path):
            return f"not fixed: at {at} the failing file is as it was when it failed"
    return f"undetermined: at {at} the failing file is another one than when it failed; run the test to know"


def _cause(attempt: Attempt | None, repo: str) -> str | None:
    changes = attempt.changes if attempt else ()
    return next((c.commit for c in changes if c.repo == repo and c.verdict is ChangeVerdict.PROVEN), None)


def _contains(mirror: Mirror, commit: str, diff: str) -> bool:
    """Whether every block of a diff has been put in: its new lines are there in one piece, or its old ones
    gone."""
    for block in parse(diff):
        lines = (mirror.text(commit, block.path) or "").splitlines()
        new, old = [line.rstrip("\n") for line in block.new], [line.rstrip("\n") for line in block.old]
        if (new and not _has(lines, new)) or (not new and _has(lines, old)):
            return False
    return True


def _has(lines: list[str], piece: list[str]) -> bool:
    return any(lines[at : at + len(piece)] == piece for at in range(len(lines) - len(piece) + 1))
