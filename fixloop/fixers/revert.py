"""Take the culprit hunks out again: the first repair to try, and often the wrong one to keep. What is lost is
listed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fixloop.blocks import by_file, compose, unified
from fixloop.blocks import parse as parse_diff
from fixloop.fixers import FixCase
from fixloop.judging.judge import spare_piece
from fixloop.reproduce.syntax import functions, parse
from store.repair import ChangeVerdict, Patch, Validation


class RevertFixer:
    """The smallest set of the proven cause's hunks that has to go, as the prover found it."""

    name = "revert"

    def propose(self, case: FixCase) -> Sequence[Patch]:
        cause = case.cause
        if cause is None or cause.change.verdict != ChangeVerdict.PROVEN or not cause.diff or cause.whole:
            return ()
        change = cause.change
        base = case.bench.layout.repo(change.repo).commit
        return (
            Patch(
                diffs={change.repo: cause.diff},
                base_commits={change.repo: base},
                files=tuple(sorted(cause.reverted or {})),
                fixer=self.name,
                kind="revert",
                rationale=f"Takes out of the running release what {change.commit[:9]} ({change.title}) changed "
                "and what makes the reproducer fail; nothing else of that change.",
                loses=tuple(_lost(case)),
            ),
        )

    def revise(self, case: FixCase, patch: Patch, validation: Validation) -> Sequence[Patch]:
        """The same revert without the piece that is not needed: what the cause was proven by may have been a larger
        input than the reproducer's."""
        spare = spare_piece(validation)
        (repo, diff), *_ = patch.diffs.items()
        mirror, commit = case.bench.repositories.get(repo), case.bench.layout.repo(repo).commit
        old = {path: mirror.text(commit, path) for path in by_file(parse_diff(diff))}
        blocks = parse_diff(diff)
        rest = [block for block in blocks if block.key != spare]
        if spare is None or not rest or len(rest) == len(blocks):
            return ()
        new = {path: compose(old[path], mine) for path, mine in by_file(rest).items()}
        smaller = unified({path: old[path] for path in new}, new)
        return (patch.model_copy(update={"diffs": {repo: smaller}, "files": tuple(sorted(new))}),)


def _lost(case: FixCase) -> list[str]:
    """Functions, and names of keys and fields, that the release has and the reverted release has not."""
    cause = case.cause
    assert cause is not None  # noqa: S101 - the caller has looked
    mirror = case.bench.repositories.get(cause.change.repo)
    release = case.bench.layout.repo(cause.change.repo).commit
    lost: list[str] = []
    for path, text in (cause.reverted or {}).items():
        before = mirror.text(release, path) or ""
        lost += [f"{path}: {name}()" for name in _defined(before) if name not in _defined(text or "")]
        gone = [word for word in _quoted(before) if word not in _quoted(text or "")]
        lost += [f"{path}: {word!r}" for word in gone[:8]]
    return lost


def _defined(text: str) -> list[str]:
    tree = parse(text)
    return [function.qualname for function in functions(tree)] if tree else []


def _quoted(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"[\"']([A-Za-z_][\w-]{1,40})[\"']", text)))
