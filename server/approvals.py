"""The only way to a pull request. Policy decides whether a draft opens by itself; else a person does.

Policy comes from the server or from the default branch, never from the tree that is being judged. Nothing is
merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fixloop.publish import draft_of, opened
from fixloop.worlds import RepoLayout
from server import plugins
from server.house import House
from store import journal, queries
from store.errors import NotAllowed, NotFound
from store.event import Trust
from store.incident import Incident
from store.project import RepositoryConfig
from store.repair import Attempt, DraftPullRequest, Ended, Oracle, Patch, ValidationVerdict


@dataclass(frozen=True)
class Decision:
    """Whether drafts open now, and the sentence that says why."""

    opens: bool
    why: str


def decide(house: House, incident: Incident, attempt: Attempt) -> Decision:
    """What the policy says of this attempt, when nobody has approved it."""
    patch, validation, proof = attempt.patch, attempt.validation, attempt.proof
    if patch is None or validation is None or proof is None or validation.verdict != ValidationVerdict.PROVEN:
        return Decision(False, "there is no complete proof, and without a proof no draft opens")
    if validation.oracle == Oracle.NO_CRASH:
        return Decision(False, "the oracle only says that the failure is gone: a person decides")
    if patch.kind == "revert":
        lost = ", and it takes something away" if patch.loses else ""
        return Decision(False, f"a revert can bring back an old fault{lost}: a person decides")
    untrusted = [e for e in queries.events(house.database, incident.id) if e.trust is not Trust.SIGNED]
    if untrusted:
        return Decision(False, "some of its events came by a public key: a person decides")
    for repo in patch.diffs:
        row = _row(house, repo)
        policy = _policy(house, row)
        if policy != "proven":
            return Decision(False, f"the policy for {repo} is {policy!r}")
        if _open_drafts(house, repo) >= _cap(house, row):
            return Decision(False, f"{repo} has as many open drafts as its cap allows")
    return Decision(True, "the policy is 'proven' and the proof is complete")


def open_drafts(house: House, ref: str, by: str | None = None) -> list[DraftPullRequest]:
    """Open one draft in each repository that changes. `by` is the person who approves; None asks the policy.

    Idempotent. Raises NotFound without a proven fix, NotAllowed where a person has to decide.
    """
    incident = queries.incident(house.database, ref)
    attempt = queries.latest_attempt(house.database, incident.id)
    if attempt is None or attempt.proof is None or attempt.patch is None:
        raise NotFound(f"{incident.id} has no proven fix; run `nightdesk repair {incident.id}` first.")
    if by is None:
        decision = decide(house, incident, attempt)
        if not decision.opens:
            raise NotAllowed(f"The draft for {incident.id} waits for a person: {decision.why}.")
    if any(_policy(house, _row(house, repo)) == "never" for repo in attempt.patch.diffs):
        raise NotAllowed("The policy of a repository that changes is 'never': no draft is opened there.")
    drafts = [_open(house, incident, attempt, attempt.patch, repo, by) for repo in attempt.patch.diffs]
    kept = attempt.model_copy(update={"drafts": tuple(drafts), "ended": Ended.DRAFTED})
    journal.keep_attempt(house.database, kept)
    return drafts


def proposed(house: House, ref: str) -> tuple[Attempt, Decision, list[DraftPullRequest]]:
    """What would be pushed, without pushing it. Raises NotFound without a proven fix."""
    incident = queries.incident(house.database, ref)
    attempt = queries.latest_attempt(house.database, incident.id)
    if attempt is None or attempt.proof is None or attempt.patch is None:
        raise NotFound(f"{incident.id} has no proven fix; run `nightdesk repair {incident.id}` first.")
    drafts = [
        draft_of(incident, attempt, RepoLayout(repo, attempt.patch.base_commits[repo]), "local_git")
        for repo in attempt.patch.diffs
    ]
    return attempt, decide(house, incident, attempt), drafts


def _open(
    house: House, incident: Incident, attempt: Attempt, patch: Patch, repo: str, by: str | None
) -> DraftPullRequest:
    row = _row(house, repo)
    forge = plugins.forge(row.url)
    draft = opened(
        draft_of(incident, attempt, RepoLayout(repo, patch.base_commits[repo]), forge.name),
        by or "policy", datetime.now(UTC),
    )  # fmt: skip
    test = attempt.reproducer
    files = {test.test_path: test.source} if test is not None and test.repo == repo else {}
    return forge.open_draft(draft, patch, files)


def _policy(house: House, row: RepositoryConfig) -> str:
    part = house.part(row, house.mirrors.get(row.name))
    return part.drafts or house.config.draft_policy(remote=not Path(row.url).is_dir())


def _cap(house: House, row: RepositoryConfig) -> int:
    part = house.part(row, house.mirrors.get(row.name))
    return house.config.draft_cap if part.draft_cap is None else part.draft_cap


def _open_drafts(house: House, repo: str) -> int:
    attempts: Sequence[Attempt | None] = [
        queries.latest_attempt(house.database, incident.id)
        for incident in queries.incidents(house.database, repo=repo)
    ]
    return sum(draft.repo == repo and draft.state == "open" for a in attempts if a for draft in a.drafts)


def _row(house: House, name: str) -> RepositoryConfig:
    found = next((row for row in queries.repositories(house.database) if row.name == name), None)
    if found is None:
        raise NotFound(f"There is no repository {name!r}; see `nightdesk repo list`.")
    return found
