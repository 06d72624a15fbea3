"""From a proof to a draft: branch, title and the text that carries the proof. Pure; a forge pushes it."""

from __future__ import annotations

import re
from datetime import datetime

from fixloop.running.worlds import RepoLayout
from store.incident import Incident
from store.repair import (
    Attempt,
    CandidateChange,
    ChangeVerdict,
    DraftPullRequest,
    Oracle,
    Patch,
    Reproducer,
    Submission,
    Validation,
    ValidationVerdict,
)

CAP = 2_000  # characters of event text that a body quotes


def branch_name(incident_id: str) -> str:
    """One branch for an incident in every repository that changes."""
    return f"nightdesk/{incident_id}"


def draft_of(incident: Incident, attempt: Attempt, layout: RepoLayout, forge: str) -> DraftPullRequest:
    """The draft for one repository, not yet opened. The attempt must carry a proof."""
    proof = attempt.proof
    assert proof is not None and attempt.patch is not None  # noqa: S101, PT018 - callers look first
    return DraftPullRequest(
        forge=forge, repo=layout.name, branch=branch_name(incident.id), base=layout.commit,
        title=f"{incident.id}: {_what(attempt.patch)} for {_quiet(incident.title)[:80]}",
        body=body(incident, attempt), state="proposed", proof_id=proof.id,
    )  # fmt: skip


def _what(patch: Patch) -> str:
    moved = patch.upgrade
    return f"{_quiet(moved.package)} {_quiet(moved.new)}" if moved else patch.kind


def test_draft_of(incident: Incident, test: Reproducer, base: str, forge: str) -> DraftPullRequest:
    """The draft of the failing test by itself, not yet opened."""
    said = (
        f"## What broke\n\n{_quote(incident.title)}\n\n{_test(test)}\n\n"
        "This is the test without a fix: it fails until the fault is gone, and keeps it from coming back.\n\n"
        "Nightdesk opened this as a draft. It merges nothing: a person reads it and decides."
    )
    return DraftPullRequest(
        forge=forge, repo=test.repo, branch=branch_name(incident.id), base=base, kind="test",
        title=f"{incident.id}: failing test for {_quiet(incident.title)[:80]}", body=said, state="proposed",
    )  # fmt: skip


def opened(draft: DraftPullRequest, by: str, at: datetime) -> DraftPullRequest:
    """The draft once somebody has approved it."""
    return draft.model_copy(update={"approved_by": by, "opened_at": at})


def answer_of(submission: Submission) -> str:
    """What is said in the thread where a change was asked for: the first line is no other answer's."""
    head = f"Nightdesk {submission.id}, as {_quiet(submission.asked.who) if submission.asked else ''} asked:"
    judged = submission.validation
    if judged is None:
        return f"{head}\n\nNothing was changed: {_quiet(submission.said)}."
    if judged.verdict is not ValidationVerdict.PROVEN:
        rule = f" (`{_quiet(judged.rule)}`)" if judged.rule else ""
        why = f"{judged.verdict}{rule}: {_quiet(judged.said)}"
        return (
            f"{head}\n\nNothing was changed, for the judge does not take it.\n\n> {why}\n\n{_table(judged)}"
        )
    if not submission.pushed:
        return f"{head}\n\nIt is proven, and was not pushed: {_quiet(submission.said)}.\n\n{_table(judged)}"
    return (
        f"{head}\n\nThe fix was changed and proven again, and is the newest commit of this branch. The proof in the "
        f"description is of the fix before.\n\n{_table(judged)}"
    )


def revision_message(submission: Submission) -> str:
    """The message of the commit that a review has led to."""
    assert submission.validation is not None and submission.asked is not None  # noqa: S101, PT018
    return (
        f"{submission.incident_id}: as {_quiet(submission.asked.who)} asked in the review\n\n"
        f"{_table(submission.validation)}\n"
    )


def body(incident: Incident, attempt: Attempt) -> str:
    """What broke, the cause with its proof, the test, the fix, what was tried, what is lost, how to check it again."""
    assert attempt.patch is not None and attempt.validation is not None and attempt.proof is not None  # noqa: S101, PT018
    parts = [
        f"## What broke\n\n{_quote(incident.title)}\n\nSeen {incident.event_count} time(s) by {incident.user_count} "
        f"user(s) since {incident.first_seen:%Y-%m-%d %H:%M} UTC{_where(incident)}.",
        _cause(attempt.changes),
        _test(attempt.reproducer),
        _further(attempt),
        f"## The fix\n\n{_quiet(attempt.patch.rationale)}\n\n"
        f"By the fixer `{attempt.patch.fixer}`, judged in a sealed sandbox.",
        _linked(incident, attempt),
        _environments(attempt),
        f"## Proof\n\n{_table(attempt.validation)}\n\n{_recheck(incident, attempt)}",
        _beyond(attempt),
        _refuted(attempt),
        _tried(attempt),
        f"## Risks\n\n{_risks(attempt)}",
        _lost(attempt),
        f"## Rolling back\n\n{_rollback()}",
        f"## Canary\n\n{_canary(incident, attempt)}",
        "Nightdesk opened this as a draft. It merges nothing: a person reads it and decides.",
    ]
    return "\n\n".join(part for part in parts if part)


def _cause(changes: tuple[CandidateChange, ...]) -> str:
    found = next((c for c in changes if c.verdict in (ChangeVerdict.PROVEN, ChangeVerdict.SUPPORTED)), None)
    if found is None:
        return "## The cause\n\nNo change was proven to be the cause."
    hunks = f"\n\n{_fenced(found.hunks[:CAP])}" if found.hunks else ""
    return (
        f"## The cause ({found.verdict})\n\n`{found.repo}` {found.commit[:12]} of {found.authored_at:%Y-%m-%d}, "
        f"{_quiet(found.title)}: {_quiet(found.said)}.{hunks}"
    )


def _test(test: Reproducer | None) -> str:
    if test is None:
        return ""
    return (
        f"## The test\n\n`{test.test_path}` fails {test.failures} of {test.runs} times on the running release. How it "
        f"knows what is right: `{test.oracle}`.\n\n    {test.command}"
    )


def _further(attempt: Attempt) -> str:
    """The tests of the libraries that change."""
    rows = [
        f"- `{_quiet(test.repo)}`: `{test.test_path}` fails {test.failures} of {test.runs} times without the fix, and "
        "passes as often with it."
        for test in attempt.tests
    ]
    return "The libraries that change have tests of their own:\n\n" + "\n".join(rows) if rows else ""


def _where(incident: Incident) -> str:
    """In which environments and releases, as far as it is known."""
    places = [name for name in (*incident.environments[-3:], *incident.releases[-3:]) if name]
    return f", in {', '.join(_quiet(name) for name in places)}" if places else ""


def _linked(incident: Incident, attempt: Attempt) -> str:
    """Where one fix is several drafts: they belong together."""
    assert attempt.patch is not None  # noqa: S101
    if len(attempt.patch.diffs) < 2:
        return ""
    repos = ", ".join(f"`{_quiet(repo)}`" for repo in attempt.patch.diffs)
    return (
        f"## Belongs together\n\nThis fix changes {repos}: one draft in each, on the branch "
        f"`{branch_name(incident.id)}`. They were proven together; merge all of them or none."
    )


def _environments(attempt: Attempt) -> str:
    """Where before and after were run in two environments: what they are."""
    upgrade = attempt.patch.upgrade if attempt.patch else None
    if upgrade is None:
        return ""
    moved = f"`{_quiet(upgrade.package)}` {_quiet(upgrade.new)} in place of {_quiet(upgrade.old)}"
    same = f"{len(upgrade.installed) - 1} other package(s) are the same in both"
    return (
        f"## Two environments\n\nBefore and after differ in {moved}; {same}, on Python {_quiet(upgrade.python)}. Both "
        "were made from wheels beforehand, and sealed while anything ran."
    )


def _recheck(incident: Incident, attempt: Attempt) -> str:
    """The proof by name, the hash of each run, and the command that makes every run again."""
    assert attempt.proof is not None and attempt.validation is not None  # noqa: S101, PT018
    runs = "\n".join(
        f"| {_quiet(run.what)} | {_quiet(run.outcome)} | `{run.hash[:16]}` |"
        for run in attempt.validation.runs[:30]
    )
    listed = f"| run | outcome | hash |\n|---|---|---|\n{runs}\n\n" if runs else ""
    return (
        f"{listed}Proof `{attempt.proof.id}`. To make every run of it again, without a network:\n\n"
        f"    nightdesk proof verify {incident.id}"
    )


def _refuted(attempt: Attempt) -> str:
    """Explanations that the runs have refuted, and those that they left open."""
    rows = [
        f"- {one.status}: {_quiet(one.statement)}{f' ({_quiet(one.shown)})' if one.shown else ''}"
        for one in attempt.hypotheses
        if one.status in {"refuted", "undetermined"}
    ]
    return "## What else was thought of\n\n" + "\n".join(rows[:8]) if rows else ""


def _beyond(attempt: Attempt) -> str:
    """The incidents that this closes as well, and where the same defect is left."""
    rows = [
        f"- it closes {_quiet(incident)} as well: its own test passes with this fix"
        for incident in attempt.closes
    ]
    rows += [
        f"- the same defect is left in `{_quiet(str(test.recipe.get('target', {}).get('qualname')))}` of "
        f"`{_quiet(test.repo)}`: a test that fails there is kept with the incident"
        for test in attempt.siblings
    ]
    return "## Beyond this incident\n\n" + "\n".join(rows) if rows else ""


def _risks(attempt: Attempt) -> str:
    """What the proof does not say."""
    assert attempt.patch is not None and attempt.validation is not None  # noqa: S101, PT018
    judged, test = attempt.validation, attempt.reproducer
    rows = []
    if test is not None and test.guessed:
        rows.append(
            f"values that the report does not show were guessed: {', '.join(map(_quiet, test.guessed[:4]))}"
        )
    if judged.api_diff.get("changed"):
        rows.append(f"the public interface changes: {', '.join(map(_quiet, judged.api_diff['changed'][:4]))}")
    if judged.coverage.get("missed"):
        rows.append(
            f"not executed by anything that was run: {', '.join(map(_quiet, judged.coverage['missed'][:4]))}"
        )
    without = [repo for repo, suite in judged.suite_after.items() if not suite.get("collected")]
    if without:
        rows.append(f"no tests of its own to compare: {', '.join(map(_quiet, without))}")
    if attempt.patch.kind == "revert":
        rows.append("a revert brings back what was there before, with the faults that it had")
    upgrade = attempt.patch.upgrade
    if upgrade is not None:
        rows.append(
            f"the code that {_quiet(upgrade.package)} {_quiet(upgrade.new)} brings was run, and read by nobody here: "
            f"look at what its authors changed since {_quiet(upgrade.old)}"
        )
    if judged.verdict is not ValidationVerdict.PROVEN:
        rows.append("nothing that was run says what is right: the proof is that the failure is gone")
    if test is not None and test.entry == "frame":
        rows.append(
            "it was proven on a call of the function that failed, not through the application's entry"
        )
    silent = [name for name in ("lint", "types", "security") if not getattr(judged, name)]
    if silent:
        rows.append(f"not checked, for the repository configures no such command: {', '.join(silent)}")
    rows.append("state of databases and answers of other services were not part of the proof")
    return "\n".join(f"- {row}" for row in rows)


def _rollback() -> str:
    """How to take this back, and what stays."""
    return (
        "This change stands in a commit of its own, after the commit with its test. If it does harm: revert the fix's "
        "commit, deploy, and keep the test, marked as an expected failure; it tells whether the next fix is one."
    )


def _canary(incident: Incident, attempt: Attempt) -> str:
    """The smallest slice to try it on, and what has to stay true there."""
    error = _quiet(incident.title.partition(":")[0])
    place = (
        f" in `{_quiet(incident.location.function)}`"
        if incident.location and incident.location.function
        else ""
    )
    kept = {
        Oracle.PARENT_VALUE: "answers are those of before the change that broke it",
        Oracle.SIBLING_CONTRACT: "answers follow what the same code promises for its neighbours",
        Oracle.INVARIANT: "the stated property holds",
        Oracle.NO_CRASH: "answers are right: nothing here says what right is",
    }[attempt.reproducer.oracle if attempt.reproducer else Oracle.NO_CRASH]
    return (
        f"Try it on one instance, or 5 % of the requests, for as long as the failure took to come back before. "
        f"To watch: no `{error}`{place}, no more errors of other kinds than elsewhere, and {kept}."
    )


def _lost(attempt: Attempt) -> str:
    assert attempt.patch is not None  # noqa: S101
    if not attempt.patch.loses:
        return ""
    return "## What this takes away\n\n" + "\n".join(f"- {_quiet(item)}" for item in attempt.patch.loses[:20])


def _table(validation: Validation) -> str:
    rows = {
        "fails before": "{} of {}".format(*validation.fails_before),
        "passes after": "{} of {}".format(*validation.passes_after),
        "each piece needed": "{} of {}".format(*validation.hunks_necessary),
        "mutants that died": "{} of {}".format(*validation.mutants),
        "neighbours of the input": ", ".join(
            f"{k.replace('_', ' ')} {v}" for k, v in validation.neighbours.items() if k != "report"
        ),
        "lines of the patch that ran": "{executed} of {executable}".format(**validation.coverage)
        if validation.coverage
        else "",
        "flake rate, 95 % bound": f"{validation.flake_bound:.2%}"
        if validation.flake_bound is not None
        else "",
        "verdict": str(validation.verdict),
    }
    rows |= {
        f"tests of {repo} that reach it": f"{early.get('passed', 0)} passed, {early.get('failed', 0)} failed"
        for repo, after in validation.suite_after.items()
        if (early := after.get("affected"))
    }
    rows |= {
        f"suite of {repo}": f"{after.get('passed', 0)} passed, {after.get('failed', 0)} failed"
        f"{validation.suite_unended(repo)}"
        for repo, after in validation.suite_after.items()
    }
    for name in ("lint", "types", "security"):
        for repo, said in getattr(validation, name).items():
            ran = said.get("after", {}).get("ran")
            rows[f"{name} of {repo}"] = (
                "no new complaint" if ran else str(said.get("after", {}).get("said", ""))
            )
    return "\n".join(
        [
            "| check | result |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows.items() if value),
        ]
    )


def _tried(attempt: Attempt) -> str:
    if not attempt.rejected:
        return ""
    lines = [
        f"- {_quiet(patch.by)}, {patch.kind}: {_quiet(said.said)[:200]}"
        for patch, said in attempt.rejected[:8]
    ]
    return "## Also tried\n\n" + "\n".join(lines)


def _quiet(text: str) -> str:
    """One line without what Markdown or a forge would act on: links, mentions, references, closing words."""
    line = " ".join(text.split())
    return "".join("·" if c in "`<>[]@#|" else c for c in line if c.isprintable())[:300]


def _fenced(diff: str) -> str:
    """A diff as a block that nothing in it can end."""
    runs = [len(run) for run in re.findall("`+", diff)]
    fence = "`" * max(3, *(length + 1 for length in runs), 3)
    return f"{fence}diff\n{diff.rstrip()}\n{fence}"


def _quote(text: str) -> str:
    return f"> {_quiet(text)}"
