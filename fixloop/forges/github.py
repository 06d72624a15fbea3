"""Drafts on GitHub, its Enterprise Server included, through the REST API (version 2022-11-28).

Shapes by its documentation: git database (blobs, trees, commits, references) and pulls. The branch is made without a
clone; the draft is a draft or it is not opened, for some plans have none.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fixloop.forges.commits import Commit, all_ours
from fixloop.forges.rest import Api, Place, Refused, first_merged, moment, place_of, token
from store.errors import NotAllowed, NotFound, Unavailable
from store.repair import DraftPullRequest, Feedback

log = logging.getLogger("nightdesk.drafts")

LABEL = "nightdesk"


class GitHub:
    """`fixloop.Forge` over one repository on GitHub."""

    name = "github"

    def __init__(self, address: str) -> None:
        place = place_of(address)
        if place is None:
            raise NotFound("This is not the address of a repository on a forge.")
        headers = {
            "Authorization": f"Bearer {token(self.name)}", "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "nightdesk",
        }  # fmt: skip
        self._api, self._path = Api(self.name, _base(place), headers), f"/repos/{place.path}"

    @staticmethod
    def takes(address: str) -> bool:
        """github.com; an Enterprise Server is named by the setting `forges`."""
        place = place_of(address)
        return place is not None and place.host == "github.com" and place.path.count("/") == 1

    def is_public(self) -> bool:
        """Whether anybody may read the repository."""
        return str(self._api.get(self._path).get("visibility", "public")) == "public"

    def open_draft(self, draft: DraftPullRequest, commits: Sequence[Commit]) -> DraftPullRequest:
        """The branch, then the draft for it; each is found where it is there already."""
        anew = self._push(draft, commits)
        found = self._find(draft)
        if found is None or (anew and found["state"] != "open"):
            found = self._open(draft)
        return read_pull(draft, found)

    def look(self, draft: DraftPullRequest) -> DraftPullRequest:
        """What became of it."""
        return read_pull(draft, self._pull(draft))

    def heard(self, draft: DraftPullRequest) -> list[Feedback]:
        """Its comments, reviews and checks, at most a thousand of each."""
        number, head = draft.number, self._pull(draft)["head"]["sha"]
        said = [comment(one) for one in self._api.pages(f"{self._path}/issues/{number}/comments")]
        said += [comment(one) for one in self._api.pages(f"{self._path}/pulls/{number}/comments")]
        said += [comment(one, "review") for one in self._api.pages(f"{self._path}/pulls/{number}/reviews")]
        runs = self._api.pages(f"{self._path}/commits/{head}/check-runs", "check_runs")
        return said + [check(run) for run in runs if run.get("status") == "completed"]

    def may_write(self, who: str) -> bool:
        """Whether somebody has the right to push to the repository."""
        try:
            found = self._api.get(f"{self._path}/collaborators/{quote(who, safe='')}/permission")
        except NotFound:
            return False
        return found.get("permission") in {"admin", "maintain", "write"}

    def answer(self, draft: DraftPullRequest, thread: str, text: str) -> None:
        """Say something in a thread of a review, or (with none) below the draft. What begins with the same line is
        there already."""
        place = f"{self._path}/{'pulls' if thread else 'issues'}/{draft.number}/comments"
        first = text.split("\n", 1)[0]
        if any(str(one.get("body")).split("\n", 1)[0].strip() == first for one in self._api.pages(place)):
            return
        self._api.send("POST", f"{place}/{thread}/replies" if thread else place, {"body": text})

    def author_of(self, commit: str) -> str | None:
        """The login of whoever wrote a commit, where GitHub knows it."""
        try:
            author = self._api.get(f"{self._path}/commits/{commit}").get("author") or {}
        except NotFound:
            return None
        return f"@{author['login']}" if author.get("login") else None

    def _pull(self, draft: DraftPullRequest) -> dict[str, Any]:
        if draft.number is None:
            raise NotFound(f"{draft.branch} has no pull request yet.")
        found: dict[str, Any] = self._api.get(f"{self._path}/pulls/{draft.number}")
        return found

    def merged_by(self, commit: str) -> tuple[str, int] | None:
        """The pull request that brought a commit, and when it was merged (seconds since 1970): the first, if more."""
        pulls = self._api.get(f"{self._path}/commits/{commit}/pulls")
        return first_merged((f"#{pull['number']}", pull.get("merged_at")) for pull in pulls)

    def _push(self, draft: DraftPullRequest, commits: Sequence[Commit]) -> bool:
        """Make the branch. One whose files are as proposed stays; one of an earlier, different proposal is made anew
        (True), unless somebody else has a commit on it."""
        head, anew = self._head(draft.branch), False
        tree = self._api.get(f"{self._path}/git/commits/{draft.base}")["tree"]["sha"]
        parent, made = draft.base, []
        for commit in commits:
            entries = [self._entry(path, content, commit) for path, content in commit.files.items()]
            body = {"base_tree": tree, "tree": entries}
            tree = self._api.send("POST", f"{self._path}/git/trees", body)["sha"]
            made.append((tree, commit.message))
        if head is not None:
            trees = [each for each, _ in made]
            standing = self._api.get(f"{self._path}/git/commits/{head}")["tree"]["sha"]
            anew = standing not in trees
            if anew:
                self._check_ours(draft, head)
            else:
                made, parent = made[trees.index(standing) + 1 :], head  # the test was landed before its fix
        for tree_sha, message in made:
            body = {"message": message, "tree": tree_sha, "parents": [parent]}
            parent = self._api.send("POST", f"{self._path}/git/commits", body)["sha"]
        if head is None:
            body = {"ref": f"refs/heads/{draft.branch}", "sha": parent}
            self._api.send("POST", f"{self._path}/git/refs", body)
        elif made:
            if anew and self._head(draft.branch) != head:
                raise Unavailable(f"The branch {draft.branch} has just moved; it is tried again.", retry=True)
            place = f"{self._path}/git/refs/heads/{quote(draft.branch)}"
            self._api.send("PATCH", place, {"sha": parent, "force": anew})
        return anew

    def _check_ours(self, draft: DraftPullRequest, head: str) -> None:
        """Raise Unavailable where a branch has a commit that is not ours."""
        compared = self._api.get(f"{self._path}/compare/{draft.base}...{head}")
        messages = [str(each["commit"]["message"]) for each in compared["commits"]]
        if len(messages) != compared["total_commits"] or not all_ours(messages, draft.branch):
            raise Unavailable(
                f"The branch {draft.branch} is there with commits of somebody else: look at it, and delete it."
            )

    def _head(self, branch: str) -> str | None:
        try:
            return str(self._api.get(f"{self._path}/git/ref/heads/{quote(branch)}")["object"]["sha"])
        except NotFound:
            return None

    def _entry(self, path: str, content: bytes | None, commit: Commit) -> dict[str, Any]:
        entry = {"path": path, "mode": "100755" if path in commit.executable else "100644", "type": "blob"}
        if content is None:
            return {**entry, "sha": None}
        body = {"content": base64.b64encode(content).decode(), "encoding": "base64"}
        return {**entry, "sha": self._api.send("POST", f"{self._path}/git/blobs", body)["sha"]}

    def _find(self, draft: DraftPullRequest) -> dict[str, Any] | None:
        owner = self._path.split("/")[2]
        pulls = self._api.get(f"{self._path}/pulls", head=f"{owner}:{draft.branch}", state="all")
        mine = [pull for pull in pulls if pull["head"]["ref"] == draft.branch]
        return next((pull for pull in mine if pull["state"] == "open"), mine[0] if mine else None)

    def _open(self, draft: DraftPullRequest) -> dict[str, Any]:
        base = self._api.get(self._path)["default_branch"]
        body = {"title": draft.title, "head": draft.branch, "base": base, "body": draft.body, "draft": True}
        try:
            opened: dict[str, Any] = self._api.send("POST", f"{self._path}/pulls", body)
        except Refused as error:
            if "draft" in error.said.lower():
                raise NotAllowed(
                    f"This repository has no draft pull requests, and nothing else is opened; {draft.branch} is pushed."
                ) from error
            raise
        self._api.send("POST", f"{self._path}/issues/{opened['number']}/labels", {"labels": [LABEL]})
        self._ask_reviewers(int(opened["number"]), draft.reviewers)
        return opened

    def _ask_reviewers(self, number: int, names: Sequence[str]) -> None:
        """Each by itself: one who may not review (an outsider, whoever the token belongs to) keeps no other away."""
        for name in names:
            team = name.partition("/")[2]
            body = {"team_reviewers": [team]} if team else {"reviewers": [name.removeprefix("@")]}
            try:
                self._api.send("POST", f"{self._path}/pulls/{number}/requested_reviewers", body)
            except (Refused, NotFound, NotAllowed) as problem:
                log.warning("%s is not asked to review %s/pulls/%d: %s", name, self._path, number, problem)


def _base(place: Place) -> str:
    return "https://api.github.com" if place.host == "github.com" else f"{place.site}/api/v3"


def read_pull(draft: DraftPullRequest, pull: Mapping[str, Any]) -> DraftPullRequest:
    """The draft as a pull request's JSON says it stands; webhooks carry the same JSON."""
    merged = moment(pull.get("merged_at"))
    update = {
        "number": pull["number"], "url": pull["html_url"], "closed_at": moment(pull.get("closed_at")),
        "state": "merged" if merged else "open" if pull["state"] == "open" else "closed", "merged_at": merged,
        "merge_commit": pull.get("merge_commit_sha") if merged else None,
    }  # fmt: skip
    return draft.model_copy(update=update)


def comment(said: Mapping[str, Any], kind: str = "comment") -> Feedback:
    """A comment or a review, as the API and webhooks say it."""
    at = moment(said.get("submitted_at")) or moment(said.get("updated_at")) or moment(said.get("created_at"))
    who = (said.get("user") or {}).get("login") or ""
    place = str(said.get("path") or "")
    last = (
        said.get("line") if said.get("side", "RIGHT") == "RIGHT" else None
    )  # None: the code is another by now
    return Feedback(
        kind=kind, source=str(said["id"]), at=at or datetime.now(UTC), who=str(who),
        outcome=str(said.get("state") or "").lower(), text=str(said.get("body") or ""),
        url=str(said.get("html_url") or ""), thread=str(said.get("in_reply_to_id") or said["id"]) if place else "",
        path=place, first=said.get("start_line") or last, last=last,
    )  # fmt: skip


def check(run: Mapping[str, Any]) -> Feedback:
    """The result of a check; one that has not ended has none."""
    return Feedback(
        kind="check", source=str(run["name"]), at=moment(run.get("completed_at")) or datetime.now(UTC),
        outcome=str(run.get("conclusion") or run.get("status") or ""), text=str(run["name"]),
        url=str(run.get("html_url") or ""),
    )  # fmt: skip
