"""What a review asked for: the fix is changed, judged as any other, pushed as a further commit, and answered.

Each step is kept before the next one begins, and doing one twice is the same as once: a commit that is on the branch is
found there, and an answer by its first line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from fixloop.blocks import by_file, parse, unified
from fixloop.conclude import proof_of
from fixloop.fixers.model import ModelFixer
from fixloop.forges.commits import applied as applied_files
from fixloop.forges.commits import signed
from fixloop.publish import answer_of, revision_message
from server.drafts.approvals import commits_of, policy_of, revisions_of, row_of
from server.house import House
from server.repairs.models import desk_for, record, roles, spent_on
from server.repairs.reviewing import Reviewed, forge_of, source_of
from server.repairs.submitting import ended, judged, prepared_for
from server.repairs.suggestions import applied, suggested
from server.repairs.trials import keep_proof, trial_of
from store import journal, queries
from store.errors import NightdeskError, NotAllowed, NotFound, Unavailable
from store.incident import Step
from store.repair import (
    Asked,
    Attempt,
    DraftPullRequest,
    Ended,
    Feedback,
    Patch,
    Revision,
    Submission,
    ValidationVerdict,
)

log = logging.getLogger("nightdesk.drafts")


def advanced(house: House, submission: Submission) -> Submission:
    """The next step of what a review asked for. Raises Unavailable for what is tried again."""
    if submission.patch is None and not submission.said:
        return _tried(submission, lambda: _changed(house, submission))
    if submission.patch is not None and submission.validation is None and not submission.said:
        after = judged(house, submission)
        return after.model_copy(update={"ended_at": None})  # that it could not be judged is answered too
    verdict = submission.validation.verdict if submission.validation else None
    if verdict is ValidationVerdict.PROVEN and not submission.pushed and not submission.said:
        return _tried(submission, lambda: _pushed(house, submission))
    return _answered(house, submission)


def _tried(submission: Submission, step: Callable[[], Submission]) -> Submission:
    """What a step gives; what keeps it from its end is said in the answer."""
    try:
        return step()
    except NightdeskError as problem:
        if isinstance(problem, Unavailable) and problem.retry:
            raise
        return submission.model_copy(update={"said": str(problem)})


def _changed(house: House, submission: Submission) -> Submission:
    """The fix as it is to be: by the block of lines that the comment has, else by a model. Raises NotFound."""
    asked, attempt, draft, forge = _of(house, submission)
    said = next((one for one in forge.heard(draft) if source_of(one) == asked.source), None)
    if said is None:
        raise NotFound("the comment is not there any more")
    if suggested(said.text) is not None:
        patch = _by_suggestion(house, attempt, draft, said)
    else:
        patch = _by_model(house, submission, attempt)
    return submission.model_copy(update={"patch": patch})


def _by_suggestion(house: House, attempt: Attempt, draft: DraftPullRequest, said: Feedback) -> Patch:
    """The fix with the suggested lines in their place, as one patch on the commit of the proof. Raises NotFound."""
    suggestion, current = suggested(said.text), attempt.patch
    assert suggestion is not None and current is not None  # noqa: S101, PT018 - looked at before
    if said.first is None or said.last is None or not said.path:
        raise NotFound("the lines that the comment stands on are not those of the branch as it is now")
    mirror, diff = house.mirrors.get(draft.repo), current.diffs[draft.repo]
    new = {
        path: None if content is None else content.decode("utf-8", "surrogateescape")
        for path, content in applied_files(mirror, draft.base, diff).items()
    }
    text = new[said.path] if said.path in new else mirror.text(draft.base, said.path)
    changed = applied(text, suggestion, said.first, said.last) if text is not None else None
    if changed is None:
        raise NotFound(
            "the comment stands on lines that the fix cannot change: the test, or a file that is not there"
        )
    new[said.path] = changed
    old = {path: mirror.text(draft.base, path) for path in new}
    return _revised(current, draft.repo, unified(old, new), "review")


def _revised(current: Patch, repo: str, diff: str, fixer: str) -> Patch:
    """The fix with another diff in one repository."""
    diffs = {**current.diffs, repo: diff}
    files = tuple(dict.fromkeys(path for each in diffs.values() for path in by_file(parse(each))))
    why = "Changed as a review asked."
    return current.model_copy(
        update={"diffs": diffs, "files": files, "fixer": fixer, "kind": "submitted", "rationale": why}
    )


def _by_model(house: House, submission: Submission, attempt: Attempt) -> Patch:
    """Another whole fix by a model, which is shown the fix and the comment, both as text to judge. Raises NotFound."""
    project = queries.incident(house.database, attempt.incident_id).project
    desk = desk_for(house, project, spent_on(attempt))
    if desk is None:
        raise NotFound("there is no block of lines to take (```suggestion), and no model to ask")
    prepared, asked = prepared_for(house, submission), submission.asked
    trial = trial_of(prepared, attempt)
    assert attempt.patch is not None and asked is not None  # noqa: S101, PT018 - looked at before
    made = ModelFixer(desk, roles()).reconsider(
        prepared.situation, prepared.bench, trial.reproducer, attempt, asked.text
    )
    told = {"model": record(house, desk), "input": submission.id}
    said = "a model was asked to change the fix as a review asks"
    step = Step(name="review", started_at=submission.asked_at, took=0.0, said=said, details=told)
    journal.note_step(house.database, attempt.id, step)
    if not made:
        raise NotFound("; ".join(desk.said[-2:]) or "the model gives no patch")
    return made[0]


def _pushed(house: House, submission: Submission) -> Submission:
    """The proven fix as a further commit of the branch, and as the fix of the repair. Raises NotAllowed, NotFound."""
    asked, attempt, draft, _ = _of(house, submission)
    patch, validation = submission.patch, submission.validation
    test = attempt.reproducer
    assert patch is not None and validation is not None and test is not None  # noqa: S101, PT018
    if policy_of(house, row_of(house, draft.repo)) == "never":
        raise NotAllowed("the policy of the repository is 'never'")
    if [repo for repo in patch.diffs if patch.diffs[repo] != (attempt.patch or patch).diffs.get(repo)] not in (
        [], [asked.repo],
    ):  # fmt: skip
        raise NotAllowed("it changes another repository than the one that is reviewed")
    done = revisions_of(attempt, draft)
    if done[-1].patch.diffs != patch.diffs:
        message = signed(revision_message(submission), submission.incident_id)
        done = [*done, Revision(repo=draft.repo, patch=patch, message=message)]
        others = [each for each in attempt.revisions if each.repo != draft.repo]
        attempt = attempt.model_copy(update={"revisions": (*others, *done)})
    forge_of(house, draft).open_draft(draft, commits_of(attempt, draft, house.mirrors.get(draft.repo)))
    now = datetime.now(UTC)
    proof = proof_of(attempt.incident_id, patch, test, validation, now)
    update = {"patch": patch, "validation": validation, "proof": proof, "ended": Ended.DRAFTED}
    kept = attempt.model_copy(update=update)
    journal.keep_attempt(house.database, kept)
    _keep_file(house, submission, kept)
    return submission.model_copy(update={"pushed": True})


def _keep_file(house: House, submission: Submission, attempt: Attempt) -> None:
    """The file of the new proof; that it is pushed does not hang on it."""
    try:
        keep_proof(house, prepared_for(house, submission), attempt)
    except NightdeskError as problem:
        log.warning("The proof of %s has no file: %s", attempt.id, problem)


def _answered(house: House, submission: Submission) -> Submission:
    """Said in the thread, once; then it has ended."""
    try:
        asked, _, draft, forge = _of(house, submission)
        forge.answer(draft, asked.thread, answer_of(submission))
    except NightdeskError as problem:
        if isinstance(problem, Unavailable) and problem.retry:
            raise
        why = "" if str(problem) == submission.said else f"; it could not be answered: {problem}"
        return ended(submission, f"{submission.said}{why}".removeprefix("; "))
    return ended(submission)


def _of(house: House, submission: Submission) -> tuple[Asked, Attempt, DraftPullRequest, Reviewed]:
    """What it is about, as it stands now. Raises NotFound."""
    attempt, asked = queries.attempt(house.database, submission.attempt_id), submission.asked
    drafts = attempt.drafts if attempt else ()
    draft = next((each for each in drafts if asked and each.repo == asked.repo and each.kind == "fix"), None)
    forge = forge_of(house, draft) if draft else None
    if attempt is None or asked is None or draft is None or draft.state != "open" or attempt.patch is None:
        raise NotFound("the draft is not open any more")
    if not isinstance(forge, Reviewed):
        raise NotFound("the forge of the draft has no reviews")
    return asked, attempt, draft, forge
