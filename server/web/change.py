"""The page of one change: what it did, and every incident that was laid at its door."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from server.incidents.quoting import Quoter
from server.web import links
from server.web.diffs import diff_files
from server.web.formats import shown
from server.web.highlight import coloured
from server.web.visiting import Visit
from store import overview, queries
from store.commits import CommitInfo
from store.errors import NightdeskError, NotFound
from store.incident import Incident
from store.repair import CandidateChange

_LINES = 600  # lines of its diff that are drawn
_ORDER = (
    "proven", "supported", "introduced_with_feature", "fails_otherwise", "untested", "not_runnable", "refuted",
)  # fmt: skip


def page(visit: Visit) -> Response:
    """One change. Raises NotFound where there is no such commit, or none that they may see."""
    repo, sha = visit.request.path_params["repo"], visit.request.path_params["sha"].partition(".")[0]
    commit = _commit(visit, repo, sha)
    laid = _laid(visit, repo, commit.sha)
    rows = [
        {"id": incident.id, "title": incident.title, "verdict": change.verdict.value, "said": change.said}
        for incident, change in laid
    ]
    plain: dict[str, Any] = {
        "repo": repo, "commit": commit.sha, "title": commit.subject, "author": commit.author,
        "committed_at": commit.committed_at.isoformat(), "incidents": rows,
    }  # fmt: skip

    def lines(quoter: Quoter) -> Iterator[str]:
        yield f"# Change {quoter.name(commit.sha[:12])} in {quoter.name(repo)}"
        yield f"{quoter.inline(commit.subject, source='repository')}, {commit.committed_at:%Y-%m-%d}"
        for incident, change in laid:
            yield f"- **{incident.id}** {change.verdict.value}: {quoter.inline(change.said, source='run')}"

    place = links.places(queries.repositories(visit.house.database), visit.house.config.forges).get(repo)
    return shown(
        visit, "change.html", plain, lines, info=commit, laid=laid, files=_files(visit, repo, commit.sha),
        link=place.commit(commit.sha) if place else None,
    )  # fmt: skip


def _commit(visit: Visit, repo: str, sha: str) -> CommitInfo:
    rows = [row for row in queries.repositories(visit.house.database) if row.name == repo]
    if not any(visit.house.sees(row.project) for row in rows):
        raise NotFound("There is no such repository; the settings list those that are connected.")
    mirror = visit.house.mirrors.get(repo)
    found = mirror.resolve(sha) if sha and all(letter in "0123456789abcdef" for letter in sha) else None
    if found is None:
        raise NotFound("This repository has no such commit; `nightdesk repo sync` fetches what is new.")
    return mirror.log(found, limit=1)[0]


def _laid(visit: Visit, repo: str, sha: str) -> list[tuple[Incident, CandidateChange]]:
    """The incidents for which the change was a candidate, those it is proven for first."""
    found = []
    for attempt in overview.attempts_naming(visit.house.database, sha):
        change = next((one for one in attempt.changes if (one.repo, one.commit) == (repo, sha)), None)
        incident = queries.incident(visit.house.database, attempt.incident_id)
        if change is not None and visit.house.sees(incident.project):
            found.append((incident, change))
    return sorted(found, key=lambda pair: _ORDER.index(pair[1].verdict.value))


def _files(visit: Visit, repo: str, sha: str) -> list[Any]:
    mirror = visit.house.mirrors.get(repo)
    try:
        files = diff_files(mirror.diff(sha))
        room, kept = _LINES, []
        for file in files:
            if len(file.lines) > room:
                break
            room -= len(file.lines)
            kept.append(file)
        sides = (
            [mirror.blobs(side, [file.path for file in kept]) for side in (f"{sha}^", sha)]
            if kept
            else [{}, {}]
        )
        texts = [
            {path: blob.decode("utf-8", "replace") for path, blob in side.items() if blob is not None}
            for side in sides
        ]
        return [
            *coloured(kept, lambda path: texts[0].get(path), lambda path: texts[1].get(path)),
            *files[len(kept) :],
        ]
    except NightdeskError:  # a first commit has no parent: its lines stay plain
        return list(diff_files(mirror.diff(sha)))[:20]
