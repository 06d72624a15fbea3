"""Drafts on GitHub, its Enterprise Server included, through the REST API (version 2022-11-28).

Shapes by its documentation: git database (blobs, trees, commits, references) and pulls. The branch is made without a
clone; the draft is a draft or it is not opened, for some plans have none.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from fixloop.forges.commits import Commit
from fixloop.forges.rest import Api, Place, Refused, first_merged, place_of, token
from store.errors import NotAllowed, NotFound, Unavailable
from store.repair import DraftPullRequest

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
        self._push(draft, commits)
        found = self._find(draft)
        if found is None:
            found = self._open(draft)
        return _read(draft, found)

    def look(self, draft: DraftPullRequest) -> DraftPullRequest:
        """What became of it."""
        if draft.number is None:
            raise NotFound(f"{draft.branch} has no pull request yet.")
        return _read(draft, self._api.get(f"{self._path}/pulls/{draft.number}"))

    def merged_by(self, commit: str) -> tuple[str, int] | None:
        """The pull request that brought a commit, and when it was merged (seconds since 1970): the first, if more."""
        pulls = self._api.get(f"{self._path}/commits/{commit}/pulls")
        return first_merged((f"#{pull['number']}", pull.get("merged_at")) for pull in pulls)

    def _push(self, draft: DraftPullRequest, commits: Sequence[Commit]) -> None:
        """Make the branch. One whose files are as proposed stays; a person's commits on it are never taken away."""
        head = self._head(draft.branch)
        tree = self._api.get(f"{self._path}/git/commits/{draft.base}")["tree"]["sha"]
        parent, made = draft.base, []
        for commit in commits:
            entries = [self._entry(path, content, commit) for path, content in commit.files.items()]
            body = {"base_tree": tree, "tree": entries}
            tree = self._api.send("POST", f"{self._path}/git/trees", body)["sha"]
            made.append((tree, commit.message))
        if head is not None:
            standing = self._api.get(f"{self._path}/git/commits/{head}")
            if standing["tree"]["sha"] == tree:
                return
            raise Unavailable(
                f"The branch {draft.branch} is there with other content: look at it, and delete it."
            )
        for tree_sha, message in made:
            body = {"message": message, "tree": tree_sha, "parents": [parent]}
            parent = self._api.send("POST", f"{self._path}/git/commits", body)["sha"]
        self._api.send("POST", f"{self._path}/git/refs", {"ref": f"refs/heads/{draft.branch}", "sha": parent})

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
        return mine[0] if mine else None

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
        return opened


def _base(place: Place) -> str:
    return "https://api.github.com" if place.host == "github.com" else f"{place.site}/api/v3"


def _read(draft: DraftPullRequest, pull: dict[str, Any]) -> DraftPullRequest:
    merged = bool(pull.get("merged_at"))
    state = "merged" if merged else "open" if pull["state"] == "open" else "closed"
    return draft.model_copy(update={"number": pull["number"], "url": pull["html_url"], "state": state})
