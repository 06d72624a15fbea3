"""MCP over HTTP behind a real server: both eras of the protocol, tokens, scopes, projects, names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from server.config import load
from server.house import House
from server.mcp.http import PATHS, trusted_names
from server.oauth.metadata import RESOURCE
from store import accounts, journal, queries
from store.people import Role, Scope
from tests.journeys import mcp_samples as samples
from tests.journeys import test_ingest_http as wire

pytestmark = pytest.mark.anyio
REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds
ERAS = ["auto", "legacy"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def address(house: House) -> Iterator[str]:
    """A server with an incident in each of two projects."""
    journal.add_project(house.database, "billing")
    house.receive([samples.event(1), samples.event(2, project="billing")])
    with wire.serving(house) as (host, _):
        yield f"http://{host}"


def token(house: House, *scopes: Scope, **options: Any) -> str:
    return accounts.create_token(house.database, scopes=scopes or (Scope.READ,), **options)[0]


@asynccontextmanager
async def connected(url: str, text: str, mode: str = "auto") -> AsyncIterator[Client]:
    """The SDK's own client with a token."""
    headers = {"Authorization": f"Bearer {text}"}
    with anyio.fail_after(PATIENCE):
        async with (
            httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            yield client


def words(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_of_either_era_lists_calls_reads_and_completes(
    house: House, address: str, mode: str
) -> None:
    async with connected(f"{address}/mcp", token(house), mode) as client:
        assert len((await client.list_tools()).tools) == 10
        listed = await client.call_tool("list_incidents", {"lane": "all"})
        assert listed.structured_content is not None
        assert {row["id"] for row in listed.structured_content["incidents"]} == {"INC-1", "INC-2"}
        assert words(await client.call_tool("get_incident", {"ref": "INC-1"})).startswith("# INC-1\n")
        assert (await client.read_resource("incident://INC-1")).contents


@pytest.mark.parametrize("mode", ERAS)
async def test_the_read_only_door_has_no_writing_tool(house: House, address: str, mode: str) -> None:
    async with connected(f"{address}/mcp/readonly", token(house, *Scope), mode) as client:
        assert len((await client.list_tools()).tools) == 6
        assert (await client.call_tool("set_state", {"id": "INC-1", "state": "muted"})).is_error


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize(
    ("tool", "arguments", "scope"),
    [
        ("start_repair", {}, Scope.FIX),
        ("submit_patch", {"diff": samples.DIFF}, Scope.FIX),
        ("open_draft", {}, Scope.DRAFT),
        ("set_state", {"state": "resolved"}, Scope.STATE),
        ("set_state", {"state": "noise"}, Scope.STATE),
        ("set_state", {"state": "kept"}, Scope.STATE),
    ],
)
async def test_a_tool_beyond_the_scope_is_refused_with_the_scopes_name(
    house: House, address: str, mode: str, tool: str, arguments: dict[str, str], scope: Scope
) -> None:
    others = [each for each in Scope if each is not scope]
    text = token(house, *others)
    before = queries.acts(house.database)
    async with connected(f"{address}/mcp", text, mode) as client:
        result = await client.call_tool(tool, {"id": "INC-1", **arguments})
    assert result.is_error
    assert (
        words(result)
        == f"This token has no scope {scope}; `nightdesk token create --scope {scope}` makes one that has."
    )
    assert queries.acts(house.database) == before


@pytest.mark.parametrize("mode", ERAS)
async def test_claiming_takes_no_more_than_reading_and_is_kept_under_the_tokens_name(
    house: House, address: str, mode: str
) -> None:
    async with connected(f"{address}/mcp", token(house, name="night"), mode) as client:
        claimed = await client.call_tool("set_state", {"id": "INC-1", "state": "claimed"})
    assert not claimed.is_error, words(claimed)
    assert queries.incident(house.database, "INC-1").claimed_by == "token night"
    async with connected(f"{address}/mcp", token(house, name="day"), mode) as client:
        assert "claimed by somebody else" in words(
            await client.call_tool("set_state", {"id": "INC-1", "state": "claimed"})
        )


async def test_with_its_scope_a_state_is_set(house: House, address: str) -> None:
    async with connected(f"{address}/mcp", token(house, Scope.READ, Scope.STATE)) as client:
        done = await client.call_tool("set_state", {"id": "INC-1", "state": "resolved", "reason": "deployed"})
    assert not done.is_error, words(done)
    assert queries.incident(house.database, "INC-1").status.value == "resolved"


@pytest.mark.parametrize("mode", ERAS)
async def test_for_a_token_of_one_project_the_others_do_not_exist(
    house: House, address: str, mode: str
) -> None:
    accounts.add_user(house.database, "ada", Role.RESPONDER, "default")
    for text in (token(house, *Scope, project="default"), token(house, *Scope, user="ada")):
        async with connected(f"{address}/mcp", text, mode) as client:
            listed = await client.call_tool("list_incidents", {"lane": "all"})
            assert listed.structured_content is not None
            assert [row["id"] for row in listed.structured_content["incidents"]] == ["INC-1"]
            assert sum(listed.structured_content["open"].values()) == 1
            for tool, arguments in (
                ("get_incident", {"ref": "INC-2"}), ("get_fix", {"id": "INC-2"}),
                ("set_state", {"id": "INC-2", "state": "muted"}), ("list_incidents", {"project": "billing"}),
            ):  # fmt: skip
                refused = await client.call_tool(tool, arguments)
                assert refused.is_error
                assert "There is no" in words(refused)
            with pytest.raises(Exception, match="no incident"):
                await client.read_resource("incident://INC-2")
    assert queries.incident(house.database, "INC-2").status.value == "open"


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_good_token_the_door_says_where_to_read_how_to_get_one(
    house: House, address: str, path: str
) -> None:
    metadata = f'resource_metadata="{house.config.address}{RESOURCE}{path}"'
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as http:
        nothing = await http.post(path, json={})
        wrong = await http.post(path, json={}, headers={"Authorization": "Bearer nd_x"})
        narrow = await http.post(
            path, json={}, headers={"Authorization": f"Bearer {token(house, Scope.FIX)}"}
        )
        told = (await http.get(RESOURCE + path)).json()
    assert [answer.status_code for answer in (nothing, wrong, narrow)] == [401, 401, 403]
    challenges = [answer.headers["WWW-Authenticate"] for answer in (nothing, wrong, narrow)]
    assert all(metadata in challenge for challenge in challenges)
    assert "error=" not in challenges[0]
    assert 'error="invalid_token"' in challenges[1]
    assert 'error="insufficient_scope"' in challenges[2]
    assert 'scope="incidents:read"' in challenges[2]
    assert told["resource"] == house.config.address + path
    reads_only = path == "/mcp/readonly"
    assert told["scopes_supported"] == [
        scope.value for scope in Scope if scope is Scope.READ or not reads_only
    ]
    assert told["authorization_servers"] == [house.config.address]


async def test_a_token_that_is_revoked_ends_at_the_next_call(house: House, address: str) -> None:
    text = token(house)
    async with connected(f"{address}/mcp", text) as client:
        assert (await client.list_tools()).tools
        accounts.revoke_token(house.database, text)
        with pytest.raises(Exception, match=r".+"):
            await client.call_tool("list_incidents", {})


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "rebound.example"}, 421), ({"Origin": "https://rebound.example"}, 403)],
)
async def test_a_web_site_that_points_its_name_here_is_refused(
    house: House, address: str, headers: dict[str, str], status: int
) -> None:
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as http:
        answer = await http.post(
            "/mcp", json={}, headers={"Authorization": f"Bearer {token(house)}", **headers}
        )
    assert answer.status_code == status


async def test_the_configured_name_is_trusted_beside_loopback(tmp_path: Any) -> None:
    config = load(tmp_path, {"NIGHTDESK_PUBLIC_URL": "https://desk.example"})
    names = trusted_names(config)
    assert "desk.example" in names.allowed_hosts
    assert "127.0.0.1:*" in names.allowed_hosts
    assert "https://desk.example" in names.allowed_origins


def test_the_sdk_is_not_imported_before_an_application_is_made() -> None:
    asked = "import sys, server.app; print('mcp' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        cwd=REPOSITORY,
    )
    assert done.stdout.strip() == "False"


async def test_a_body_that_is_no_message_is_no_failure_of_ours(house: House, address: str) -> None:
    headers = {
        "Authorization": f"Bearer {token(house)}", "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }  # fmt: skip
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, headers=headers) as http:
        bodies = (b"", b"{", b"[]", b"[" * 5000, b" " * (5 << 20))
        codes = [(await http.post("/mcp", content=body)).status_code for body in bodies]
    assert all(400 <= code < 500 for code in codes), codes


@pytest.mark.parametrize("mode", ERAS)
async def test_a_patch_of_ten_megabytes_is_refused_in_our_words(
    house: House, address: str, mode: str
) -> None:
    samples.attempt_with(house, "INC-1", "x", proven=False)
    async with connected(f"{address}/mcp", token(house, *Scope), mode) as client:
        done = await client.call_tool("submit_patch", {"id": "INC-1", "diff": "+" * 10_000_000})
    assert done.is_error
    assert (
        words(done) == "The patch is larger than 1,000,000 characters: send only what puts the cause right."
    )
