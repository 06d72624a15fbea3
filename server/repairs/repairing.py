"""Drive the loop with the parts of the house: repair an incident, judge a patch, open the draft."""

from __future__ import annotations

from datetime import UTC, datetime

from fixloop.blocks import by_file, parse
from fixloop.conclude import proof_of
from fixloop.judging.judge import Judge
from server.drafts.approvals import open_drafts
from server.house import House
from server.repairs.progress import STEPS, Note, Progress, Steps
from server.repairs.trials import keep_proof, trial_of
from server.repairs.workbench import Prepared, choose, prepare
from store import journal, queries
from store.errors import BadPayload, NotAllowed, NotFound
from store.repair import (
    Attempt,
    DraftPullRequest,
    Ended,
    Patch,
    Validation,
    ValidationVerdict,
)


def repair(house: House, ref: str, note: Note = lambda step: None, *, until: str | None = None) -> Attempt:
    """Repair an incident here and now, to the end or up to a step ("reproduce", "causes", "minimise"). Each
    step is kept as it lands; one that is killed is not taken up again: `server.work` has those that are. A
    proven fix becomes a draft where the policy lets it. Raises NightdeskError before the first step only."""
    incident = queries.incident(house.database, ref)
    basis = choose(house, incident.id)
    prepare(house, incident.id, basis)
    attempt = journal.start_attempt(house.database, incident.id)
    progress = Progress(attempt_id=attempt.id, incident_id=incident.id, basis=basis)
    steps = Steps(house)
    try:
        for name in STEPS[1:]:
            if progress.wants(name):
                progress = steps.advance(name, progress, note)
            if name == until:
                break
    except BaseException:
        _close(house, attempt.id, Ended.CANCELLED, "it was stopped before its end")
        raise
    return _close(house, attempt.id, Ended.UNDETERMINED, "")


def _close(house: House, attempt_id: str, ended: Ended, said: str) -> Attempt:
    """The attempt as it stands; one that has no result of its own yet ends with this one."""
    attempt = queries.attempt(house.database, attempt_id)
    assert attempt is not None  # noqa: S101 - it was begun before its first step
    if attempt.ended is None:
        update = {"ended": ended, "said": said, "finished_at": datetime.now(UTC)}
        attempt = attempt.model_copy(update=update)
        journal.keep_attempt(house.database, attempt)
    return attempt


def judge_patch(
    house: House, ref: str, diff: str, repo: str | None = None, *, keep: bool = False
) -> Validation:
    """Judge a patch from anywhere by the same proof as our own. With `keep` it is recorded, and a proven one
    becomes the attempt's patch where there is none. Raises NotFound where there is no reproducer to judge it
    by, BadPayload."""
    prepared = prepare(house, ref)
    incident = prepared.incident
    attempt = queries.latest_attempt(house.database, incident.id)
    if attempt is None or attempt.reproducer is None:
        attempt = repair(house, incident.id, until="minimise")
    if attempt.reproducer is None:
        raise NotFound(f"{incident.id} has no reproducer, so no patch can be judged: {attempt.said}.")
    names = [repo] if repo else _meant(prepared, diff)
    patch = Patch(
        diffs={names[0]: diff},
        base_commits={names[0]: prepared.bench.layout.repo(names[0]).commit},
        files=tuple(by_file(parse(diff))),
        fixer="submitted",
        kind="submitted",
        rationale="Handed in from outside.",
    )
    validation = Judge(prepared.bench, trial_of(prepared, attempt)).judge(patch)
    if keep:
        _record(house, attempt, patch, validation, prepared)
    return validation


def _meant(prepared: Prepared, diff: str) -> list[str]:
    """The repository that a diff is for: the one that has its files."""
    layout = prepared.bench.layout
    names = [repo.name for repo in layout.repositories]
    if len(names) == 1:
        return names
    paths = [block.path for block in parse(diff) if not block.created]
    fitting = [
        name for name in names
        if paths and set(paths) <= set(prepared.bench.repositories.get(name).paths(layout.repo(name).commit))
    ]  # fmt: skip
    if len(fitting) != 1:
        raise BadPayload(f"Say which repository the patch is for: one of {', '.join(names)}.")
    return fitting


def _record(house: House, attempt: Attempt, patch: Patch, validation: Validation, prepared: Prepared) -> None:
    if (
        validation.verdict != ValidationVerdict.PROVEN
        or attempt.proof is not None
        or attempt.reproducer is None
    ):
        update: dict[str, object] = {"rejected": (*attempt.rejected, (patch, validation))}
    else:
        now = prepared.bench.now()
        proof = proof_of(attempt.incident_id, patch, attempt.reproducer, validation, now)
        update = {
            "patch": patch,
            "validation": validation,
            "proof": proof,
            "ended": Ended.PROVEN,
            "finished_at": now,
            "said": f"submitted: {validation.said}",
        }
    kept = attempt.model_copy(update=update)
    journal.keep_attempt(house.database, kept)
    if attempt.proof is None:
        keep_proof(house, prepared, kept)


def open_draft(house: House, ref: str, by: str | None = None) -> list[DraftPullRequest] | str:
    """Open the draft, or give the address of the page where a person opens it."""
    try:
        return open_drafts(house, ref, by)
    except NotAllowed as refused:
        incident = queries.incident(house.database, ref)
        return f"{refused} Open it at {house.config.address}/incidents/{incident.id}#draft"
