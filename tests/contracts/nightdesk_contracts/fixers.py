"""What a fixer promises (`fixloop.fixers.Fixer`). Whether a patch is any good is the judge's to say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fixloop.fixers import FixCase, Fixer


class FixerContract:
    """Give `part` and `case` (a situation that the fixer has a patch for)."""

    @pytest.fixture
    def part(self) -> Fixer:
        raise NotImplementedError

    @pytest.fixture
    def case(self) -> FixCase:
        raise NotImplementedError

    def test_patches_carry_its_name_and_a_reason(self, part: Fixer, case: FixCase) -> None:
        patches = part.propose(case)
        assert patches
        assert {patch.fixer for patch in patches} == {part.name}
        assert all(patch.rationale.strip() for patch in patches)

    def test_the_same_case_gives_the_same_patches(self, part: Fixer, case: FixCase) -> None:
        assert list(part.propose(case)) == list(part.propose(case))

    def test_each_diff_applies_to_the_commit_it_names(
        self, part: Fixer, case: FixCase, tmp_path: Path
    ) -> None:
        for number, patch in enumerate(part.propose(case)):
            assert set(patch.diffs) <= set(patch.base_commits)
            for repo, diff in patch.diffs.items():
                tree = tmp_path / f"{number}-{repo}"
                tree.mkdir()
                case.bench.repositories.get(repo).export(patch.base_commits[repo], tree)
                applied = subprocess.run(
                    ["git", "apply", "--check", "-"], cwd=tree, input=diff.encode(), capture_output=True, timeout=60,
                    check=False,
                )  # fmt: skip
                assert applied.returncode == 0, applied.stderr
