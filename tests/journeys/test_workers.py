"""`nightdesk serve --workers 2`, started in a folder that wants to get in its way: one address, two processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from server.config import load
from server.house import House
from server.mcp.http import shared_keys
from tests.journeys.mcp_workers import PATIENCE, two_workers

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of two workers over one folder with an incident, and a token."""
    with two_workers(tmp_path) as served:
        yield served


@pytest.mark.heavy
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_clients_of_either_era_are_answered_by_whichever_process_takes_the_request(
    served: tuple[str, str], mode: str
) -> None:
    address, token = served
    with anyio.fail_after(PATIENCE):
        for _ in range(6):  # a connection each, so that both processes are met
            async with (
                httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE) as http,
                Client(streamable_http_client(f"{address}/mcp", http_client=http), mode=mode) as client,
            ):
                assert len((await client.list_tools()).tools) == 10
                listed = await client.call_tool("list_incidents", {"lane": "all"})
                assert listed.structured_content is not None
                assert [row["id"] for row in listed.structured_content["incidents"]] == ["INC-1"]


def test_what_a_client_carries_between_requests_is_sealed_alike_by_every_process(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with House.open(load(tmp_path / "data", {})) as house:
            keys.append(shared_keys(house))
    assert keys[0].codec is not None
    assert keys[1].codec is not None
    assert keys[1].codec.unseal(keys[0].codec.seal(b"state")) == b"state"
