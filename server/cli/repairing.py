"""What the commands that run the loop share: steps printed as they land, and an attempt in words."""

from __future__ import annotations

from collections.abc import Callable

import click

from server.cli.output import NO, visible
from store.incident import Step
from store.repair import Attempt, CandidateChange, Ended, Validation

GOOD = (Ended.PROVEN, Ended.DRAFTED)


def printer(as_json: bool) -> Callable[[Step], None]:
    """A callback that prints each step to stderr as it lands; silent with --json."""

    def note(step: Step) -> None:
        if not as_json:
            click.echo(visible(f"{step.took:7.1f} s  {step.name:<10} {step.said}"), err=True)

    return note


def leave(attempt: Attempt, *, wanted: bool) -> None:
    """Exit 3 where the result is "no"."""
    if not wanted:
        raise SystemExit(NO)


def change_line(change: CandidateChange) -> str:
    """One candidate in one line, its reasons in the next."""
    said = f" — {change.said}" if change.said else ""
    commit = f"{change.repo} {change.commit[:10]} {change.authored_at:%Y-%m-%d}"
    head = f"{change.verdict:<24} {commit} {change.title}{said}"
    return head + (f"\n    {'; '.join(change.reasons)}" if change.reasons else "")


def validation_lines(validation: Validation) -> str:
    """The verdict first, then what was checked."""
    rows = [f"{validation.verdict}{f' ({validation.rule})' if validation.rule else ''}: {validation.said}"]
    for name, pair in (
        ("fails before", validation.fails_before), ("passes after", validation.passes_after),
        ("pieces needed", validation.hunks_necessary), ("mutants died", validation.mutants),
    ):  # fmt: skip
        if pair[1]:
            rows.append(f"  {name}: {pair[0]} of {pair[1]}")
    if validation.neighbours:
        rows.append(
            "  neighbours: "
            + ", ".join(f"{k} {v}" for k, v in validation.neighbours.items() if k != "report")
        )
    for repo, after in validation.suite_after.items():
        if early := after.get("affected"):
            rows.append(
                f"  tests of {repo} that reach it: {early['passed']} passed, {early['failed']} failed"
            )
        counted = f"{after.get('passed', 0)} passed, {after.get('failed', 0)} failed"
        rows.append(f"  suite of {repo}: {counted}{validation.suite_unended(repo)}")
    return "\n".join(rows)
