"""What a forge promises (`fixloop.Forge`): a draft and nothing else, and the same one when it is pressed twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from fixloop import Forge
from fixloop.forges.commits import Commit
from store.errors import NightdeskError
from store.repair import DraftPullRequest

Branches = Callable[[], Mapping[str, tuple[str, Mapping[str, str]]]]
TEST = Commit("A test\n", {"tests/test_inc_1.py": b"def test_it():\n    assert True\n"})
GONE = Commit("Tidy\n", {"old.py": None})


class ForgeContract:
    """Give `part` (opened on a repository that has the files `app.py`, `run.sh`, executable, and `old.py`); `address`,
    one that it takes; `draft`, proposed for that repository; and `branches`, which gives name -> (commit, {path: text})
    of the repository as it is now."""

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
    def branches(self) -> Branches:
        raise NotImplementedError

    def test_it_takes_its_own_address_and_nothing_strange(self, part: Forge, address: str) -> None:
        assert type(part).takes(address)
        strange = (
            "",
            "gopher://x/y",
            "\x00",
            "/no/such/folder",
            "https://",
            "https://[::1",
            "git@:x",
            "http://a b/c/d",
        )
        assert [each for each in strange if type(part).takes(each)] == []

    def test_a_draft_is_open_and_only_its_branch_is_new(
        self, part: Forge, draft: DraftPullRequest, branches: Branches
    ) -> None:
        before = branches()
        fix = Commit(
            "A fix\n", {"app.py": b"answer = 42\n", "run.sh": b"#!/bin/sh\nexit 0\n"}, frozenset({"run.sh"})
        )
        opened = part.open_draft(draft, [TEST, fix, GONE])
        after = branches()
        assert opened.state == "open"
        assert opened.url
        assert set(after) == {*before, draft.branch}
        assert {name: after[name] for name in before} == before
        files = after[draft.branch][1]
        assert files["tests/test_inc_1.py"].startswith("def test_it")
        assert files["app.py"] == "answer = 42"
        assert "old.py" not in files

    def test_pressed_twice_it_is_one_draft_and_one_branch(
        self, part: Forge, draft: DraftPullRequest, branches: Branches
    ) -> None:
        first = part.open_draft(draft, [TEST])
        stood = branches()
        second = part.open_draft(draft, [TEST])
        assert branches() == stood
        assert (first.branch, first.url, first.number, first.state) == (
            second.branch, second.url, second.number, second.state,
        )  # fmt: skip

    def test_what_became_of_a_draft_can_be_seen(self, part: Forge, draft: DraftPullRequest) -> None:
        opened = part.open_draft(draft, [TEST])
        assert part.look(opened).state == "open"

    def test_another_proposal_takes_the_branchs_place_or_is_refused_by_its_name(
        self, part: Forge, draft: DraftPullRequest, branches: Branches
    ) -> None:
        part.open_draft(draft, [TEST])
        stood = branches()
        other = Commit("Another test\n", {"tests/test_other.py": b"x = 1\n"})
        refusal = refused(part, draft, [other])
        if refusal is None:
            assert "tests/test_other.py" in branches()[draft.branch][1]
        else:
            assert draft.branch in refusal
            assert branches() == stood


def refused(part: Forge, draft: DraftPullRequest, commits: Sequence[Commit]) -> str | None:
    """The sentence with which a draft is refused; None where it is opened."""
    try:
        part.open_draft(draft, commits)
    except NightdeskError as error:
        return str(error)
    return None
