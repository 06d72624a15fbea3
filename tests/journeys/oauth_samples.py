"""An assistant and a browser as scripts, a clock that tests move, and the doors that both of them knock at."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware

from server.house import House
from server.mcp.http import McpDoors
from server.oauth.doors import OAuthDoors
from server.web.guard import SecurityHeaders
from store import logins

ADDRESS = "http://127.0.0.1:8731"
CALLBACK = "http://127.0.0.1/callback"
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}},
}  # fmt: skip


class Clock:
    """A clock that stands until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Form:
    """A form of a page: where it goes, what it sends as it stands, and the boxes that can be ticked."""

    action: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    boxes: dict[str, bool] = field(default_factory=dict)  # value of a box -> is it ticked
    closed: set[str] = field(default_factory=set)  # values of boxes that cannot be ticked
    choices: list[str] = field(default_factory=list)  # values of radio buttons


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self.forms.append(Form(given.get("action") or ""))
        elif tag == "input" and self.forms:
            form, name, value = self.forms[-1], given.get("name") or "", given.get("value") or ""
            if given.get("type") == "hidden":
                form.fields.append((name, value))
            elif given.get("type") == "checkbox":
                form.boxes[value] = "checked" in given
                form.closed |= {value} if "disabled" in given else set()
            elif given.get("type") == "radio":
                form.choices.append(value)


def forms_of(page: httpx.Response) -> list[Form]:
    """Every form of a page."""
    parser = _Forms()
    parser.feed(page.text)
    return parser.forms


def answer_of(response: httpx.Response) -> dict[str, str]:
    """The answer that a redirect carries in its query."""
    return {
        name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()
    }


class Assistant:
    """A program that connects itself, as MCP clients do."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.client_id = ""
        self.redirect_uri = CALLBACK.replace("127.0.0.1/", "127.0.0.1:40123/")
        self.verifier = secrets.token_urlsafe(48)
        self.state = secrets.token_urlsafe(16)
        self.resource = f"{ADDRESS}/mcp"

    async def register(self, **fields: Any) -> httpx.Response:
        described = {
            "client_name": "Test assistant", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", **fields,
        }  # fmt: skip
        answer = await self.http.post("/register", json=described)
        self.client_id = answer.json().get("client_id", "")
        return answer

    def query(self, **changed: str | None) -> str:
        """What it asks for; a value of None leaves the parameter out."""
        hashed = hashlib.sha256(self.verifier.encode()).digest()
        asked: dict[str, str | None] = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect_uri,
            "code_challenge": base64.urlsafe_b64encode(hashed).rstrip(b"=").decode(), "code_challenge_method": "S256",
            "state": self.state, "resource": self.resource,
            "scope": "incidents:read incidents:fix incidents:pr incidents:state", **changed,
        }  # fmt: skip
        return urlencode({name: value for name, value in asked.items() if value is not None})

    async def redeem(self, code: str, **changed: str | None) -> httpx.Response:
        asked = {
            "grant_type": "authorization_code", "client_id": self.client_id, "code": code,
            "code_verifier": self.verifier, "redirect_uri": self.redirect_uri, "resource": self.resource, **changed,
        }  # fmt: skip
        return await self.http.post("/token", data={k: v for k, v in asked.items() if v is not None})

    async def renew(self, token: str, **changed: str) -> httpx.Response:
        asked = {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "refresh_token": token,
            **changed,
        }
        return await self.http.post("/token", data=asked)

    async def knock(
        self, token: str, path: str = "/mcp", body: Any = HELLO, **headers: str
    ) -> httpx.Response:
        """One message at an MCP address."""
        sent = {
            "Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream", **headers,
        }  # fmt: skip
        return await self.http.post(path, json=body, headers=sent)


@dataclass
class Desk:
    """The doors of one house, a clock, an assistant and a browser."""

    house: House
    clock: Clock
    assistant: Assistant
    browser: httpx.AsyncClient

    async def log_in(self, user: str | None = None) -> httpx.Response:
        """Open a one-time link in the browser."""
        link = logins.create_link(self.house.database, user, self.clock())
        return await self.browser.get("/login", params={"link": link})

    async def page(self, query: str | None = None) -> httpx.Response:
        """The consent page for what the assistant asks."""
        answer = await self.browser.get(f"/authorize?{query or self.assistant.query()}")
        assert answer.status_code == 302, answer.text
        return await self.browser.get(answer.headers["location"])

    async def decide(
        self, page: httpx.Response, *scopes: str, lifetime: str = "8h", go: str = "allow"
    ) -> httpx.Response:
        """Send the form with these boxes ticked; without any, those that are ticked already."""
        (form,) = [form for form in forms_of(page) if form.action == "/consent"]
        ticked = scopes or [value for value, on in form.boxes.items() if on]
        fields = [*form.fields, *(("scope", scope) for scope in ticked), ("lifetime", lifetime), ("go", go)]
        return await self.send(form.action, fields)

    async def send(self, path: str, fields: list[tuple[str, str]], **headers: str) -> httpx.Response:
        """A form as a browser sends it."""
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": ADDRESS, **headers}
        return await self.browser.post(path, content=urlencode(fields), headers=sent)

    async def code(self, *scopes: str, lifetime: str = "8h", query: str | None = None) -> str:
        """Log in, consent, and the code that comes of it."""
        await self.log_in()
        sent = await self.decide(await self.page(query), *scopes, lifetime=lifetime)
        assert sent.status_code == 302, sent.text
        return answer_of(sent)["code"]

    async def pair(self, *scopes: str, lifetime: str = "8h") -> dict[str, Any]:
        """A first pair of tokens."""
        if not self.assistant.client_id:
            await self.assistant.register()
        answer = await self.assistant.redeem(await self.code(*scopes, lifetime=lifetime))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def application(house: House, clock: Clock, **options: Any) -> tuple[Starlette, McpDoors]:
    """MCP and OAuth over a house, without its background work."""
    mcp = McpDoors(house, clock)
    routes = [*mcp.routes(), *OAuthDoors(house, clock, **options).routes()]
    return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)]), mcp


@asynccontextmanager
async def desk(house: House, **options: Any) -> AsyncIterator[Desk]:
    """Everything of a test; `options` are of `OAuthDoors`."""
    clock = Clock()
    app, mcp = application(house, clock, **options)
    transport = httpx.ASGITransport(app=app)
    async with (
        mcp.running(),
        httpx.AsyncClient(transport=transport, base_url=ADDRESS) as http,
        httpx.AsyncClient(transport=transport, base_url=ADDRESS) as browser,
    ):
        yield Desk(house, clock, Assistant(http), browser)
