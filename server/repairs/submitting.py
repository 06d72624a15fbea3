"""Patches from anywhere, judged by the same proof as our own: taken in, judged, recorded.

What was taken in is kept before anything is run; whoever judges it may be killed at any point, and another goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from fixloop.blocks import by_file, parse
from fixloop.conclude import proof_of
from fixloop.judging.judge import Judge
from server.house import House
from server.repairs.trials import keep_proof, trial_of
from server.repairs.workbench import Basis, Prepared, choose, prepare
from store import journal, queries, submissions
from store.errors import BadPayload, NightdeskError, NotFound, Unavailable
from store.repair import Asked, Attempt, Ended, Patch, Submission, Validation, ValidationVerdict


def hand_in(
    house: House, ref: str, diff: str, repo: str | None, by: str, *, keep: bool, asked: Asked | None = None,
    of: Attempt | None = None,
) -> Submission:  # fmt: skip
    """Take a patch in; the same one handed in before is found again, with its verdict. With `keep` the verdict is
    recorded in the repair, and a proven patch becomes its fix where there is none. What is `asked` in a review of a
    draft (`of` a repair) is judged on the commits of that. Raises NotFound where there is no test to judge it by,
    BadPayload."""
    incident = queries.incident(house.database, ref)
    attempt = of or queries.latest_attempt(house.database, incident.id)
    if attempt is None or attempt.reproducer is None:
        said = f": {attempt.said}" if attempt is not None and attempt.said else ""
        raise NotFound(f"{incident.id} has no test, so no patch can be judged{said}.")
    if keep and not diff.isascii() and diff != diff.encode("utf-8", "replace").decode():
        raise BadPayload("The patch is not text in UTF-8.")
    basis = choose(house, incident.id)
    stood = attempt.patch.base_commits if asked and attempt.patch else {}
    wanted = Submission(
        id="", incident_id=incident.id, attempt_id=attempt.id, diff=diff, repo=repo, by=by, keep=keep,
        events=basis.events, commits={**basis.commits, **stood}, asked=asked, asked_at=datetime.now(UTC),
    )  # fmt: skip
    return submissions.hand_in(house.database, wanted)[0]


def judged(house: House, submission: Submission) -> Submission:
    """The submission with its verdict, or with the sentence that says why there is none. Blocking, for minutes."""
    try:
        prepared = prepared_for(house, submission)
        attempt = queries.attempt(house.database, submission.attempt_id)
        if attempt is None:
            raise NotFound(f"There is no attempt {submission.attempt_id} any more.")
        patch = submission.patch or _patch(prepared, submission)
        validation = Judge(prepared.bench, trial_of(prepared, attempt)).judge(patch)
        if submission.keep:
            _record(house, attempt.id, patch, validation, prepared)
    except NightdeskError as problem:
        if isinstance(problem, Unavailable) and problem.retry:
            raise  # not over: it is tried again
        return ended(submission, said=str(problem))
    found = submission.model_copy(update={"patch": patch, "validation": validation})
    return found if submission.asked else ended(found)


def ended(submission: Submission, said: str = "") -> Submission:
    """The submission, done with."""
    return submission.model_copy(update={"ended_at": datetime.now(UTC), "said": said or submission.said})


def prepared_for(house: House, submission: Submission) -> Prepared:
    """The workbench on what it was handed in for. Raises NotFound, Unavailable, SandboxRefused."""
    basis = Basis(events=submission.events, commits=submission.commits)
    return prepare(house, submission.incident_id, basis)


def _patch(prepared: Prepared, submission: Submission) -> Patch:
    """What was handed in, as a patch of the one repository that it is for. Raises BadPayload."""
    diff = submission.diff
    repo = submission.repo or _meant(prepared, diff)
    return Patch(
        diffs={repo: diff},
        base_commits={repo: prepared.bench.layout.repo(repo).commit},
        files=tuple(by_file(parse(diff))),
        fixer="submitted",
        kind="submitted",
        rationale="Handed in from outside.",
    )


def _meant(prepared: Prepared, diff: str) -> str:
    """The repository that a diff is for: the one that has its files. Raises BadPayload."""
    layout = prepared.bench.layout
    names: Sequence[str] = [repo.name for repo in layout.repositories]
    paths = [block.path for block in parse(diff) if not block.created]
    fitting = [
        name for name in names
        if paths and set(paths) <= set(prepared.bench.repositories.get(name).paths(layout.repo(name).commit))
    ]  # fmt: skip
    if len(names) == 1:
        return names[0]
    if len(fitting) != 1:
        raise BadPayload(f"Say which repository the patch is for: one of {', '.join(names)}.")
    return fitting[0]


def _record(house: House, attempt_id: str, patch: Patch, validation: Validation, prepared: Prepared) -> None:
    """Write the verdict into the repair as it stands by now: judging took minutes. Twice is the same as once."""
    attempt = queries.attempt(house.database, attempt_id)
    if attempt is None or attempt.reproducer is None or _is_fix(attempt, patch):
        return
    if validation.verdict != ValidationVerdict.PROVEN or attempt.proof is not None:
        others = [pair for pair in attempt.rejected if pair[0].diffs != patch.diffs]
        kept = attempt.model_copy(update={"rejected": (*others, (patch, validation))})
    else:
        now = prepared.bench.now()
        update = {
            "patch": patch, "validation": validation, "ended": Ended.PROVEN, "finished_at": now,
            "proof": proof_of(attempt.incident_id, patch, attempt.reproducer, validation, now),
            "said": f"submitted: {validation.said}",
        }  # fmt: skip
        kept = attempt.model_copy(update=update)
    journal.keep_attempt(house.database, kept)
    if attempt.proof is None:
        keep_proof(house, prepared, kept)


def _is_fix(attempt: Attempt, patch: Patch) -> bool:
    """Whether a repair has this very patch as its proven fix."""
    return attempt.proof is not None and attempt.patch is not None and attempt.patch.diffs == patch.diffs
