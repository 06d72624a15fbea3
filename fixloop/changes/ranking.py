"""The candidate changes of an incident, over all repositories, likeliest first, each with its reasons.

No model of language and no window in time: a change of seven months ago counts when its lines are the ones that failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fixloop import Repositories, Repository
from fixloop.changes import model
from fixloop.changes.clues import Clues, clues_of
from fixloop.changes.evidence import Scene, Suspect, look, names_changed
from fixloop.changes.features import vectors
from fixloop.changes.pull_requests import Asked, Brought, brought, completed, nobody
from fixloop.changes.words import Exposure, reasons, timeline, touching
from fixloop.drift import records_in_tests, sentence
from fixloop.situation import Situation
from store.repair import CandidateChange
from store.shapes import Presence

LISTED = 30  # candidates that are kept
Exposed = Mapping[tuple[str, str], Exposure]


@dataclass(frozen=True)
class Ranked:
    """One change in its place. `share` is how likely it is beside the others."""

    repo: str
    suspect: Suspect
    share: float


def order(clues: Clues, scenes: list[Scene]) -> list[Ranked]:
    """All that can have a part in it, likeliest first; equals by age, the newest first."""
    table: dict[tuple[str, str], dict[str, float]] = {}
    by_repo = {scene.repo: scene for scene in scenes}
    for scene in scenes:
        table |= {(scene.repo, sha): vector for sha, vector in vectors(scene, clues).items()}
    traced = bool(clues.tests) or any(spot.line is not None for spot in clues.spots)
    likely = model.shares(table, model.TRACE if traced else model.FUNCTIONS)
    ranked = [Ranked(repo, by_repo[repo].suspects[sha], share) for (repo, sha), share in likely.items()]
    ranked.sort(key=lambda one: (-one.share, -one.suspect.change.committed, one.suspect.change.sha))
    return ranked


def rank(
    situation: Situation,
    repositories: Repositories,
    exposed: Exposed,
    since: datetime | None = None,
    asked: Asked = nobody,
    presences: Sequence[Presence] = (),
) -> list[CandidateChange]:
    """The candidate changes, likeliest first. `exposed`: (repository, commit) -> since when it runs;
    `since` narrows to what was committed after it; `asked` is what a forge knows of a commit and `presences` how often
    the missing fields were there, by neither of which anything is ranked. Raises Unavailable for a history that is not
    complete."""
    clues = clues_of(situation)
    places = [(repositories.get(one.name), one.commit) for one in situation.layout.repositories]
    scenes = look(clues, places, None if since is None else int(since.timestamp()))
    listed = order(clues, scenes)[:LISTED]
    by_repo = {scene.repo: scene for scene in scenes}
    came = {
        (repository.name, sha): how
        for repository, release in places
        for sha, how in brought(
            repository.history, release, [one.suspect.change for one in listed if one.repo == repository.name]
        ).items()
    }
    came = completed(came, [(one.repo, one.suspect.change.sha) for one in listed], asked)
    failed = [event.timestamp for event in situation.events]
    drifts = _drifts(
        listed, clues, presences, {repository.name: (repository, at) for repository, at in places}
    )
    return [
        _candidate(
            one, by_repo[one.repo], clues, came[one.repo, one.suspect.change.sha], exposed, failed,
            drifts.get((one.repo, one.suspect.change.sha), ()),
        )
        for one in listed
    ]  # fmt: skip


def _drifts(
    listed: Sequence[Ranked],
    clues: Clues,
    presences: Sequence[Presence],
    places: Mapping[str, tuple[Repository, str]],
) -> dict[tuple[str, str], tuple[str, ...]]:
    """What the payloads have of the fields that a change began to read: said of the likeliest change of each field."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for presence in presences:
        name = presence.field.rpartition(".")[2]
        for one in listed:
            added, removed = names_changed(one.suspect.hunks, clues.names)
            if name in added - removed:
                records = records_in_tests(*places[one.repo], name, presence.siblings)
                place = (one.repo, one.suspect.change.sha)
                found[place] = (*found.get(place, ()), sentence(name, presence, records))
                break
    return found


def _candidate(
    one: Ranked,
    scene: Scene,
    clues: Clues,
    how: Brought,
    exposed: Exposed,
    failed: list[datetime],
    drift: Sequence[str],
) -> CandidateChange:
    change = one.suspect.change
    committed = datetime.fromtimestamp(change.committed, UTC)
    merged = datetime.fromtimestamp(how.merged, UTC) if how.merged is not None else None
    exposure = exposed.get((one.repo, change.sha), Exposure())
    return CandidateChange(
        repo=one.repo, commit=change.sha, title=change.subject, author=change.author,
        authored_at=datetime.fromtimestamp(change.authored, UTC), pull_request=how.pull_request,
        merged_at=merged or committed, first_exposed_at=exposure.at, files=one.suspect.files[:50],
        score=round(one.share, 4),
        reasons=(*drift, *reasons(one.suspect, scene, clues), timeline(committed, merged, exposure, failed)),
        hunks=touching(one.suspect, scene, clues),
    )  # fmt: skip
