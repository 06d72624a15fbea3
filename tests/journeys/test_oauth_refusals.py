"""What OAuth refuses, each with a sentence of our own: bad codes, wrong audiences, open redirects, forged forms."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from server.app import make_app
from server.house import House
from server.oauth.fetching import Fetched
from store import clients, grants
from store.people import Scope
from tests.journeys import test_ingest_http as wire
from tests.journeys.oauth_samples import ADDRESS, CALLBACK, Clock, answer_of, application, desk, forms_of

pytestmark = pytest.mark.anyio
EVIL = "https://evil.example/callback"
HOSTILE = "<img src=x onerror=alert(1)>\u202e\x07\u200b" + "A" * 500


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# --- codes ----------------------------------------------------------------------------------------


async def test_a_code_that_comes_twice_takes_back_what_it_gave(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        code = await one.code()
        pair = (await one.assistant.redeem(code)).json()
        assert (await one.assistant.knock(pair["access_token"])).status_code == 200
        again = await one.assistant.redeem(code)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
        assert "used before" in again.json()["error_description"]
        assert (await one.assistant.knock(pair["access_token"])).status_code == 401
        assert (await one.assistant.renew(pair["refresh_token"])).status_code == 400


async def test_a_code_is_good_for_five_minutes(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        code = await one.code()
        one.clock.forward(minutes=5)
        late = await one.assistant.redeem(code)
    assert late.json()["error"] == "invalid_grant"
    assert "expired" in late.json()["error_description"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code": "ndc_nothing"}, "invalid_grant"),
        ({"code": None}, "invalid_grant"),
        ({"redirect_uri": EVIL}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:40124/callback"}, "invalid_grant"),
        ({"resource": f"{ADDRESS}/mcp/readonly"}, "invalid_target"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
        ({"client_id": "nightdesk-somebody-else"}, "invalid_grant"),
        ({"client_id": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
    ],
)
async def test_a_code_is_redeemed_only_as_it_was_asked_for(
    house: House, changed: dict[str, str | None], error: str
) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        code = await one.code()
        asked: dict[str, Any] = {"code": code, **changed}
        refused = await one.assistant.redeem(asked.pop("code") or "", **asked)
        fits = await one.assistant.redeem(code)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert "evil" not in refused.text
    assert refused.headers["Cache-Control"] == "no-store"
    assert fits.status_code == 200


async def test_a_form_with_one_field_twice_or_of_another_kind_is_refused(house: House) -> None:
    twice = "grant_type=refresh_token&grant_type=authorization_code&client_id=x"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    async with desk(house) as one:
        answers = [
            await one.assistant.http.post("/token", content=twice, headers=kind),
            await one.assistant.http.post("/token", json={"grant_type": "refresh_token"}),
            await one.assistant.http.post("/token", content=b"\xff\xfe", headers=kind),
            await one.assistant.http.post("/token", content=b"a=" + b"b" * 40_000, headers=kind),
        ]
    assert [answer.status_code for answer in answers] == [400, 400, 400, 413]
    assert all(set(answer.json()) == {"error", "error_description"} for answer in answers)


# --- who asks, and where the answer goes -----------------------------------------------------------


@pytest.mark.parametrize(
    "redirect_uri",
    [
        EVIL, "http://127.0.0.1.evil.example/callback", "http://127.0.0.1:1@evil.example/callback",
        "http://localhost:40123/callback", "http://127.0.0.1:40123/other", "http://127.0.0.1:40123/callback?x=1",
        "http://127.0.0.1:40123/callback#x", "https://127.0.0.1/callback", "http://127.0.0.1:port/callback",
        "//evil.example/callback", "javascript:alert(1)", "/callback", "", "http://[::1/callback",
        "http://127.0.0.1:40123\\@evil.example/callback", "http://127.0.0.1/callback\r\nSet-Cookie: a=b",
    ],
)  # fmt: skip
async def test_nobody_is_sent_to_an_address_that_the_program_has_not_named(
    house: House, redirect_uri: str
) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        await one.log_in()
        query = one.assistant.query(redirect_uri=redirect_uri, scope="nothing")
        for path in ("/authorize", "/consent"):
            answer = await one.browser.get(f"{path}?{query}")
            assert answer.status_code == 400
            assert "location" not in answer.headers
            assert "Nothing was sent there" in answer.text
            assert "evil" not in answer.text


async def test_a_program_that_is_not_known_gets_a_page_and_no_redirect(house: House) -> None:
    async with desk(house) as one:
        one.assistant.client_id = "nightdesk-forgotten"
        answer = await one.browser.get(f"/authorize?{one.assistant.query()}")
    assert answer.status_code == 400
    assert "connect it again" in answer.text


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"resource": "https://evil.example/mcp"}, "invalid_target"),
        ({"resource": f"{ADDRESS}/mcp/other"}, "invalid_target"),
        ({"resource": ""}, "invalid_target"),
        ({"scope": "admin everything"}, "invalid_scope"),
        ({"resource": f"{ADDRESS}/mcp/readonly", "scope": "incidents:fix"}, "invalid_scope"),
    ],
)
async def test_a_program_that_asks_wrongly_is_told_so_at_its_own_address(
    house: House, changed: dict[str, str | None], error: str
) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        answer = await one.browser.get(f"/authorize?{one.assistant.query(**changed)}")
        told = answer_of(answer)
    assert answer.headers["location"].startswith(one.assistant.redirect_uri)
    assert (told["error"], told["state"], told["iss"]) == (error, one.assistant.state, ADDRESS)
    assert "code" not in told


async def test_a_web_site_that_registers_itself_cannot_use_us_to_send_people_on(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register(redirect_uris=[EVIL])
        query = one.assistant.query(redirect_uri=EVIL, scope="nothing")
        answer = await one.browser.get(f"/authorize?{query}")
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "Go back to evil.example" in answer.text


async def test_one_thing_that_is_asked_twice_is_refused(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        query = one.assistant.query()
        for extra in (f"redirect_uri={EVIL}", "client_id=other", "state=other", "scope=incidents:pr"):
            answer = await one.browser.get(f"/authorize?{query}&{extra}")
            assert answer.status_code == 400
            assert "twice" in answer.text
        long = await one.browser.get(f"/authorize?{query}&padding={'x' * 9000}")
    assert long.status_code == 400


# --- the person decides ---------------------------------------------------------------------------


async def test_consent_takes_a_person_who_is_logged_in_on_loopback_too(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        page = await one.page()
        assert page.status_code == 302
        assert page.headers["location"].startswith("/login?next=%2Fconsent%3F")
        form = await one.browser.get(page.headers["location"])
        assert "password" in form.text
        sent = await one.send(
            "/consent", [("request", one.assistant.query()), ("go", "allow"), ("csrf", "x")]
        )
    assert sent.status_code == 403
    assert grants.grants(house.database) == []


async def test_who_refuses_sends_the_program_access_denied(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        await one.log_in()
        answer = answer_of(await one.decide(await one.page(), go="deny"))
        odd = answer_of(await one.decide(await one.page(), go="something else"))
    assert (answer["error"], answer["state"], answer["iss"]) == (
        "access_denied",
        one.assistant.state,
        ADDRESS,
    )
    assert odd["error"] == "access_denied"


async def test_a_consent_that_the_person_did_not_send_from_this_page_is_refused(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        await one.log_in()
        page = await one.page()
        (form,) = [form for form in forms_of(page) if form.action == "/consent"]
        fields = dict(form.fields)
        rest = [("scope", "incidents:read"), ("lifetime", "8h"), ("go", "allow")]
        good = [*form.fields, *rest]
        mixed = one.assistant.query(state="somebody-elses")
        elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        answers = [
            await one.send("/consent", [("request", fields["request"]), *rest]),
            await one.send("/consent", [("request", fields["request"]), ("csrf", "0" * 64), *rest]),
            await one.send("/consent", [("request", mixed), ("csrf", fields["csrf"]), *rest]),
            await one.send("/consent", good, **elsewhere),
            await one.send("/consent", good, Origin="https://evil.example"),
            await one.send("/consent", good, Origin="null"),
            await one.send("/consent", good, **{"Sec-Fetch-Site": "same-site"}),
            await one.send("/consent", good, Host="rebound.example"),
        ]
        await one.log_in()  # the mark of the session before is worth nothing in this one
        answers.append(await one.send("/consent", good))
        assert [answer.status_code for answer in answers] == [403] * len(answers)
        assert all("location" not in answer.headers for answer in answers)
        (fresh,) = [form for form in forms_of(await one.page()) if form.action == "/consent"]
        assert (await one.send("/consent", [*fresh.fields, *rest])).status_code == 302


async def test_scopes_that_were_not_asked_for_and_odd_lifetimes_are_refused(house: House) -> None:
    async with desk(house) as one:
        await one.assistant.register()
        await one.log_in()
        page = await one.page(one.assistant.query(scope="incidents:read"))
        wider = await one.decide(page, "incidents:read", "incidents:pr")
        odd = await one.decide(page, "incidents:read", "everything")
        long = await one.decide(page, "incidents:read", lifetime="10y")
        blind = await one.decide(await one.page(), "incidents:fix")
    assert [answer.status_code for answer in (wider, odd, long, blind)] == [403, 403, 400, 400]
    assert "Without reading" in blind.text


@pytest.mark.parametrize(
    ("redirect_uri", "source"),
    [
        (CALLBACK, "http://127.0.0.1"),
        ("https://app.example:8443/back", "https://app.example:8443"),
        ("cursor://anysphere.cursor/callback", "cursor:"),
        ("http://[::1]/callback", "http:"),
    ],
)
async def test_the_consent_page_cannot_be_framed_and_sends_only_here_and_to_the_program(
    house: House, redirect_uri: str, source: str
) -> None:
    async with desk(house) as one:
        await one.assistant.register(redirect_uris=[redirect_uri])
        await one.log_in()
        page = await one.page(one.assistant.query(redirect_uri=redirect_uri))
        login = await one.browser.get("/login")
    policy = page.headers["Content-Security-Policy"]
    assert f"form-action 'self' {source};" in policy
    for headers in (page.headers, login.headers):
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
    assert "form-action 'self';" in login.headers["Content-Security-Policy"]


async def test_what_a_program_calls_itself_is_bounded_and_never_markup(house: House) -> None:
    async with desk(house) as one:
        registered = await one.assistant.register(client_name=HOSTILE)
        await one.log_in()
        page = await one.page()
    name = registered.json()["client_name"]
    assert len(name) <= 80
    assert name.isprintable()
    assert "<img" not in page.text
    assert "Nightdesk cannot know whether that is so" in page.text


# --- registration ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "described",
    [
        {}, {"redirect_uris": []}, {"redirect_uris": CALLBACK}, {"redirect_uris": [1]},
        {"redirect_uris": ["http://evil.example/callback"]}, {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": ["data:text/html,x"]}, {"redirect_uris": ["https://a.example/#x"]},
        {"redirect_uris": ["https://a@b.example/"]}, {"redirect_uris": ["https:///x"]}, {"redirect_uris": ["*"]},
        {"redirect_uris": ["https://a.example/" + "x" * 2000]}, {"redirect_uris": [CALLBACK] * 11},
        {"redirect_uris": [CALLBACK], "grant_types": ["client_credentials"]},
        {"redirect_uris": [CALLBACK], "response_types": ["token"]}, [], "text", 7,
    ],
)  # fmt: skip
async def test_a_registration_that_does_not_fit_is_refused_and_nothing_kept(
    house: House, described: Any
) -> None:
    async with desk(house) as one:
        answer = await one.assistant.http.post("/register", json=described)
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_redirect_uri", "invalid_client_metadata"}
    assert "evil" not in answer.text


async def test_programs_are_answered_under_our_own_names_only(house: House) -> None:
    described = {"redirect_uris": [CALLBACK]}
    async with desk(house) as one:
        rebound = await one.assistant.http.post(
            "/register", json=described, headers={"Host": "rebound.example"}
        )
    assert rebound.status_code == 400
    assert "public_url" in rebound.json()["error_description"]


async def test_an_access_token_opens_mcp_and_nothing_else(house: House) -> None:
    async with desk(house) as one:
        pair = await one.pair()
    shown = {"Authorization": f"Bearer {pair['access_token']}"}
    async with wire.client(make_app(house)) as http:
        answers = [await http.get(path, headers=shown) for path in ("/api/v1/whoami", "/metrics")]
    assert [answer.status_code for answer in answers] == [401, 401]


async def test_oversize_and_broken_registrations_are_refused(house: House) -> None:
    json_kind = {"Content-Type": "application/json"}
    async with desk(house) as one:
        http = one.assistant.http
        large = await http.post("/register", json={"redirect_uris": [CALLBACK], "client_name": "x" * 40_000})
        deep = await http.post("/register", content="[" * 20_000, headers=json_kind)
        plain = await http.post(
            "/register",
            content=json.dumps({"redirect_uris": [CALLBACK]}),
            headers={"Content-Type": "text/plain"},
        )
    assert [answer.status_code for answer in (large, deep, plain)] == [413, 400, 400]


async def test_registrations_are_counted_and_those_that_nobody_let_in_are_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "MOST", 5)
    async with desk(house) as one:
        pair = await one.pair(lifetime="30d")
        used, unused = one.assistant.client_id, []
        for _ in range(8):
            await one.assistant.register()
            unused.append(one.assistant.client_id)
        assert [clients.client(house.database, each) is None for each in unused] == [True] * 3 + [False] * 5
        one.clock.forward(days=1)
        await one.assistant.register()
        assert clients.client(house.database, unused[-1]) is None
        assert clients.client(house.database, used) is not None
        statuses = [(await one.assistant.register()).status_code for _ in range(70)]
        assert (statuses[0], statuses[-1]) == (201, 429)
        one.clock.forward(hours=1)
        assert (await one.assistant.register()).status_code == 201
        one.assistant.client_id = used
        assert (await one.assistant.renew(pair["refresh_token"])).status_code == 200


# --- documents as client ids ----------------------------------------------------------------------


DOCUMENT = "https://app.example/client.json"


def documented(**changed: Any) -> bytes:
    described = {"client_id": DOCUMENT, "client_name": "App", "redirect_uris": [CALLBACK], **changed}
    return json.dumps(described).encode()


async def test_a_document_is_fetched_once_and_only_for_somebody_who_is_logged_in(house: House) -> None:
    fetched: list[str] = []

    def fetching(url: str) -> Fetched:
        fetched.append(url)
        return Fetched(documented(), 600)

    async with desk(house, fetching=fetching) as one:
        one.assistant.client_id = DOCUMENT
        assert (await one.page()).status_code == 302
        assert fetched == []
        pair = await one.pair()
        assert fetched == [DOCUMENT]
        assert "app.example" in (await one.page()).text
        one.clock.forward(seconds=601)
        await one.page()
        assert fetched == [DOCUMENT] * 2
        assert (await one.assistant.knock(pair["access_token"])).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"not json", b"[]", documented(client_id="https://other.example/client.json"), documented(redirect_uris=[]),
        documented(redirect_uris=["javascript:x"]), documented(grant_types=["implicit"]),
    ],
)  # fmt: skip
async def test_a_document_that_does_not_fit_its_address_is_refused(house: House, body: bytes) -> None:
    async with desk(house, fetching=lambda url: Fetched(body, 600)) as one:
        one.assistant.client_id = DOCUMENT
        await one.log_in()
        page = await one.page()
    assert page.status_code == 400
    assert "location" not in page.headers
    assert clients.client(house.database, DOCUMENT) is None


async def test_no_document_is_fetched_where_that_is_switched_off(house: House) -> None:
    house.config = house.config.model_copy(update={"client_documents": False})

    def fetching(url: str) -> Fetched:
        pytest.fail(f"{url} was fetched")

    async with desk(house, fetching=fetching) as one:
        one.assistant.client_id = DOCUMENT
        await one.log_in()
        page = await one.page()
    assert page.status_code == 503
    assert "client_documents" in page.text


# --- several workers ------------------------------------------------------------------------------


async def test_every_step_may_be_taken_by_another_worker(house: House) -> None:
    clock = Clock()
    apps = [application(house, clock)[0] for _ in range(2)]
    turns = iter(range(1000))

    async def either(scope: Any, receive: Any, send: Any) -> None:
        await apps[next(turns) % 2](scope, receive, send)

    async with desk(house) as one:
        for http in (one.browser, one.assistant.http):
            http._transport = httpx.ASGITransport(app=either)
        pair = await one.pair()
        renewed = (await one.assistant.renew(pair["refresh_token"])).json()
    assert grants.access(house.database, renewed["access_token"], clock()) is not None
    assert Scope.READ.value == renewed["scope"]
