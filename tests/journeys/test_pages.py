"""The pages: hostile text stays text; only a browser on this machine sees them; empty ones say what to do."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest

from server.app import make_app
from server.house import House
from store.event import Breadcrumb, Event, ExceptionValue, Frame, Request
from store.incident import Lane
from tests.journeys import test_ingest_http as wire
from triage.formats.access_logs import of_log

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}"


def hostile_event() -> Event:
    """An event in which every text is an attempt at the page."""
    now = datetime.now(UTC)
    frame = Frame(
        function=HOSTILE, module=HOSTILE, filename=HOSTILE, lineno=3, in_app=True, context_line=HOSTILE,
        vars={HOSTILE: HOSTILE},
    )  # fmt: skip
    return Event(
        event_id="cd" * 16, project="default", received_at=now, timestamp=now, release=HOSTILE,
        environment=HOSTILE,
        exceptions=(ExceptionValue(type=HOSTILE, value=HOSTILE, mechanism=HOSTILE, frames=(frame,)),),
        request=Request(url=HOSTILE), tags={HOSTILE: HOSTILE},
        breadcrumbs=(Breadcrumb(message=HOSTILE, category=HOSTILE),),
    )  # fmt: skip


@pytest.mark.anyio
async def test_text_from_an_event_never_becomes_markup_on_any_page(house: House) -> None:
    house.receive([hostile_event()])
    async with wire.client(make_app(house)) as http:
        for path in ("/", "/incidents/INC-1", "/noise", "/incidents/%3Cscript%3E"):
            page = await http.get(path)
            policy = page.headers["Content-Security-Policy"]
            nonce = re.search(r"script-src 'nonce-([\w-]{22})';", policy)
            scripts = re.findall(r"<script[^>]*>", page.text)
            assert nonce
            assert all(f'<script nonce="{nonce[1]}" src="/static/' in script for script in scripts)
            assert "<img" not in page.text
            assert policy.startswith("default-src 'none'")
            assert "unsafe" not in page.headers["Content-Security-Policy"]
            assert page.headers["X-Content-Type-Options"] == "nosniff"
            assert " style=" not in page.text.replace(HOSTILE, "")


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/noise", "/incidents/INC-1", "/incidents/INC-1.json"])
@pytest.mark.parametrize(
    ("peer", "headers", "setting", "status"),
    [
        ("203.0.113.7", {}, {}, 303),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.7"}, {}, 303),
        ("127.0.0.1", {"Host": "rebound.example"}, {}, 403),
        ("127.0.0.1", {}, {"host": "0.0.0.0"}, 303),  # noqa: S104
        ("127.0.0.1", {}, {"public_url": "https://desk.example"}, 303),
    ],
)
async def test_only_a_browser_on_this_machine_sees_a_page_without_a_login(
    house: House, path: str, peer: str, headers: dict[str, str], setting: dict[str, str], status: int
) -> None:
    house.receive([hostile_event()])
    house.config = house.config.model_copy(update=setting)
    transport = httpx.ASGITransport(app=make_app(house), client=(peer, 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answer = await http.get(path, headers=headers)
        streamed = await http.get("/live", headers=headers)
    assert answer.status_code == status
    assert "INC-1" not in answer.text
    assert streamed.status_code == (401 if status == 303 else 403)
    if status == 303:
        assert answer.headers["location"] == "/login?" + urlencode({"next": path})


@pytest.mark.anyio
async def test_an_empty_house_says_how_to_send_the_first_event(house: House) -> None:
    async with wire.client(make_app(house)) as http:
        page = await http.get("/")
        missing = await http.get("/incidents/INC-5")
        alive, ready = await http.get("/healthz"), await http.get("/readyz")
    assert "No event has arrived yet" in page.text
    assert missing.status_code == 404
    assert (alive.text, ready.text) == ("ok", "ok")


@pytest.mark.anyio
async def test_the_json_of_the_page_is_the_json_of_the_command_line(house: House) -> None:
    house.receive([hostile_event()])
    async with wire.client(make_app(house)) as http:
        shown = (await http.get("/incidents/INC-1.json")).json()
    assert shown["id"] == "INC-1"
    assert shown["lane"] in {lane.value for lane in Lane}
    assert shown["reproducer"] is None


@pytest.mark.parametrize("host", ["[::1", "[zz]", "a b", "x/y", "[::1]:port", "[1.2.3.4]"])
async def test_a_host_that_is_none_is_turned_down_on_every_page(house: House, host: str) -> None:
    transport = httpx.ASGITransport(app=make_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answers = [
            await http.get(path, headers={"Host": host}) for path in ("/", "/metrics", "/mcp", "/nowhere")
        ]
    assert {answer.status_code for answer in answers} == {400}
    assert all("default-src 'none'" in answer.headers["Content-Security-Policy"] for answer in answers)


@pytest.mark.anyio
async def test_an_incident_shows_the_line_of_an_access_log_that_its_request_left(house: House) -> None:
    at = datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC)
    line = '10.1.2.3 - - [20/Nov/2026:10:00:30 +0000] "POST /pay/<i>7 HTTP/1.1" 500 17 rt=0.120'
    house.count_served([(1, of_log(line, at))])
    request = Request(method="POST", url="https://shop.example/pay/<i>7")
    house.receive([hostile_event().model_copy(update={"timestamp": at, "request": request})])
    async with wire.client(make_app(house)) as http:
        page = await http.get("/incidents/INC-1", headers={"Accept": "text/html"})
    assert (
        "Access log, the same method and path, 0 ms apart: POST /pay/&lt;i&gt;7 500 in 120 ms for 10.1.2.3"
        in page.text
    )
