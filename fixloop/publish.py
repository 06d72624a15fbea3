"""From a proof to a draft: branch, title and the text that carries the proof. Pure; a forge pushes it."""

from __future__ import annotations

import re
from datetime import datetime

from fixloop.worlds import RepoLayout
from store.incident import Incident
from store.repair import Attempt, CandidateChange, ChangeVerdict, DraftPullRequest, Reproducer, Validation

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
        title=f"{incident.id}: {attempt.patch.kind} for {_quiet(incident.title)[:80]}",
        body=body(incident, attempt), state="proposed", proof_id=proof.id,
    )  # fmt: skip


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


def body(incident: Incident, attempt: Attempt) -> str:
    """What broke, the cause with its proof, the test, the fix, what was tried, what is lost, how to check it again."""
    assert attempt.patch is not None and attempt.validation is not None and attempt.proof is not None  # noqa: S101, PT018
    parts = [
        f"## What broke\n\n{_quote(incident.title)}\n\nSeen {incident.event_count} time(s) by {incident.user_count} "
        f"user(s) since {incident.first_seen:%Y-%m-%d %H:%M} UTC.",
        _cause(attempt.changes),
        _test(attempt.reproducer),
        f"## The fix\n\n{_quiet(attempt.patch.rationale)}\n\n"
        f"By the fixer `{attempt.patch.fixer}`, judged in a sealed sandbox.",
        _lost(attempt),
        f"## Proof\n\n{_table(attempt.validation)}\n\nProof `{attempt.proof.id}`.",
        _tried(attempt),
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
            f"{k.replace('_', ' ')} {v}" for k, v in validation.neighbours.items()
        ),
        "flake rate, 95 % bound": f"{validation.flake_bound:.2%}"
        if validation.flake_bound is not None
        else "",
        "verdict": str(validation.verdict),
    }
    rows |= {
        f"suite of {repo}": f"{after.get('passed', 0)} passed, {after.get('failed', 0)} failed"
        for repo, after in validation.suite_after.items()
    }
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
        f"- {patch.fixer} ({patch.kind}): {_quiet(said.said)[:200]}" for patch, said in attempt.rejected[:8]
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
