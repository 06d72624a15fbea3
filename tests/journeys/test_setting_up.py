"""What an admin sets up on the settings page: over HTTP, with what comes of it, and taken back."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.app import make_app
from server.house import House
from server.intake import redaction
from store import accounts, journal, logins, overview, queries
from store.people import Role, Scope
from tests.journeys import mcp_samples as samples
from tests.journeys.histories import History

pytestmark = pytest.mark.anyio
OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def settings(house: House, name: str | None = None) -> AsyncIterator[Any]:
    """The buttons of the page, for somebody; None: the operator."""
    transport = httpx.ASGITransport(app=make_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        if name is not None:
            link = logins.create_link(house.database, name, datetime.now(UTC))
            assert (await http.get("/login", params={"link": link})).status_code == 303

        async def press(button: str, **fields: str) -> httpx.Response:
            page = (await http.get("/settings")).text
            mark = re.search(r'/settings/do/[^>]*><input type="hidden" name="csrf" value="([0-9a-f]*)"', page)
            given = {"csrf": mark[1] if mark else "", **fields}
            return await http.post(f"/settings/do/{button}", data=given, headers=OWN)

        yield press


def last_act(house: House, prefix: str) -> str:
    return str(overview.latest_acts(house.database, (prefix,), 1)[0].id)


async def test_a_repository_is_connected_changed_disconnected_and_each_is_taken_back(
    house: House, tmp_path: Path
) -> None:
    clone = History(tmp_path / "shop")
    clone.commit("Begin", {"shop/rates.py": "a = 1\n"})
    async with settings(house) as press:
        made = await press(
            "keep-repository", name="shop", url=str(clone.folder), project="default", path_map="/app = .\n/srv=lib",
            runbooks="docs/*.md\n", drafts="never", draft_cap="1",
        )  # fmt: skip
        assert made.headers["location"] == "/settings#repositories"
        (row,) = queries.repositories(house.database)
        assert row.config == {
            "path_map": {"/app": ".", "/srv": "lib"},
            "runbooks": ["docs/*.md"],
            "drafts": "never",
            "draft_cap": 1,
        }
        assert house.part(row, house.mirrors.get("shop")).drafts == "never"
        journal.add_repository(
            house.database, row.model_copy(update={"config": {**row.config, "python": "3.12"}})
        )
        await press("keep-repository", name="shop", project="default", drafts="ask", root="sub")
        (row,) = queries.repositories(house.database)
        assert (row.url, row.root, row.config) == (
            str(clone.folder),
            "sub",
            {"python": "3.12", "drafts": "ask"},
        )
        await press("undo", act=last_act(house, "repository:"))
        assert queries.repositories(house.database)[0].config["path_map"] == {"/app": ".", "/srv": "lib"}
        await press("remove-repository", name="shop", project="default")
        assert queries.repositories(house.database) == []
        await press("undo", act=last_act(house, "repository:"))
        assert queries.repositories(house.database)[0].root == "."
        again = await press("undo", act="1")
        assert again.status_code in (400, 404)


async def test_from_elsewhere_a_repository_is_connected_by_its_address_only_and_by_an_admin_only(
    house: House, tmp_path: Path
) -> None:
    for role in Role:
        accounts.add_user(house.database, role.value, role)
    fields = {"name": "shop", "url": str(tmp_path), "project": "default"}
    async with settings(house, "admin") as press:
        assert (await press("keep-repository", **fields)).status_code == 403
        wrong = await press("keep-repository", **{**fields, "url": "ext::sh -c id"})
        assert wrong.status_code == 403
    async with settings(house, "responder") as press:
        assert (await press("keep-repository", **fields)).status_code == 403
        assert (await press("add-token", name="x")).status_code == 403
    assert queries.repositories(house.database) == []


async def test_rules_of_redaction_count_for_the_next_event_and_can_be_taken_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "_LOOK", -1.0)
    async with settings(house) as press:
        wrong = await press("keep-rules", schemas="{not json")
        assert wrong.status_code == 400
        await press("keep-rules", dictionary="Project Bluebird\n", allow="shop@example.com")
        house.receive([samples.event(1, message="about Project Bluebird")])
        await press("undo", act=last_act(house, "redaction"))
        house.receive([samples.event(2, message="about Project Bluebird")])
    newest, oldest = queries.events(house.database, "INC-1")
    assert "Bluebird" in (newest.message or "")
    assert "Bluebird" not in (oldest.message or "")
    written = json.loads((house.config.data / redaction.RULES_FILE).read_text())
    assert not written.get("dictionary")
    assert "Bluebird" not in str(queries.acts(house.database))


async def test_a_token_and_a_login_link_are_shown_once_and_are_good(house: House) -> None:
    accounts.add_user(house.database, "ann", Role.ADMIN)
    async with settings(house, "ann") as press:
        page = (await press("add-token", name="script", scope="incidents:fix", days="7")).text
        text = re.search(r"nd_[0-9a-f]{12}_[\w-]{43}", page)
        assert text is not None
        token = accounts.token(house.database, text[0], datetime.now(UTC))
        assert token is not None
        assert (token.scopes, token.user and token.user.name) == ((Scope.FIX,), "ann")
        link = re.search(r"/login\?link=([\w-]+)", (await press("link", name="ann")).text)
        assert link is not None
        assert logins.use_link(house.database, link[1], datetime.now(UTC)) is not None
        assert text[0] not in (await press("add-token", name="other")).text


async def test_a_role_that_was_given_or_taken_is_put_back(house: House) -> None:
    journal.add_project(house.database, "other")
    async with settings(house) as press:
        await press("add-person", name="bob", role="viewer")
        await press("add-person", name="bob", role="admin", project="other")
        await press("undo", act=last_act(house, "user:bob"))
        assert accounts.users(house.database)[0].roles == {}
        await press("remove-person", name="bob")
        await press("undo", act=last_act(house, "user:bob"))
    assert [(user.name, user.role) for user in accounts.users(house.database)] == [("bob", Role.VIEWER)]
