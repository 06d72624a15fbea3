"""A forge at an address of its own, and a house with a proven fix for a repository that comes from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.config import load
from server.house import House
from store import journal
from store.project import RepositoryConfig
from tests.forges.fake import Fake, FakeGitHub, FakeGitLab, serving
from tests.journeys import mcp_samples as samples
from tests.sandbox.histories import History, write

FIX = "--- a/shop/rates.py\n+++ b/shop/rates.py\n@@ -1,2 +1,2 @@\n # rates\n-a = 1\n+a = 2\n"


@pytest.fixture(params=[FakeGitHub, FakeGitLab], ids=lambda kind: str(kind.kind))
def forge(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    history = History("shop", [("Start", "2024-01-01", {"shop/rates.py": "# rates\na = 1\n"})])
    write(tmp_path / "origin", history)
    for name in ("GITHUB", "GITLAB"):
        monkeypatch.setenv(f"NIGHTDESK_{name}_TOKEN", Fake.TOKEN)
    with serving(request.param(tmp_path / "origin" / ".git")) as fake:
        yield fake


@pytest.fixture
def desk(forge: Fake, tmp_path: Path) -> Iterator[House]:
    """A house with a proven fix for a repository that comes from the forge."""
    host = forge.address.removeprefix("http://")
    with House.open(load(tmp_path / "data", {"NIGHTDESK_FORGES": f"{host}={forge.kind}"})) as house:
        house.mirrors.add("shop", str(tmp_path / "origin"))
        row = RepositoryConfig(name="shop", project="default", url=f"{forge.address}/team/shop.git")
        journal.add_repository(house.database, row)
        house.receive([samples.event(1)])
        attempt = samples.attempt_with(house, "INC-1", "it broke @team <!-- /merge -->\n/close")
        assert attempt.patch is not None
        base = house.mirrors.get("shop").head()
        patch = attempt.patch.model_copy(update={"diffs": {"shop": FIX}, "base_commits": {"shop": base}})
        journal.keep_attempt(house.database, attempt.model_copy(update={"patch": patch, "drafts": ()}))
        yield house
