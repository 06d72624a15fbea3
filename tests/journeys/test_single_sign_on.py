"""Logins that somebody else vouches for: a real OpenID Connect exchange over sockets, and a proxy's header."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from server.app import make_app
from server.config import BadConfiguration, load
from server.house import House
from store import accounts
from store.people import Role

US = "http://127.0.0.1:8731"
ANN = {"sub": "1", "email": "ann@example.com", "email_verified": True}


@dataclass
class Provider:
    """An OpenID Connect provider as the specification has it, that logs everybody in as `person`. `lies` change what
    its ID tokens claim."""

    address: str
    person: dict[str, Any] = field(default_factory=lambda: dict(ANN))
    lies: dict[str, Any] = field(default_factory=dict)
    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "1", "use": "sig"}))
    signs_with: Any = None
    algorithm: str = "ES256"
    asked: dict[str, dict[str, str]] = field(default_factory=dict)  # by code
    slash: str = ""  # behind its name for itself

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._described),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _described(self, request: Request) -> Response:
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return JSONResponse(
            {
                "issuer": self.address + self.slash,
                **{name: f"{self.address}/{path}" for name, path in places.items()},
            }
        )

    async def _keys(self, request: Request) -> Response:
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        code = f"code-{len(self.asked)}"
        self.asked[code] = asked
        told = urlencode({"code": code, "state": asked["state"], "iss": self.address + self.slash})
        return RedirectResponse(f"{asked['redirect_uri']}?{told}")

    async def _token(self, request: Request) -> Response:
        given = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.asked.pop(given["code"])
        basic = httpx.BasicAuth("nightdesk", "s3cret")._auth_header
        if (
            create_s256_code_challenge(given["code_verifier"]) != asked["code_challenge"]
            or request.headers.get("authorization") != basic
            or given["redirect_uri"] != asked["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        claims = {
            "iss": self.address + self.slash, "aud": "nightdesk", "iat": now, "exp": now + 60, "nonce": asked["nonce"],
            **self.person, **self.lies,
        }  # fmt: skip
        header = {"alg": self.algorithm, "kid": "1"}
        signed = jwt.encode(header, claims, self.signs_with or self.key, algorithms=[self.algorithm])
        return JSONResponse({"access_token": "a", "token_type": "Bearer", "id_token": signed})


@pytest.fixture(scope="module")
def served() -> Iterator[Provider]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        provider = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(provider.app(), log_level="critical", ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield provider
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture
def provider(served: Provider) -> Provider:
    """The provider, honest again."""
    served.person, served.lies, served.signs_with, served.algorithm = dict(ANN), {}, None, "ES256"
    served.slash = ""
    return served


@pytest.fixture
def house(tmp_path: Path, provider: Provider) -> Iterator[House]:
    told = {"OIDC_ISSUER": provider.address, "OIDC_CLIENT": "nightdesk", "OIDC_SECRET": "s3cret",
            "PUBLIC_URL": US, "HOST": "0.0.0.0"}  # fmt: skip  # noqa: S104
    with House.open(load(tmp_path, {f"NIGHTDESK_{name}": value for name, value in told.items()})) as opened:
        accounts.add_user(opened.database, "ann@example.com", Role.RESPONDER)
        yield opened


def browser(house: House, **options: Any) -> TestClient:
    """Somebody's browser; it goes where it is sent only when told to."""
    return TestClient(make_app(house), base_url=US, follow_redirects=False, **options)


def come_back(client: TestClient, begun: httpx.Response) -> httpx.Response:
    """What the provider makes of a login that was begun, and what we make of that."""
    with httpx.Client(trust_env=False) as http:
        back = http.get(begun.headers["location"], timeout=30).headers["location"]
    assert back.startswith(f"{US}/login/oidc/done?")
    return client.get(back.removeprefix(US))


def log_in(client: TestClient, then: str = "/noise") -> httpx.Response:
    return come_back(client, client.get(f"/login/oidc?next={then}"))


def test_somebody_logs_in_by_the_provider_and_is_led_to_where_they_wanted_to_go(house: House) -> None:
    client = browser(house)
    assert client.get("/noise").headers["location"] == "/login?next=%2Fnoise"
    assert "Log in with 127.0.0.1" in client.get("/login?next=/noise").text
    begun = client.get("/login/oidc?next=/noise")
    asked = parse_qs(urlsplit(begun.headers["location"]).query)
    assert (asked["code_challenge_method"], asked["response_type"]) == (["S256"], ["code"])
    answer = come_back(client, begun)
    assert (answer.status_code, answer.headers["location"]) == (303, "/noise")
    page = client.get("/noise")
    assert page.status_code == 200
    assert "ann@example.com" in page.text
    assert client.get("/login/oidc?next=//evil.example").status_code == 303
    assert log_in(client, "//evil.example").headers["location"] == "/"


def test_a_provider_whose_name_ends_in_a_slash_is_taken_at_its_word(house: House, provider: Provider) -> None:
    provider.slash = "/"
    assert log_in(browser(house)).status_code == 303


@pytest.mark.parametrize(
    "lies",
    [
        {"iss": "https://evil.example"}, {"aud": "another"}, {"nonce": "another"}, {"exp": 1}, {"email_verified": False},
        {"email": "nobody@example.com"}, {"email": None}, {"azp": "another"},
    ],
)  # fmt: skip
def test_an_id_token_that_does_not_hold_logs_nobody_in(
    house: House, provider: Provider, lies: dict[str, Any]
) -> None:
    provider.lies = lies
    client = browser(house)
    assert log_in(client).status_code == 403
    assert client.get("/noise").status_code == 303


def test_a_token_signed_with_another_key_or_with_a_shared_secret_logs_nobody_in(
    house: House, provider: Provider
) -> None:
    provider.signs_with = ECKey.generate_key("P-256", {"kid": "1"})
    assert log_in(browser(house)).status_code == 403
    provider.signs_with, provider.algorithm = OctKey.import_key("s3cret" * 8), "HS256"
    assert log_in(browser(house)).status_code == 403


def test_a_login_that_another_browser_began_logs_nobody_in(house: House) -> None:
    mine, theirs = browser(house), browser(house)
    begun = theirs.get("/login/oidc")
    assert come_back(mine, begun).status_code == 403
    mine.get("/login/oidc")
    assert come_back(mine, theirs.get("/login/oidc")).status_code == 403
    assert mine.get("/noise").status_code == 303


def test_who_is_new_gets_the_role_of_the_settings_and_who_was_removed_stays_out(
    house: House, provider: Provider
) -> None:
    opened = House(
        house.config.model_copy(update={"sign_on_role": "viewer"}), house.database, house.redaction
    )
    provider.person["email"] = "bob@example.com"
    assert log_in(browser(opened)).status_code == 303
    assert {user.name: user.role for user in accounts.users(house.database)}["bob@example.com"] is Role.VIEWER
    accounts.remove_user(house.database, "bob@example.com")
    assert log_in(browser(opened)).status_code == 403


def test_a_proxy_names_people_from_its_own_address_only_and_nobody_else_is_the_operator(
    tmp_path: Path,
) -> None:
    told = {"NIGHTDESK_PROXY_HEADER": "X-Forwarded-User", "NIGHTDESK_PROXY_ADDRESSES": "10.0.0.7"}
    with House.open(load(tmp_path, told)) as house:
        accounts.add_user(house.database, "ann", Role.VIEWER)
        accounts.add_user(house.database, "bob", Role.ADMIN)
        past_it = browser(house, client=("127.0.0.1", 1), headers={"X-Forwarded-User": "bob"})
        assert past_it.get("/noise").headers["location"].startswith("/login")
        assert past_it.get("/login").status_code == 200
        client = browser(house, client=("10.0.0.7", 1), headers={"X-Forwarded-User": "ann"})
        assert client.get("/noise").headers["location"] == "/login?next=%2Fnoise"
        assert client.get("/login?next=/noise").headers["location"] == "/noise"
        assert "ann" in client.get("/noise").text
        client.headers["X-Forwarded-User"] = "bob"  # somebody else, with ann's cookie
        assert client.get("/noise").status_code == 303
        client.headers["X-Forwarded-User"] = "nobody"
        assert client.get("/login").status_code == 403


def test_a_provider_that_is_not_reached_by_https_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="https"):
        load(tmp_path, {"NIGHTDESK_OIDC_ISSUER": "http://login.example.com"})


def test_a_provider_that_does_not_answer_is_told_in_a_sentence(tmp_path: Path) -> None:
    with House.open(load(tmp_path, {"NIGHTDESK_OIDC_ISSUER": "http://127.0.0.1:9"})) as house:
        answer = browser(house).get("/login/oidc")
    assert answer.status_code == 503
    assert "does not describe itself" in answer.text
