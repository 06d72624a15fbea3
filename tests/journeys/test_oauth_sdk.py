"""The SDK's own client logs in by itself, asks for more when it is challenged, and does not go by a wrong issuer."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest
from anyio import to_thread
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)

from server.house import House
from store import grants
from store.people import Scope
from tests.clients.driving import PATIENCE, play, serving
from tests.journeys import mcp_samples as samples
from tests.journeys.oauth_samples import CALLBACK, Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Memory:
    """What the client keeps between two requests."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    """Whoever sits at the browser: lets in what is asked for, the first time reading only."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._back = ""
        self.asked: list[str] = []

    async def sent(self, url: str) -> None:
        (scope,) = parse_qs(urlsplit(url).query)["scope"]
        scopes = tuple(scope.split()) if self.asked else ()
        self.asked.append(scope)
        self._back = await to_thread.run_sync(lambda: play(self._house, url, scopes=scopes))

    async def returned(self) -> AuthorizationCodeResult:
        answer = {name: values[0] for name, values in parse_qs(urlsplit(self._back).query).items()}
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))


async def test_a_client_logs_in_is_challenged_for_more_and_goes_on_after_its_token_has_expired(
    tmp_path: Path,
) -> None:
    clock = Clock()
    with serving(tmp_path / "data", clock) as house, anyio.fail_after(PATIENCE):
        house.receive([samples.event(1)])
        person, memory = Person(house), Memory()
        described = OAuthClientMetadata(redirect_uris=[CALLBACK], client_name="SDK")  # type: ignore[list-item]
        url = f"{house.config.address}/mcp"
        provider = OAuthClientProvider(
            url, described, memory, redirect_handler=person.sent, callback_handler=person.returned
        )
        async with (
            httpx2.AsyncClient(auth=provider, timeout=PATIENCE) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            assert not (await client.call_tool("list_incidents", {"lane": "all"})).is_error
            assert memory.tokens is not None
            assert memory.tokens.scope == "incidents:read"
            assert set(person.asked[0].split()) == {scope.value for scope in Scope}
            assert not (await client.call_tool("set_state", {"id": "INC-1", "state": "muted"})).is_error
            assert set(person.asked[1].split()) >= {"incidents:read", "incidents:state"}
            before = memory.tokens.access_token
            clock.forward(hours=1)
            assert not (await client.call_tool("list_incidents", {"lane": "all"})).is_error
            assert memory.tokens.access_token != before
        kept = grants.grants(house.database)
    assert {grant.client_name for grant in kept} == {"SDK"}
