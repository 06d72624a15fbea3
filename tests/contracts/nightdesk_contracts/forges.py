"""What a forge promises (`fixloop.Forge`): a draft and nothing else, and the same one when it is pressed twice."""

from __future__ import annotations

import pytest

from fixloop import Forge
from store.repair import DraftPullRequest, Patch


class ForgeContract:
    """Give `part` (opened on a repository), `address` (what it was made with), `draft` and `patch` for it, and
    `branches`: a callable that gives name → (commit, {path: text}) of the repository as it is."""

    @pytest.fixture
    def part(self) -> Forge:
        raise NotImplementedError

    @pytest.fixture
    def address(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def draft(self) -> DraftPullRequest:
        raise NotImplementedError

    @pytest.fixture
    def patch(self) -> Patch:
        raise NotImplementedError

    @pytest.fixture
    def branches(self):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def test_it_takes_its_own_address_and_nothing_strange(self, part: Forge, address: str) -> None:
        assert type(part).takes(address)
        assert not any(
            type(part).takes(strange) for strange in ("", "gopher://x/y", "\x00", "/no/such/folder")
        )

    def test_a_draft_is_open_and_only_its_branch_is_new(self, part, draft, patch, branches) -> None:  # type: ignore[no-untyped-def]
        before = branches()
        opened = part.open_draft(draft, patch, {"tests/test_inc_1.py": "def test_it():\n    assert True\n"})
        after = branches()
        assert opened.state == "open"
        assert opened.url
        assert set(after) == {*before, draft.branch}
        assert {name: after[name] for name in before} == before
        assert after[draft.branch][1]["tests/test_inc_1.py"].startswith("def test_it")

    def test_pressed_twice_it_is_one_draft_and_one_branch(self, part, draft, patch, branches) -> None:  # type: ignore[no-untyped-def]
        first = part.open_draft(draft, patch, {})
        stood = branches()
        second = part.open_draft(draft, patch, {})
        assert branches() == stood
        assert (first.branch, first.url, first.state) == (second.branch, second.url, second.state)
