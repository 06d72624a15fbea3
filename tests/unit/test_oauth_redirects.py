"""Where answers may be sent, where documents may be fetched from, and under which names we answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from server.config import load
from server.http.addresses import addresses_of, only_trusted, origin
from server.oauth import fetching, redirects
from server.oauth.fetching import fetch
from server.oauth.metadata import audience_of
from server.web.sessions import local_path
from store.errors import BadPayload, NightdeskError, NotAllowed, OverLimit, Unavailable

URL = "https://app.example/oauth/client.json"
PUBLIC = ["93.184.215.14"]


def said(body: bytes, **headers: str) -> httpx.Response:
    """A document as it comes over a connection: not all of it at once."""
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    return httpx.Response(200, content=pieces, headers={"Content-Type": "application/json", **headers})


@pytest.mark.parametrize(
    ("asked", "known", "fits"),
    [
        ("http://127.0.0.1:5000/callback", "http://127.0.0.1/callback", True),
        ("http://127.0.0.1:5000/callback", "http://127.0.0.1:33418/callback", True),
        ("http://localhost:5000/callback", "http://localhost/callback", True),
        ("http://[::1]:5000/callback", "http://[::1]/callback", True),
        ("http://localhost:5000/callback", "http://127.0.0.1/callback", False),
        ("http://127.0.0.1:5000/callback/", "http://127.0.0.1/callback", False),
        ("http://127.0.0.1:5000/callback?a=1", "http://127.0.0.1/callback", False),
        ("https://127.0.0.1:5000/callback", "http://127.0.0.1/callback", False),
        ("https://app.example:5000/back", "https://app.example/back", False),
        ("https://app.example/back", "https://app.example/back", True),
        ("https://app.example/back/../other", "https://app.example/back", False),
        ("HTTPS://app.example/back", "https://app.example/back", False),
        ("cursor://anysphere/callback", "cursor://anysphere/callback", True),
        ("cursor://elsewhere/callback", "cursor://anysphere/callback", False),
        ("http://127.0.0.2:5000/callback", "http://127.0.0.1/callback", False),
    ],
)
def test_an_address_fits_as_written_but_for_the_port_on_loopback(asked: str, known: str, fits: bool) -> None:
    assert redirects.registered(asked, [known]) is fits


def test_an_answer_is_added_to_what_the_address_already_asks() -> None:
    assert (
        redirects.answered("https://a.example/b?c=d", {"code": "x&y=z"})
        == "https://a.example/b?c=d&code=x%26y%3Dz"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/c.json", "https://app.example", "https://app.example/", "https://app.example:8443/c.json",
        "https://user@app.example/c.json", "https://127.0.0.1/c.json", "https://[::1]/c.json", "https://localhost/c",
        "https://app.example/a/../c.json", "https://app.example/c.json?x=1", "https://app.example/c.json#x",
        "https://2130706433/c.json", "https://0x7f.1/c.json", "https://app.example\\@evil.example/c",
        "https://app.example/" + "x" * 600, "https://app_internal/c.json", "ftp://app.example/c.json",
    ],
)  # fmt: skip
def test_an_address_that_may_lead_inside_is_not_fetched(url: str) -> None:
    def resolve(host: str) -> list[str]:
        pytest.fail(f"{host} was looked up")

    with pytest.raises(BadPayload, match=r"A client id that is an address must"):
        fetch(url, resolve=resolve)


@pytest.mark.parametrize(
    "addresses",
    [
        [], ["127.0.0.1"], ["10.0.0.1"], ["172.16.0.1"], ["192.168.1.1"], ["169.254.169.254"], ["100.64.0.1"],
        ["0.1.2.3"], ["224.0.0.1"], ["::1"], ["fe80::1"], ["fd00::1"], ["::ffff:10.0.0.1"], ["64:ff9b::a00:1"],
        ["2002:a00:1::1"], ["fe80::1%eth0"], ["93.184.215.14", "10.0.0.1"], ["not an address"],
    ],
)  # fmt: skip
def test_a_name_of_which_any_address_is_not_public_is_not_connected_to(addresses: list[str]) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        pytest.fail("a connection was made")

    with pytest.raises(BadPayload, match="not on the public internet"):
        fetch(URL, resolve=lambda host: addresses, transport=httpx.MockTransport(never))


def test_the_connection_goes_to_the_address_that_was_looked_at_under_the_name_that_was_asked_for() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return said(b"{}", **{"Cache-Control": "max-age=99999999"})

    fetched = fetch(URL, resolve=lambda host: PUBLIC, transport=httpx.MockTransport(answer))
    (request,) = seen
    assert (fetched.body, fetched.seconds) == (b"{}", 86400)
    assert str(request.url) == "https://93.184.215.14/oauth/client.json"
    assert request.headers["Host"] == request.extensions["sni_hostname"] == "app.example"
    assert "cookie" not in request.headers
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: httpx.Response(302, headers={"Location": "http://169.254.169.254/"}), BadPayload),
        (lambda: httpx.Response(404, json={}), BadPayload),
        (lambda: httpx.Response(200, text="{}"), BadPayload),
        (lambda: said(b"{" + b" " * (20 << 10) + b"}"), OverLimit),
        (lambda: said(b"{}", **{"Content-Encoding": "br"}), BadPayload),
    ],
)
def test_an_answer_that_is_no_small_json_document_is_refused(
    answer: Callable[[], httpx.Response], kind: type[NightdeskError]
) -> None:
    asked: list[str] = []

    def once(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return answer()

    with pytest.raises(kind):
        fetch(URL, resolve=lambda host: PUBLIC, transport=httpx.MockTransport(once))
    assert len(asked) == 1


def test_a_document_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def drip() -> object:
        yield b"{"
        monkeypatch.setattr(fetching, "monotonic", lambda: 1e12)
        yield b"}"

    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, content=drip(), headers={"Content-Type": "application/json"})
    )
    with pytest.raises(Unavailable, match="too long"):
        fetch(URL, resolve=lambda host: PUBLIC, transport=transport)


def test_a_host_that_is_not_there_is_told_in_a_sentence() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    with pytest.raises(Unavailable, match="cannot be fetched"):
        fetch(URL, resolve=lambda host: PUBLIC, transport=httpx.MockTransport(broken))


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("http://127.0.0.1:8731/mcp", "/mcp"), ("http://localhost:8731/mcp/", "/mcp"),
        ("HTTP://LOCALHOST:8731/mcp/readonly", "/mcp/readonly"), ("http://127.0.0.1:8731/", None),
        ("http://127.0.0.1:8731/mcp#x", None), ("http://127.0.0.1:8732/mcp", None), ("https://127.0.0.1:8731/mcp", None),
        ("http://evil.example/mcp", None), ("/mcp", None), ("", None),
    ],
)  # fmt: skip
def test_a_resource_is_one_of_our_own_addresses_or_none(
    tmp_path: Path, resource: str, path: str | None
) -> None:
    assert audience_of(load(tmp_path, {}), resource) == path


def test_a_configured_address_is_the_only_one_under_which_tokens_are_given(tmp_path: Path) -> None:
    config = load(tmp_path, {"NIGHTDESK_PUBLIC_URL": "https://desk.example"})
    assert addresses_of(config) == {"https://desk.example"}
    assert origin(config, {"host": "localhost:8731"}) == "https://desk.example"
    assert audience_of(config, "http://localhost:8731/mcp") is None
    assert audience_of(config, "https://desk.example/mcp") == "/mcp"
    only_trusted({"host": "desk.example"}, config)
    with pytest.raises(NotAllowed):
        only_trusted({"host": "evil.example"}, config)


@pytest.mark.parametrize(
    "given",
    [
        "", "//evil.example", "/\\evil.example", "https://evil.example", "\\\\evil.example", "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=y", " //evil.example", "/\t/evil.example", "login", "/a\\b",
    ],
)  # fmt: skip
def test_after_the_login_nobody_is_sent_to_another_host(given: str) -> None:
    assert local_path(given) == "/"
    assert local_path("/consent?client_id=https%3A%2F%2Fa.example&state=x") != "/"
