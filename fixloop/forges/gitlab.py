"""Drafts on GitLab, self-managed ones included, through the REST API (v4).

Shapes by its documentation: commits with actions, merge requests. A merge request is a draft by its title.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fixloop.forges.commits import Commit, all_ours
from fixloop.forges.rest import Api, first_merged, moment, place_of, token
from store.errors import NotFound, Unavailable
from store.repair import DraftPullRequest, Feedback

LABEL = "nightdesk"
ENDED = frozenset({"success", "failed", "canceled", "skipped"})  # pipelines that run no more
_REPORTER, _DEVELOPER = 20, 30  # access levels: sees the code, pushes
_STATES = {"opened": "open", "merged": "merged", "closed": "closed", "locked": "open"}


class GitLab:
    """`fixloop.Forge` over one project on GitLab."""

    name = "gitlab"

    def __init__(self, address: str) -> None:
        place = place_of(address)
        if place is None:
            raise NotFound("This is not the address of a repository on a forge.")
        headers = {"PRIVATE-TOKEN": token(self.name), "User-Agent": "nightdesk"}
        self._api = Api(self.name, f"{place.site}/api/v4", headers)
        self._path = f"/projects/{quote(place.path, safe='')}"

    @staticmethod
    def takes(address: str) -> bool:
        """gitlab.com; a self-managed one is named by the setting `forges`."""
        place = place_of(address)
        return place is not None and place.host == "gitlab.com"

    def is_public(self) -> bool:
        """Whether anybody may read the project."""
        return str(self._api.get(self._path).get("visibility", "public")) == "public"

    def open_draft(self, draft: DraftPullRequest, commits: Sequence[Commit]) -> DraftPullRequest:
        """The branch, then the merge request for it; each is found where it is there already."""
        anew = self._push(draft, commits)
        found = self._find(draft)
        if found is None or (anew and found["state"] not in {"opened", "locked"}):
            body = {
                "source_branch": draft.branch, "target_branch": self._api.get(self._path)["default_branch"],
                "title": f"Draft: {draft.title}", "description": draft.body, "labels": LABEL,
                "remove_source_branch": True, "reviewer_ids": self._reviewers(draft.reviewers),
            }  # fmt: skip
            found = self._api.send("POST", f"{self._path}/merge_requests", body)
        return read_request(draft, found)

    def look(self, draft: DraftPullRequest) -> DraftPullRequest:
        """What became of it."""
        if draft.number is None:
            raise NotFound(f"{draft.branch} has no merge request yet.")
        return read_request(draft, self._api.get(f"{self._path}/merge_requests/{draft.number}"))

    def heard(self, draft: DraftPullRequest) -> list[Feedback]:
        """Its notes and pipelines, of at most a thousand threads and pipelines."""
        place = f"{self._path}/merge_requests/{draft.number}"
        head = str(self._api.get(place).get("sha") or "")
        threads = self._api.pages(f"{place}/discussions")
        pipelines = self._api.pages(f"{place}/pipelines")
        said = [
            comment(one, str(thread["id"]), head)
            for thread in threads
            for one in thread["notes"]
            if not one.get("system")
        ]
        return said + [pipeline(one) for one in pipelines if one.get("status") in ENDED]

    def may_write(self, who: str) -> bool:
        """Whether somebody has the right to push to the project: a developer, or more."""
        return self._access(who) >= _DEVELOPER

    def answer(self, draft: DraftPullRequest, thread: str, text: str) -> None:
        """Say something in a thread of a review. What begins with the same line is there already."""
        place = f"{self._path}/merge_requests/{draft.number}/discussions/{thread}"
        first = text.split("\n", 1)[0]
        notes = self._api.get(place)["notes"]
        if not any(str(one.get("body")).split("\n", 1)[0].strip() == first for one in notes):
            self._api.send("POST", f"{place}/notes", {"body": text})

    def author_of(self, commit: str) -> str | None:
        """The user name of whoever wrote a commit: the one user of its address, where they may see the project."""
        try:
            email = self._api.get(f"{self._path}/repository/commits/{commit}").get("author_email")
        except NotFound:
            return None
        users = self._api.get("/users", search=str(email)) if email else []
        name = str(users[0]["username"]) if len(users) == 1 else ""
        return f"@{name}" if name and self._access(name) >= _REPORTER else None

    def _access(self, who: str) -> int:
        """The access level of a user in the project; 0 for who is none of it."""
        users = self._api.get("/users", username=who)
        try:
            found = self._api.get(f"{self._path}/members/all/{users[0]['id']}") if users else {}
        except NotFound:
            return 0
        return int(found.get("access_level") or 0)

    def _reviewers(self, names: Sequence[str]) -> list[int]:
        """The ids of those that are people here; groups cannot be asked."""
        found = []
        for name in names:
            if "/" not in name:
                users = self._api.get("/users", username=name.removeprefix("@"))
                found += [int(user["id"]) for user in users[:1]]
        return found

    def merged_by(self, commit: str) -> tuple[str, int] | None:
        """The merge request that brought a commit, and when it was merged (seconds since 1970): the first, if more."""
        requests = self._api.get(f"{self._path}/repository/commits/{commit}/merge_requests")
        return first_merged((f"!{request['iid']}", request.get("merged_at")) for request in requests)

    def _push(self, draft: DraftPullRequest, commits: Sequence[Commit]) -> bool:
        """Make the branch, a commit for each call. What an interrupted run has left is gone on with: the commits that
        are on it are told by their messages. One of an earlier, different proposal is made anew (True), unless
        somebody else has a commit on it."""
        done = self._messages(draft)
        wanted = [commit.message.strip() for commit in commits]
        anew = done != wanted[: len(done)]
        if anew and not all_ours(done, draft.branch):
            raise Unavailable(
                f"The branch {draft.branch} is there with commits of somebody else: look at it, and delete it."
            )
        if anew and self._messages(draft) != done:
            raise Unavailable(f"The branch {draft.branch} has just moved; it is tried again.", retry=True)
        done = [] if anew else done
        for number, commit in enumerate(commits[len(done) :], len(done)):
            body: dict[str, Any] = {
                "branch": draft.branch, "commit_message": commit.message,
                "actions": [
                    self._action(path, content, commit, draft.branch if number else draft.base)
                    for path, content in commit.files.items()
                ],
            }  # fmt: skip
            if number == 0:
                body |= {"start_sha": draft.base, **({"force": True} if anew else {})}
            self._api.send("POST", f"{self._path}/repository/commits", body)
        return anew

    def _messages(self, draft: DraftPullRequest) -> list[str]:
        """The messages of the branch's commits since the base, oldest first."""
        try:
            self._api.get(f"{self._path}/repository/branches/{quote(draft.branch, safe='')}")
        except NotFound:
            return []
        compared = self._api.get(
            f"{self._path}/repository/compare", **{"from": draft.base, "to": draft.branch}
        )
        return [str(commit["message"]).strip() for commit in compared["commits"]]

    def _action(self, path: str, content: bytes | None, commit: Commit, base: str) -> dict[str, Any]:
        if content is None:
            return {"action": "delete", "file_path": path}
        there = self._has(path, base)
        return {
            "action": "update" if there else "create", "file_path": path, "encoding": "base64",
            "content": base64.b64encode(content).decode(), "execute_filemode": path in commit.executable,
        }  # fmt: skip

    def _has(self, path: str, commit: str) -> bool:
        try:
            self._api.get(f"{self._path}/repository/files/{quote(path, safe='')}", ref=commit)
        except NotFound:
            return False
        return True

    def _find(self, draft: DraftPullRequest) -> dict[str, Any] | None:
        found = self._api.get(f"{self._path}/merge_requests", source_branch=draft.branch, state="all")
        mine = [each for each in found if each["source_branch"] == draft.branch]
        return next((each for each in mine if each["state"] == "opened"), mine[0] if mine else None)


def read_request(draft: DraftPullRequest, found: Mapping[str, Any]) -> DraftPullRequest:
    """The draft as a merge request's JSON says it stands; webhooks carry nearly the same JSON."""
    state = _STATES.get(str(found["state"]), "open")
    names = ("merge_commit_sha", "squash_commit_sha", "sha")  # the last: merged by moving the branch forward
    commit = next((str(found[name]) for name in names if found.get(name)), None)
    update = {
        "number": found["iid"], "url": found.get("web_url") or found.get("url"), "state": state,
        "merged_at": moment(found.get("merged_at")), "closed_at": moment(found.get("closed_at")),
        "merge_commit": commit if state == "merged" else None,
    }  # fmt: skip
    return draft.model_copy(update=update)


def comment(note: Mapping[str, Any], thread: str = "", head: str | None = None) -> Feedback:
    """A note, as the API and webhooks say it. Its lines are those of the branch only where it was written on `head`."""
    place = note.get("position") or {}
    here = bool(place.get("new_line")) and place.get("head_sha") == head
    last = int(place["new_line"]) if here else None
    begin = ((place.get("line_range") or {}).get("start") or {}).get("new_line")
    return Feedback(
        kind="comment", source=str(note["id"]), text=str(note.get("body") or note.get("note") or ""),
        at=moment(note.get("updated_at")) or moment(note.get("created_at")) or datetime.now(UTC),
        who=str((note.get("author") or {}).get("username") or ""), url=str(note.get("url") or ""), thread=thread,
        path=str(place.get("new_path") or ""), last=last, first=int(begin) if here and begin else last,
    )  # fmt: skip


def pipeline(found: Mapping[str, Any]) -> Feedback:
    """The result of a pipeline."""
    return Feedback(
        kind="check", source=f"pipeline {found['id']}", outcome=str(found.get("status") or ""), text="pipeline",
        at=moment(found.get("finished_at")) or moment(found.get("updated_at")) or datetime.now(UTC),
        url=str(found.get("web_url") or found.get("url") or ""),
    )  # fmt: skip
