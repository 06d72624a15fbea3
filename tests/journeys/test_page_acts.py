"""The buttons of the pages over HTTP: who may press which, once, and taken back; and the streams, resumed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
from markupsafe import escape

from server.app import make_app
from server.house import House
from server.operating.product import product, product_rows
from server.web import live, news
from store import accounts, journal, logins, queries
from store.incident import Lane, Status
from store.people import Role
from store.tracks import tracks
from tests.journeys import mcp_samples as samples

pytestmark = pytest.mark.anyio
OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def somebody(house: House, name: str | None) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of somebody who is logged in; None: of the operator, who is not."""
    transport = httpx.ASGITransport(app=make_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        if name is not None:
            link = logins.create_link(house.database, name, datetime.now(UTC))
            assert (await http.get("/login", params={"link": link})).status_code == 303
        yield http


async def press(http: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form as the page has it."""
    page = await http.get("/help")
    form = await http.get("/noise")
    mark = re.search(r'name="csrf" value="([0-9a-f]{64})"', form.text.partition("not-noise")[2])
    assert page.status_code == 200
    return await http.post(path, data={"csrf": mark[1] if mark else "", **fields}, headers=OWN)


def fill(house: House) -> None:
    house.receive([samples.event(number) for number in (1, 2)])
    raised = samples.event(3).exceptions[0].model_copy(update={"type": "ValueError"})
    house.receive([samples.event(3, exceptions=(raised,))])
    journal.set_lane(house.database, "INC-2", Lane.NOISE, "setup", "")
    for role in Role:
        accounts.add_user(house.database, role.value, role)
    journal.add_project(house.database, "other", "setup")
    accounts.add_user(house.database, "stranger", Role.ADMIN, "other")


async def test_a_viewer_presses_nothing_and_a_responder_what_is_theirs(house: House) -> None:
    fill(house)
    async with somebody(house, "viewer") as http:
        assert (await press(http, "/incidents/INC-1/resolve")).status_code == 403
        assert "<button>It is resolved" not in (await http.get("/incidents/INC-1")).text
    async with somebody(house, "responder") as http:
        done = await press(http, "/incidents/INC-1/resolve", reason="gone")
        assert done.status_code == 303
        assert "Undo" in (await http.get(done.headers["location"])).text
        assert queries.incident(house.database, "INC-1").status is Status.RESOLVED
        last = queries.acts(house.database, "INC-1")[-1]
        assert (last.who, last.reason) == ("responder", "gone")
        assert (await press(http, "/undo", act=str(last.id))).status_code == 303
        assert queries.incident(house.database, "INC-1").status is Status.OPEN
        assert (await press(http, "/settings/do/add-project", name="mine")).status_code == 403
        assert (await press(http, "/incidents/INC-1/nothing")).status_code == 404
        assert (await press(http, "/undo", act="x")).status_code == 400


async def test_of_a_project_that_is_not_theirs_nothing_exists_for_somebody(house: House) -> None:
    fill(house)
    async with somebody(house, "stranger") as http:
        for path in (
            "/incidents/INC-1",
            "/incidents/INC-1.md",
            "/incidents/INC-1.json",
            "/connect?project=default",
        ):
            assert (await http.get(path)).status_code == 404
        assert (
            await http.post("/incidents/INC-1/resolve", headers=OWN)
        ).status_code == 403  # without the mark
        for path in ("/", "/noise", "/search?q=KeyError", "/incidents?lane=backlog", "/now.json"):
            assert "KeyError" not in (await http.get(path)).text.replace(
                "Found for <q>KeyError</q>", ""
            ).replace('value="KeyError"', "")
        assert (await http.get("/health")).status_code == 403


async def test_a_form_without_the_mark_of_the_session_does_nothing(house: House) -> None:
    fill(house)
    async with somebody(house, "admin") as http:
        assert (
            await http.post("/incidents/INC-1/resolve", data={"csrf": "x"}, headers=OWN)
        ).status_code == 403
        across = {"Sec-Fetch-Site": "cross-site"}
        assert (await http.post("/incidents/INC-1/resolve", headers=across)).status_code == 403
    async with somebody(house, None) as http:
        assert (await http.post("/incidents/INC-1/resolve")).status_code == 403
    assert queries.incident(house.database, "INC-1").status is Status.OPEN


@pytest.mark.parametrize(
    "path", ["/now", "/noise", "/search", "/health", "/connect", "/settings", "/incidents"]
)
async def test_every_page_is_markdown_and_json_too(house: House, path: str) -> None:
    fill(house)
    async with somebody(house, None) as http:
        told = await http.get(path + ".json")
        words = await http.get(path + ".md")
    assert isinstance(told.json(), dict)
    assert words.headers["content-type"].startswith("text/markdown")
    assert words.text.startswith("# ")


async def test_the_health_page_has_the_figures_of_the_product_as_the_command_has_them(house: House) -> None:
    fill(house)
    found = product(tracks(house.database))
    async with somebody(house, None) as http:
        told = (await http.get("/health.json")).json()
        page = (await http.get("/health?look=1")).text
        words = (await http.get("/health.md")).text
    assert told["product"] == [list(row) for row in product_rows(found)]
    for name, value in product_rows(found):
        assert f"<dt>{escape(name.capitalize())}</dt><dd>{escape(value)}</dd>" in page
        assert f"- {name}: {value}" in words


async def test_an_admin_makes_a_project_with_a_key_and_takes_the_key_back(house: House) -> None:
    async with somebody(house, None) as http:
        made = await http.post("/settings/do/add-project", data={"name": "billing"}, headers=OWN)
        assert made.status_code == 303
        (key,) = queries.keys(house.database, "billing")
        assert key.key in (await http.get("/settings")).text
        await http.post("/settings/do/revoke-key", data={"key": str(key.id)}, headers=OWN)
    assert queries.keys(house.database, "billing")[0].revoked_at is not None


async def test_a_stream_resumes_with_what_happened_since_and_says_nothing_where_nothing_has(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(house)
    monkeypatch.setattr(live, "LONGEST", 0.2)
    begun = news.begun(house, "INC-1")
    async with somebody(house, None) as http:
        quiet = await http.get(f"/incidents/INC-1/live?since={begun}")
        journal.set_status(house.database, "INC-1", Status.MUTED, "ann", "")
        other = await http.get(f"/incidents/INC-2/live?since={news.begun(house, 'INC-2')}")
        resumed = await http.get(
            f"/incidents/INC-1/live?since={news.begun(house)}", headers={"Last-Event-ID": begun}
        )
        gone = await http.get("/incidents/INC-99/live")
    assert quiet.headers["content-type"].startswith("text/event-stream")
    assert "data:" not in quiet.text
    assert "data:" not in other.text
    assert f"id: {news.begun(house, 'INC-1')}\n" in resumed.text
    assert "· muted ·" in resumed.text
    assert gone.status_code == 404


async def test_a_repair_that_ends_is_news_though_no_step_tells_of_it(house: House) -> None:
    fill(house)
    samples.attempt_with(house, "INC-1", "plain")
    before = news.read(news.begun(house, "INC-1"))
    attempt = queries.latest_attempt(house.database, "INC-1")
    assert attempt is not None
    journal.keep_attempt(house.database, attempt.model_copy(update={"drafts": ()}))
    assert news.look(house, before, "INC-1")[1]
    assert not news.look(house, news.read(news.begun(house, "INC-1")), "INC-1")[1]
