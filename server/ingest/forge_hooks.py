"""Webhooks of forges: what became of a draft, what was said of it, what was deployed. Signed, else nothing is read.

The shapes are those of GitHub's and GitLab's documentation. What a payload does not say is looked up on the forge soon
after; what it says twice counts once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fixloop.forges import github, gitlab
from fixloop.forges.rest import moment, place_of
from server.drafts import lifecycle
from server.house import House
from store import following, journal, queries
from store.errors import BadPayload, NightdeskError
from store.project import Release
from store.repair import Attempt, DraftPullRequest, Feedback

Reader = Callable[[DraftPullRequest], DraftPullRequest]
SOURCES = ("github", "gitlab")
_BY = "forge"


@dataclass(frozen=True)
class News:
    """What one webhook says. `repository` is "owner/name"; `branch` or `number` say of which draft; `stands` reads the
    draft's new state."""

    repository: str = ""
    branch: str | None = None
    number: int | None = None
    stands: Reader | None = None
    said: tuple[Feedback, ...] = ()
    deployed: tuple[str, str, str | None, datetime] | None = None  # version, commit, environment, when


NOTHING = News()


def take(
    house: House, project: str, source: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> dict[str, Any]:
    """Take in one webhook of a project whose signature was checked; what it moved. Raises BadPayload."""
    news = read(source, headers, body)
    repos = _repositories(house, project, news.repository)
    if news.deployed is not None:
        return {"releases": [_released(house, project, repo, news.deployed) for repo in repos]}
    moved: list[str] = []
    kept = 0
    for attempt, draft in _drafts(house, project, repos, news):
        if news.stands is not None and lifecycle.apply(house, attempt.id, news.stands(draft), now):
            moved.append(attempt.incident_id)
        kept += lifecycle.keep(house, attempt, draft.repo, news.said) if news.said else 0
        following.hurry(house.database, attempt.id, draft.repo, now)
    return {"moved": list(dict.fromkeys(moved)), "kept": kept}


def read(source: str, headers: Mapping[str, str], body: bytes) -> News:
    """What a payload says; NOTHING for events that are none of ours. Raises BadPayload."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPayload("The webhook is not JSON: set its content type to application/json.") from error
    if not isinstance(found, dict):
        raise BadPayload("The webhook is not a JSON object.")
    try:
        return _github(headers.get("x-github-event", ""), found) if source == "github" else _gitlab(found)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise BadPayload(f"The webhook is not of a shape that {source} documents.") from error


def _github(event: str, found: dict[str, Any]) -> News:
    repository = str((found.get("repository") or {}).get("full_name") or "")
    pull: dict[str, Any] = found.get("pull_request") or {}
    if event == "pull_request":
        number = github.read_pull(
            _BLANK, pull
        ).number  # one without its fields is refused before anything moves
        return News(repository, str(pull["head"]["ref"]), number, lambda draft: github.read_pull(draft, pull))
    if event in {"pull_request_review", "pull_request_review_comment"}:
        kind, part = ("review", "review") if event.endswith("review") else ("comment", "comment")
        return News(repository, str(pull["head"]["ref"]), said=(github.comment(found[part], kind),))
    if event == "issue_comment" and "pull_request" in found["issue"] and found.get("action") != "deleted":
        return News(
            repository, number=int(found["issue"]["number"]), said=(github.comment(found["comment"]),)
        )
    if event == "check_run" and found.get("action") == "completed":
        run = found["check_run"]
        return News(repository, str(run["check_suite"]["head_branch"]), said=(github.check(run),))
    if event == "deployment_status" and found["deployment_status"]["state"] == "success":
        made, at = found["deployment"], moment(found["deployment_status"].get("created_at"))
        told = (str(made["ref"]), str(made["sha"]), str(made["environment"]), at or datetime.now(UTC))
        return News(repository, deployed=told)
    return NOTHING


def _gitlab(found: dict[str, Any]) -> News:
    repository = str((found.get("project") or {}).get("path_with_namespace") or "")
    kind, about = found.get("object_kind"), found.get("object_attributes") or {}
    if kind == "merge_request":
        at = about.get("updated_at")
        about = {**about, "merged_at": about.get("merged_at") or at} if about["state"] == "merged" else about
        about = {**about, "closed_at": about.get("closed_at") or at} if about["state"] == "closed" else about
        gitlab.read_request(_BLANK, about)
        branch = str(about["source_branch"])
        return News(repository, branch, int(about["iid"]), lambda draft: gitlab.read_request(draft, about))
    if kind == "note" and about.get("noteable_type") == "MergeRequest":
        note = {**about, "author": found.get("user") or {}}
        return News(repository, str(found["merge_request"]["source_branch"]), said=(gitlab.comment(note),))
    if kind == "pipeline" and about.get("status") in gitlab.ENDED:
        branch = (found.get("merge_request") or {}).get("source_branch") or about["ref"]
        return News(repository, str(branch), said=(gitlab.pipeline(about),))
    if kind == "deployment" and found.get("status") == "success":
        at = moment(found.get("status_changed_at")) or datetime.now(UTC)
        sha = str(found.get("sha") or found["short_sha"])
        return News(repository, deployed=(str(found["ref"]), sha, str(found["environment"]), at))
    return NOTHING


_BLANK = DraftPullRequest(forge="", repo="", branch="", base="", title="", body="", state="open")


def _repositories(house: House, project: str, named: str) -> list[str]:
    """The connected repositories of the project that a forge's "owner/name" is: by their address, or, where they are
    folders of this machine, by their name."""
    found = []
    for row in queries.repositories(house.database, project):
        place = place_of(row.url)
        names = {named.lower()} if place else {named.lower(), named.rpartition("/")[2].lower()}
        if (place.path if place else row.name).lower() in names - {""}:
            found.append(row.name)
    return found


def _drafts(
    house: House, project: str, repos: Iterable[str], news: News
) -> list[tuple[Attempt, DraftPullRequest]]:
    """The drafts that the news are about; of an incident of this project only."""
    wanted = set(repos)
    if news.branch is not None and news.branch.startswith("nightdesk/INC-"):
        try:
            attempts = queries.attempts(house.database, news.branch.removeprefix("nightdesk/"))
        except NightdeskError:
            return []
    elif news.number is not None:
        attempts = queries.attempts_with_drafts(house.database)
    else:
        return []
    found = [(attempt, draft) for attempt in attempts for draft in attempt.drafts if draft.repo in wanted]
    about = [
        (attempt, draft)
        for attempt, draft in found
        if draft.branch == news.branch or (news.branch is None and draft.number == news.number)
    ]
    return [each for each in about if _project_of(house, each[0]) == project]


def _project_of(house: House, attempt: Attempt) -> str:
    return queries.incident(house.database, attempt.incident_id).project


def _released(house: House, project: str, repo: str, told: tuple[str, str, str | None, datetime]) -> str:
    version, commit, environment, at = told
    release = Release(
        project=project,
        version=version[:200],
        commits={repo: commit[:64]},
        environment=environment,
        deployed_at=at,
    )
    journal.add_release(house.database, release, _BY)
    return release.version
