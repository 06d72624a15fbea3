"""OAuth from the first 401 to the last refused token, by a scripted assistant, a scripted browser and a clock."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mcp.shared.auth import OAuthClientInformationFull, OAuthMetadata, OAuthToken, ProtectedResourceMetadata

from server.house import House
from server.oauth.documents import PINNED
from server.oauth.words import LIFETIMES
from store import accounts, grants
from store.people import Role, Scope
from tests.journeys.oauth_samples import ADDRESS, HELLO, Desk, answer_of, desk, forms_of

pytestmark = pytest.mark.anyio
SECONDS = {"1h": 3600, "8h": 8 * 3600, "30d": 30 * 86400, "90d": 90 * 86400}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments},
    }


async def works(one: Desk, token: str, path: str = "/mcp") -> bool:
    answer = await one.assistant.knock(token, path)
    assert answer.status_code in {200, 401}, answer.text
    return answer.status_code == 200


@pytest.mark.parametrize("path", ["/mcp", "/mcp/readonly"])
async def test_an_assistant_finds_its_way_from_the_first_401_to_an_answer(house: House, path: str) -> None:
    async with desk(house) as one:
        http, assistant = one.assistant.http, one.assistant
        refused = await http.post(path, json=HELLO)
        assert refused.status_code == 401
        assert "nightdesk token create" in refused.json()["detail"]
        where = refused.headers["WWW-Authenticate"].partition('resource_metadata="')[2].partition('"')[0]
        resource = ProtectedResourceMetadata.model_validate((await http.get(where)).json())
        assert str(resource.resource) == ADDRESS + path
        (issuer,) = resource.authorization_servers
        described = (
            await http.get(f"{str(issuer).rstrip('/')}/.well-known/oauth-authorization-server")
        ).json()
        server = OAuthMetadata.model_validate(described)
        assert server.token_endpoint_auth_methods_supported == ["none"]
        assert server.authorization_response_iss_parameter_supported
        assert server.code_challenge_methods_supported == ["S256"]
        registered = await assistant.register()
        assert registered.status_code == 201
        assert OAuthClientInformationFull.model_validate(registered.json()).client_secret is None
        assistant.resource = ADDRESS + path
        scope = " ".join(resource.scopes_supported or [])
        sent = await one.code(query=assistant.query(scope=scope))
        token = OAuthToken.model_validate((await assistant.redeem(sent)).json())
        assert (token.scope, token.expires_in) == ("incidents:read", 3600)
        assert await works(one, token.access_token, path)


async def test_the_redirect_carries_code_state_and_issuer_to_the_port_that_was_asked_for(
    house: House,
) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        await one.log_in()
        sent = await one.decide(await one.page())
    location = sent.headers["location"]
    assert location.startswith("http://127.0.0.1:40123/callback?")
    answer = answer_of(sent)
    assert answer.pop("code")
    assert answer == {"state": one.assistant.state, "iss": ADDRESS}


async def test_reading_is_ticked_and_writing_is_not(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        await one.log_in()
        page = await one.page()
        (form,) = [form for form in forms_of(page) if form.action == "/consent"]
    assert form.boxes == {scope.value: scope is Scope.READ for scope in Scope}
    assert form.choices == list(LIFETIMES) == ["1h", "8h", "30d", "90d"]
    assert "Test assistant" in page.text
    assert "your own computer" in page.text


async def test_only_what_was_ticked_is_granted_and_a_challenge_asks_for_the_rest(house: House) -> None:
    async with desk(house) as one:
        pair = await one.pair("incidents:read", "incidents:state")
        assert pair["scope"] == "incidents:read incidents:state"
        refused = await one.assistant.knock(pair["access_token"], body=call("start_repair", id="INC-1"))
        fits = await one.assistant.knock(
            pair["access_token"], body=call("set_state", id="INC-1", state="muted")
        )
    assert refused.status_code == 403
    challenge = refused.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="incidents:fix incidents:read incidents:state"' in challenge
    assert "/.well-known/oauth-protected-resource/mcp" in challenge
    assert "tick it" in refused.json()["detail"]
    assert fits.status_code == 200


@pytest.mark.parametrize(
    ("tool", "arguments", "status"),
    [
        ("list_incidents", {}, 200),
        ("set_state", {"id": "INC-1", "state": "claimed"}, 200),
        ("set_state", {"id": "INC-1", "state": "resolved"}, 403),
        ("set_state", {"id": "INC-1", "state": ["odd"]}, 200),
        ("submit_patch", {"id": "INC-1", "diff": "x" * 5000}, 403),
        ("open_draft", {"id": "INC-1"}, 403),
    ],
)
async def test_a_message_beyond_the_scope_is_challenged_before_the_tool_sees_it(
    house: House, tool: str, arguments: dict[str, Any], status: int
) -> None:
    async with desk(house) as one:
        pair = await one.pair()
        answer = await one.assistant.knock(pair["access_token"], body=call(tool, **arguments))
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("lifetime", LIFETIMES)
async def test_a_grant_works_as_long_as_was_chosen_and_not_a_second_longer(
    house: House, lifetime: str
) -> None:
    async with desk(house) as one:
        pair = await one.pair(lifetime=lifetime)
        left = SECONDS[lifetime]
        while left > 3600:
            step = min(pair["expires_in"], left - 1) if left > 12 * 3600 else 3600
            step = max(
                step, (left - 3600) // 20
            )  # weeks later it comes back, with a refresh token that waited
            one.clock.forward(seconds=step)
            left -= step
            pair = (await one.assistant.renew(pair["refresh_token"])).json()
            assert pair["expires_in"] == min(3600, left)
            assert await works(one, pair["access_token"])
        one.clock.forward(seconds=left - 1)
        assert await works(one, pair["access_token"])
        one.clock.forward(seconds=1)
        assert not await works(one, pair["access_token"])
        over = await one.assistant.renew(pair["refresh_token"])
    assert (over.status_code, over.json()["error"]) == (400, "invalid_grant")
    assert "connect the assistant again" in over.json()["error_description"]


async def test_an_access_token_ends_after_an_hour_however_long_the_grant_is(house: House) -> None:
    async with desk(house) as one:
        pair = await one.pair(lifetime="90d")
        one.clock.forward(seconds=3599)
        assert await works(one, pair["access_token"])
        one.clock.forward(seconds=1)
        refused = await one.assistant.knock(pair["access_token"])
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


async def test_two_windows_of_one_assistant_may_refresh_at_the_same_moment(house: House) -> None:
    async with desk(house) as one:
        pair = await one.pair()
        first = (await one.assistant.renew(pair["refresh_token"])).json()
        one.clock.forward(seconds=29)
        second = (await one.assistant.renew(pair["refresh_token"])).json()
        assert first["refresh_token"] != second["refresh_token"] != pair["refresh_token"]
        assert await works(one, first["access_token"])
        assert await works(one, second["access_token"])
        assert (await one.assistant.renew(first["refresh_token"])).status_code == 200
        assert (await one.assistant.renew(second["refresh_token"])).status_code == 200


async def test_a_refresh_token_that_comes_back_later_ends_the_whole_chain(house: House) -> None:
    async with desk(house) as one:
        pair = await one.pair()
        newer = (await one.assistant.renew(pair["refresh_token"])).json()
        one.clock.forward(seconds=31)
        replayed = await one.assistant.renew(pair["refresh_token"])
        assert replayed.json()["error"] == "invalid_grant"
        assert not await works(one, newer["access_token"])
        assert (await one.assistant.renew(newer["refresh_token"])).status_code == 400


async def test_a_refresh_may_narrow_the_access_token_and_never_widen_it(house: House) -> None:
    async with desk(house) as one:
        pair = await one.pair("incidents:read", "incidents:fix")
        narrow = (await one.assistant.renew(pair["refresh_token"], scope="incidents:read")).json()
        assert narrow["scope"] == "incidents:read"
        wide = (
            await one.assistant.renew(narrow["refresh_token"], scope="incidents:read incidents:pr")
        ).json()
        assert wide["error"] == "invalid_scope"
        again = (await one.assistant.renew(narrow["refresh_token"])).json()
    assert again["scope"] == "incidents:read incidents:fix"


async def test_a_public_client_gives_its_tokens_back(house: House) -> None:
    async with desk(house) as one:
        pair, other = await one.pair(), await one.pair()
        access = {"token": pair["access_token"], "token_type_hint": "access_token"}
        given = await one.assistant.http.post(
            "/revoke", data={**access, "client_id": one.assistant.client_id}
        )
        assert given.status_code == 200
        assert not await works(one, pair["access_token"])
        pair = (await one.assistant.renew(pair["refresh_token"])).json()
        stranger = {"token": pair["refresh_token"], "client_id": "somebody-else"}
        assert (await one.assistant.http.post("/revoke", data=stranger)).status_code == 400
        assert await works(one, pair["access_token"])
        assert (
            await one.assistant.http.post("/revoke", data={"token": pair["refresh_token"]})
        ).status_code == 200
        assert not await works(one, pair["access_token"])
        assert (await one.assistant.renew(pair["refresh_token"])).status_code == 400
        assert await works(one, other["access_token"])
        unknown = await one.assistant.http.post("/revoke", data={"token": "nda_nothing"})
    assert unknown.status_code == 200


async def test_a_token_is_good_at_the_address_it_was_granted_for_and_nowhere_else(house: House) -> None:
    async with desk(house) as one:
        pair = await one.pair()
        elsewhere = await one.assistant.knock(pair["access_token"], "/mcp/readonly")
        refresh = await one.assistant.knock(pair["refresh_token"])
    assert elsewhere.status_code == refresh.status_code == 401
    assert "was granted for /mcp;" in elsewhere.json()["detail"]


async def test_tokens_of_the_command_line_go_on_working_at_both_addresses(house: House) -> None:
    text, _ = accounts.create_token(house.database)
    async with desk(house) as one:
        assert await works(one, text)
        assert await works(one, text, "/mcp/readonly")


@pytest.mark.parametrize("client_id", PINNED)
async def test_the_known_clients_connect_by_their_documents_without_a_fetch(
    house: House, client_id: str
) -> None:
    def fetching(url: str) -> Any:
        pytest.fail(f"{url} was fetched")

    async with desk(house, fetching=fetching) as one:
        one.assistant.client_id = client_id
        pair = await one.pair()
        assert await works(one, pair["access_token"])
    (grant,) = grants.grants(house.database)
    assert grant.client_name == PINNED[client_id].name


async def test_loopback_has_several_names_and_each_is_answered_under_its_own(house: House) -> None:
    async with desk(house) as one:
        transport = one.assistant.http._transport
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8731") as http:
            described = (await http.get("/.well-known/oauth-protected-resource/mcp")).json()
            server = (await http.get("/.well-known/oauth-authorization-server")).json()
            refused = await http.post("/mcp", json=HELLO)
    assert described["resource"] == "http://localhost:8731/mcp"
    assert described["authorization_servers"] == [server["issuer"]] == ["http://localhost:8731"]
    assert "http://localhost:8731/.well-known" in refused.headers["WWW-Authenticate"]


async def test_a_person_grants_no_more_than_their_role_reaches_and_loses_it_with_the_role(
    house: House,
) -> None:
    accounts.add_user(house.database, "ada", Role.VIEWER)
    async with desk(house) as one:
        await one.assistant.register()
        await one.log_in("ada")
        page = await one.page()
        (form,) = [form for form in forms_of(page) if form.action == "/consent"]
        assert form.closed == {"incidents:fix", "incidents:pr", "incidents:state"}
        over = await one.decide(page, "incidents:read", "incidents:fix")
        assert over.status_code == 403
        sent = await one.decide(page, "incidents:read")
        pair = (await one.assistant.redeem(answer_of(sent)["code"])).json()
        assert await works(one, pair["access_token"])
        (grant,) = grants.grants(house.database)
        assert grant.user is not None
        assert grant.user.name == "ada"
        accounts.remove_user(house.database, "ada")
        assert not await works(one, pair["access_token"])
        assert (await one.assistant.renew(pair["refresh_token"])).status_code == 400


async def test_nothing_that_the_database_keeps_opens_a_door(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        code = await one.code()
        pair = (await one.assistant.redeem(code)).json()
        session = next(iter(one.browser.cookies.values()))
    kept = b"".join(path.read_bytes() for path in house.config.data.glob("nightdesk.sqlite*"))
    for secret in (code, pair["access_token"], pair["refresh_token"], session):
        assert secret.encode() not in kept
        assert max(secret.split("_"), key=len).encode() not in kept  # the random part may have the sign, too
