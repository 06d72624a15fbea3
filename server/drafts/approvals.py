"""The only way to a pull request. Policy decides whether a draft opens by itself; else a person does.

Policy comes from the server or from the default branch, never from the tree that is being judged. Nothing is
merged.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from fixloop import Forge
from fixloop.blocks import by_file, parse
from fixloop.forges.commits import Commit, fix_commit, signed, test_commit
from fixloop.publish import draft_of, opened, test_draft_of
from fixloop.running.worlds import RepoLayout
from server import plugins
from server.house import House
from server.knowing.owners import owners_of
from store import journal, queries, tasks
from store.errors import NightdeskError, NotAllowed, NotFound, Unavailable
from store.event import Trust
from store.incident import Incident
from store.mirrors import Mirror
from store.project import RepositoryConfig
from store.repair import (
    Attempt,
    ChangeVerdict,
    DraftPullRequest,
    Ended,
    Oracle,
    Revision,
    ValidationVerdict,
)
from store.tasks import Task

log = logging.getLogger("nightdesk.drafts")

WAITING = "waiting"  # the state of a draft whose forge did not answer
_REVIEWERS = 5  # who are asked at most
_OPENED = frozenset({"open", "merged", "closed"})


@runtime_checkable
class Discloses(Protocol):
    """A forge that can say who may read a repository."""

    def is_public(self) -> bool: ...


@runtime_checkable
class KnowsAuthors(Protocol):
    """A forge that can say who, of its own users, wrote a commit."""

    def author_of(self, commit: str) -> str | None: ...


@dataclass(frozen=True)
class Decision:
    """Whether drafts open now, and the sentence that says why."""

    opens: bool
    why: str


def decide(house: House, incident: Incident, attempt: Attempt) -> Decision:
    """What the policy says of this attempt, when nobody has approved it."""
    patch, validation, proof = attempt.patch, attempt.validation, attempt.proof
    if patch is not None and patch.upgrade is not None:
        unread = "another version of a dependency brings code that nobody here has read"
        return Decision(False, f"{unread}: a person decides")
    if patch is None or validation is None or proof is None or validation.verdict != ValidationVerdict.PROVEN:
        return Decision(False, "there is no complete proof, and without a proof no draft opens")
    if validation.oracle == Oracle.NO_CRASH:
        return Decision(False, "the oracle only says that the failure is gone: a person decides")
    if patch.kind == "revert":
        lost = ", and it takes something away" if patch.loses else ""
        return Decision(False, f"a revert can bring back an old fault{lost}: a person decides")
    if validation.api_diff.get("changed"):
        return Decision(
            False, f"it changes what others may call ({validation.api_diff['changed'][0]}): a person decides"
        )
    untrusted = [e for e in queries.events(house.database, incident.id) if e.trust is not Trust.SIGNED]
    if untrusted:
        return Decision(False, "some of its events came by a public key: a person decides")
    for repo in patch.diffs:
        row = row_of(house, repo)
        policy = policy_of(house, row)
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
    if any(policy_of(house, row_of(house, repo)) == "never" for repo in attempt.patch.diffs):
        raise NotAllowed("The policy of a repository that changes is 'never': no draft is opened there.")
    drafts = [_opened(house, incident, attempt, repo, by) for repo in attempt.patch.diffs]
    _keep(house, attempt, drafts)
    return drafts


def go_on(house: House, task: Task) -> None:
    """Open the drafts of an attempt that wait for their forge. Raises what keeps them from it; what will not be
    opened without a person waits no more, as if it had never been asked for."""
    incident = queries.incident(house.database, task.incident_id)
    attempt = queries.attempt(house.database, task.subject)
    waiting = [] if attempt is None else [draft for draft in attempt.drafts if draft.state == WAITING]
    if attempt is None or not waiting:
        tasks.settle(house.database, task)
        return
    try:
        opened = {
            draft.repo: _opened(house, incident, attempt, draft.repo, draft.approved_by) for draft in waiting
        }
    except NightdeskError:
        _keep(house, attempt, [draft for draft in attempt.drafts if draft.state != WAITING])
        tasks.settle(house.database, task)
        raise
    _keep(house, attempt, [opened.get(draft.repo, draft) for draft in attempt.drafts])
    if not any(draft.state == WAITING for draft in opened.values()):
        tasks.settle(house.database, task)


def _keep(house: House, attempt: Attempt, drafts: Sequence[DraftPullRequest]) -> None:
    """What became of the drafts. The task goes first: killed in between, it finds nothing that waits and goes."""
    if any(draft.state == WAITING for draft in drafts):
        tasks.await_forge(house.database, attempt.id)
    ended = Ended.DRAFTED if drafts and all(draft.state in _OPENED for draft in drafts) else attempt.ended
    journal.keep_attempt(house.database, attempt.model_copy(update={"drafts": tuple(drafts), "ended": ended}))


def proposed(house: House, ref: str) -> tuple[Attempt, Decision, list[DraftPullRequest]]:
    """What would be pushed, without pushing it. Raises NotFound without a proven fix."""
    incident = queries.incident(house.database, ref)
    attempt = queries.latest_attempt(house.database, incident.id)
    if attempt is None or attempt.proof is None or attempt.patch is None:
        raise NotFound(f"{incident.id} has no proven fix; run `nightdesk repair {incident.id}` first.")
    drafts = [
        draft_of(incident, attempt, RepoLayout(repo, attempt.patch.base_commits[repo]), "")
        for repo in attempt.patch.diffs
    ]
    return attempt, decide(house, incident, attempt), drafts


def _opened(
    house: House, incident: Incident, attempt: Attempt, repo: str, by: str | None
) -> DraftPullRequest:
    """The draft of one repository, open; or waiting, where its forge does not answer now."""
    patch = attempt.patch
    assert patch is not None  # noqa: S101 - callers look first
    forge, mirror = plugins.forge(row_of(house, repo).url, house.config.forges), house.mirrors.get(repo)
    base = patch.base_commits[repo]
    proposal = draft_of(incident, attempt, RepoLayout(repo, base), forge.name)
    there = next((each for each in attempt.drafts if each.repo == repo and each.kind == "fix"), None)
    if there is not None:  # what it says was counted then: the commits on its branch are known by it
        proposal = proposal.model_copy(update={"title": there.title, "body": there.body})
    asked = _reviewers(forge, mirror, attempt, repo, list(by_file(parse(patch.diffs[repo]))))
    draft = opened(proposal.model_copy(update={"reviewers": asked}), by or "policy", datetime.now(UTC))
    return _pushed(forge, draft, commits_of(attempt, draft, mirror), incident, by)


def commits_of(attempt: Attempt, draft: DraftPullRequest, mirror: Mirror) -> list[Commit]:
    """What stands on the branch of a draft: the tests, then each fix there was, the one in force last."""
    tests = [*attempt.tests, *([attempt.reproducer] if attempt.reproducer else [])]
    files = {test.test_path: test.source for test in tests if test.repo == draft.repo}
    commits = [test_commit(attempt.incident_id, files)] if files else []
    previous: str | None = None
    for revision in revisions_of(attempt, draft):
        diff = revision.patch.diffs[draft.repo]
        commits.append(fix_commit(revision.message, mirror, draft.base, diff, previous))
        previous = diff
    return commits


def revisions_of(attempt: Attempt, draft: DraftPullRequest) -> list[Revision]:
    """The fixes on the branch of a draft, in order; one where no review has changed it."""
    known = [each for each in attempt.revisions if each.repo == draft.repo]
    if known or attempt.patch is None:
        return known
    message = signed(f"{draft.title}\n\n{draft.body}\n", attempt.incident_id)
    return [Revision(repo=draft.repo, patch=attempt.patch, message=message)]


def _pushed(
    forge: Forge, draft: DraftPullRequest, commits: Sequence[Commit], incident: Incident, by: str | None
) -> DraftPullRequest:
    repo = draft.repo
    try:
        if by in {None, "policy"} and isinstance(forge, Discloses) and forge.is_public():
            raise NotAllowed(f"{repo} can be read by anybody: a person decides about its drafts.")
        return forge.open_draft(draft, commits)
    except Unavailable as problem:
        if not problem.retry:
            raise
        log.warning("The draft of %s in %s waits: %s", incident.id, repo, problem)
        return draft.model_copy(update={"state": WAITING})


def open_test(house: House, ref: str, by: str) -> DraftPullRequest:
    """Land the failing test of an incident by itself, as a draft on the branch that a fix goes to later. A person
    decides: by itself it makes the tests of the repository fail. Idempotent. Raises NotFound without a test, NotAllowed
    where the policy is 'never' or a fix is drafted, Unavailable where the forge does not answer now."""
    incident, attempt, draft = proposed_test(house, ref)
    test = attempt.reproducer
    assert test is not None  # noqa: S101 - there is no proposal without
    row = row_of(house, test.repo)
    if policy_of(house, row) == "never":
        raise NotAllowed("The policy of the repository is 'never': no draft is opened there.")
    if any(each.kind == "fix" and each.repo == test.repo for each in attempt.drafts):
        raise NotAllowed(f"The draft of {incident.id} in {test.repo} carries the test already.")
    forge = plugins.forge(row.url, house.config.forges)
    asked = _reviewers(forge, house.mirrors.get(test.repo), attempt, test.repo, [test.test_path])
    draft = opened(draft.model_copy(update={"reviewers": asked}), by, datetime.now(UTC))
    landed = forge.open_draft(draft, [test_commit(incident.id, {test.test_path: test.source})])
    others = [each for each in attempt.drafts if each.repo != test.repo]
    kept = attempt.model_copy(update={"drafts": (*others, landed)})
    journal.keep_attempt(house.database, kept)
    return landed


def proposed_test(house: House, ref: str) -> tuple[Incident, Attempt, DraftPullRequest]:
    """The draft of the test alone, without opening it. Raises NotFound where there is no test."""
    incident = queries.incident(house.database, ref)
    attempt = queries.latest_attempt(house.database, incident.id)
    if attempt is None or attempt.reproducer is None:
        raise NotFound(f"{incident.id} has no failing test; run `nightdesk reproduce {incident.id}` first.")
    test = attempt.reproducer
    forge = plugins.forge(row_of(house, test.repo).url, house.config.forges)
    base = (attempt.patch.base_commits if attempt.patch else {}).get(test.repo)
    head = base or house.mirrors.get(test.repo).head()
    return incident, attempt, test_draft_of(incident, test, head, forge.name)


def _reviewers(
    forge: Forge, mirror: Mirror, attempt: Attempt, repo: str, files: Sequence[str]
) -> tuple[str, ...]:
    """Who is asked to look at it: the code owners of what changes, and who wrote the proven cause. Nobody, where that
    cannot be found out: a draft does not wait for it."""
    try:
        names = dict.fromkeys(owners_of(mirror, files))
        cause = next(
            (c for c in attempt.changes if c.verdict is ChangeVerdict.PROVEN and c.repo == repo), None
        )
        if cause is not None and isinstance(forge, KnowsAuthors):
            author = forge.author_of(cause.commit)
            names |= {author: None} if author else {}
    except NightdeskError as problem:
        log.warning("Nobody is asked to review the draft in %s: %s", repo, problem)
        return ()
    return tuple(names)[:_REVIEWERS]


def policy_of(house: House, row: RepositoryConfig) -> str:
    """The policy about drafts of a repository: never, ask or proven."""
    part = house.part(row, house.mirrors.get(row.name))
    return part.drafts or house.config.draft_policy(remote=not Path(row.url).is_dir())


def _cap(house: House, row: RepositoryConfig) -> int:
    part = house.part(row, house.mirrors.get(row.name))
    return house.config.draft_cap if part.draft_cap is None else part.draft_cap


def _open_drafts(house: House, repo: str) -> int:
    """Of whichever incident: the fix of a crash here may be drafted there. One that waits for its forge counts."""
    drafts = queries.drafts(house.database)
    return len({draft.branch for draft in drafts if draft.repo == repo and draft.state in {"open", WAITING}})


def row_of(house: House, name: str) -> RepositoryConfig:
    """The connected repository of this name. Raises NotFound."""
    found = next((row for row in queries.repositories(house.database) if row.name == name), None)
    if found is None:
        raise NotFound(f"There is no repository {name!r}; see `nightdesk repo list`.")
    return found
