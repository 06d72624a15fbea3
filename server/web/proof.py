"""What the judge has checked, as rows that people read: the check, whether it held, what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from store.repair import Validation, ValidationVerdict


@dataclass(frozen=True)
class Row:
    """One check. `held` is None where it says neither yes nor no, or was not made."""

    name: str
    held: bool | None
    seen: str


def rows(found: Validation) -> list[Row]:
    """Every check that was made of a patch."""
    return [*_counts(found), *_suites(found), *_tools(found), *_rest(found)]


def _counts(found: Validation) -> Iterator[Row]:
    told = (
        ("Fails before", found.fails_before, "runs of the test without the patch"),
        ("Passes after", found.passes_after, "runs of the test with it"),
        ("Every hunk is needed", found.hunks_necessary, "hunks without which it fails"),
        ("Mutants die", found.mutants, "patches made worse on purpose were noticed"),
        ("Schedules", found.schedules, "orders of threads"),
    )
    for name, (number, of), words in told:
        if of:
            yield Row(name, number == of, f"{number} of {of} {words}")
    if near := found.neighbours:
        yield Row("Neighbouring inputs", None, plainly(near))


def _suites(found: Validation) -> Iterator[Row]:
    for repo, after in found.suite_after.items():
        before = found.suite_before.get(repo)
        early = after.get("affected") if isinstance(after, Mapping) else None
        if early:
            seen = f"{early['passed']} of {early['collected']} passed, in {len(early['files'])} file(s) run first"
            yield Row(f"Tests of {repo} that reach it", True if before else None, seen)
        if isinstance(after, Mapping) and isinstance(before, Mapping):
            known = before.get("failing") or ()
            whole = len(known) == before.get("failed", len(known))  # the record names the first twenty only
            new = sorted(set(after.get("failing") or ()) - set(known)) if whole else []
            seen = f"{before.get('passed', 0)} of {before.get('collected', 0)} passed before, "
            seen += f"{after.get('passed', 0)} of {after.get('collected', 0)} after"
            yield Row(
                f"Test suite of {repo}",
                not new,
                seen + found.suite_unended(repo) + (f"; new failures: {', '.join(new[:5])}" if new else ""),
            )
        elif not early:
            yield Row(f"Test suite, {repo}", None, plainly(after))


def _tools(found: Validation) -> Iterator[Row]:
    told = (
        ("Coverage of the patch", found.coverage), ("Lint", found.lint), ("Types", found.types),
        ("Security", found.security), ("Public API", found.api_diff), ("Two environments", found.environments),
    )  # fmt: skip
    for name, value in told:
        if value:
            yield Row(name, None, plainly(value))
        elif name in {"Lint", "Types"}:
            yield Row(name, None, "not run: the application's environment has no such tool")


def _rest(found: Validation) -> Iterator[Row]:
    yield Row("Knows what is right by", None, found.oracle.value.replace("_", " "))
    if found.constraints or found.rule:
        wrong = found.verdict in {ValidationVerdict.FAILED, ValidationVerdict.REFUSED}
        yield Row(
            "Constraints",
            False if wrong else None,
            "; ".join([*found.constraints, *([found.rule] if found.rule else [])]),
        )
    if found.flake_bound is not None:
        yield Row("Flake rate", None, f"at most {found.flake_bound:.1%}, with 95 % confidence")
    if found.sandbox:
        yield Row("Sandbox", None, found.sandbox)


def plainly(value: Any) -> str:
    """A small structure in words: `tried 1, right after 1`. Nothing for what is empty."""
    if isinstance(value, Mapping):
        parts = [
            f"{str(name).replace('_', ' ')} {plainly(item)}"
            for name, item in value.items()
            if item not in ("", None)
        ]
        return ", ".join(parts)
    if isinstance(value, list | tuple):
        return "; ".join(plainly(item) for item in value) or "none"
    return "" if value is None else str(value)
