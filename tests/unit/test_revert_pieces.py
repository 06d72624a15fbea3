"""A revert that the judge refuses for a piece that nothing depends on is proposed again without it. Real git."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from fixloop.bench import Bench
from fixloop.blocks import unified
from fixloop.fixers import FixCase
from fixloop.fixers.revert import RevertFixer
from fixloop.judging.judge import spare_piece
from fixloop.reproduce.ladder import Reproduction
from fixloop.running.environments import Environment
from fixloop.running.worlds import Layout, RepoLayout, Trees
from fixloop.sandboxes import best
from fixloop.situation import ReleaseSources, Situation
from store.mirrors import Mirrors
from store.repair import Patch, Validation, ValidationVerdict
from tests.sandbox.histories import History, write

OLD = {"app/a.py": "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\n", "app/b.py": "x = 1\n"}
NEW = {"app/a.py": "a = 0\nb = 2\nc = 3\nd = 4\ne = 0\n", "app/b.py": "x = 0\n"}


def case_of(folder: Path) -> FixCase:
    *_, last = write(folder / "origin", History("app", [("Start", "2024-01-01", dict(OLD))]))
    mirrors = Mirrors(folder / "mirrors")
    mirrors.add("app", str(folder / "origin"))
    layout = Layout((RepoLayout("app", last),))
    bench = Bench(
        mirrors, best(), Environment("", "", (), ()), layout, Trees(folder / "trees", mirrors),
        lambda: datetime.now(UTC),
    )  # fmt: skip
    situation = Situation([], ReleaseSources(mirrors, layout.commits, {}), layout)
    return FixCase(situation, cast(Reproduction, None), None, bench)


def refused(said: str, rule: str = "necessity") -> Validation:
    return Validation(verdict=ValidationVerdict.REFUSED, rule=rule, said=said)


@pytest.mark.parametrize(
    ("piece", "gone", "left"),
    [
        ("app/a.py:5", "+e = 0", ["+a = 0", "+x = 0"]),
        ("app/a.py:1", "+a = 0", ["+e = 0", "+x = 0"]),
        ("app/b.py:1", "+x = 0", ["+a = 0", "+e = 0"]),
    ],
)
def test_the_piece_that_is_not_needed_is_left_out_and_nothing_else(
    tmp_path: Path, piece: str, gone: str, left: list[str]
) -> None:
    case = case_of(tmp_path)
    patch = Patch(diffs={"app": unified(OLD, NEW)}, base_commits={}, fixer="revert", kind="revert")
    said = f"the piece at {piece} is not needed: the reproducer passes without it"
    (smaller,) = RevertFixer().revise(case, patch, refused(said))
    assert gone not in smaller.diffs["app"]
    assert all(line in smaller.diffs["app"] for line in left)
    assert smaller.files == tuple(sorted({path for path in OLD if path in smaller.diffs["app"]}))


def test_the_piece_of_a_path_with_spaces_is_read_from_the_refusal() -> None:
    said = "the piece at my app/a b.py:5 is not needed: the reproducer passes without it"
    assert spare_piece(refused(said)) == ("my app/a b.py", 5)
    assert spare_piece(refused(said, "suite")) is None


def test_what_was_refused_for_something_else_is_not_proposed_again(tmp_path: Path) -> None:
    case = case_of(tmp_path)
    patch = Patch(diffs={"app": unified(OLD, NEW)}, base_commits={}, fixer="revert", kind="revert")
    assert RevertFixer().revise(case, patch, refused("app: a test fails now", "suite")) == ()
    only = Patch(diffs={"app": unified({"b": "1\n"}, {"b": "2\n"})}, base_commits={}, fixer="revert")
    assert RevertFixer().revise(case, only, refused("the piece at b:1 is not needed: it passes")) == ()
