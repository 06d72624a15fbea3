"""Requests that no client would send, to every route there is, over a real socket: answered in time, never by a 5xx."""

from __future__ import annotations

import json
import random
import re
import socket
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from server.house import House
from tests.journeys.test_ingest_http import secret, serving

CASES, MANY = 150, 10_000
SECONDS = 20.0  # in which each is answered, on a busy machine
_PARAMETER = re.compile(r"\{[^}]+\}")
NAMES = [
    "1",
    "default",
    "INC-1",
    "0",
    "-1",
    "9" * 40,
    "..",
    "%00",
    "%ff%fe",
    "a" * 3000,
    "'\"<x>",
    "sentry",
    "é",
    "",
]
BODIES = [
    b"", b"{}", b"[]", b"null", b"\x00" * 40, b"\xff\xfe\xfa", b"[" * 20_000, b'{"a":' * 5000, b"1e999",
    b'{"event_id": 1e400, "exception": [' + b"9" * 5000 + b"]}", b'{"message": "\\ud800\\u0000"}', b"a=b&a=%00&" * 50,
    b'{"jsonrpc": "2.0", "id": {}, "method": 7}', json.dumps({"x": "y" * 100_000}).encode(), b"\x1f\x8b\x08\x00broken",
    b'{"event_id":"' + b"f" * 32 + b'"}\n{"type":"event","length":99999999999}\n{}', b'{}\n{"type":"event","length":-1}\n{}',
]  # fmt: skip
HEADERS: list[dict[str, str]] = [
    {}, {"Content-Type": "application/json"}, {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"}, {"Content-Encoding": "gzip"}, {"Content-Encoding": "zstd, br"},
    {"Authorization": "Bearer " + "x" * 4000}, {"Authorization": "Basic %%%"}, {"Cookie": "session=\xff; a=b"},
    {"X-Sentry-Auth": "Sentry sentry_key="}, {"Accept": "text/html"}, {"Accept": "text/event-stream, application/json"},
    {"Content-Type": "application/x-protobuf"}, {"X-Nightdesk-Signature": "t=1,v1=é"}, {"Origin": "null", "Sec-Fetch-Site": "x"},
    {"Host": "[::1"}, {"Last-Event-ID": "9" * 30}, {"Range": "bytes=5-1"}, {"If-None-Match": '"'},
]  # fmt: skip


def routes(app: Starlette) -> Iterator[tuple[str, list[str]]]:
    """Each address with its methods."""
    for route in app.routes:
        if isinstance(route, Mount):
            yield route.path + "/{rest}", ["GET", "POST"]
        elif isinstance(route, Route):
            yield route.path, sorted(route.methods or {"GET", "POST", "DELETE"})


def requests(app: Starlette, key: str, seed: int) -> Iterator[bytes]:
    """Requests as bytes, without an end; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - the same requests in each run
    every = list(routes(app))
    while True:
        for path, methods in every:
            target = _PARAMETER.sub(lambda _: quote(chance.choice(NAMES), safe="%"), path) or "/"
            query = chance.choice(
                ["", f"?sentry_key={key}", f"?key={key}&limit=-1", "?cursor=%00%ff&lane=x&limit=" + "9" * 50]
            )
            headers = {"Host": "127.0.0.1", **chance.choice(HEADERS), "Connection": "close"}
            if chance.random() < 0.4:
                headers["X-Nightdesk-Key"] = headers["Authorization"] = key
                headers["Authorization"] = f"Bearer {key}"
            body = chance.choice(BODIES)
            length = len(body) if chance.random() < 0.9 else len(body) // 2
            method = chance.choice([*methods, chance.choice(["PUT", "OPTIONS", "HEAD", "BREW"])])
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            yield (
                f"{method} {target}{query} HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n".encode() + body
            )


def status_of(address: str, sent: bytes) -> int:
    """The status that a request is answered with; 0 where the connection is closed without a word."""
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        try:
            connection.sendall(sent)
            line = connection.recv(16)
        except ConnectionError:
            return 0
    return int(line[9:12]) if line[9:12].isdigit() else 0


def fuzzed(house: House, cases: int, seed: int) -> set[int]:
    """The statuses that came; says which request was answered by a failure of ours."""
    statuses = set()
    with serving(house) as (address, app):
        found = requests(app, secret(house), seed)
        for _ in range(cases):
            sent = next(found)
            status = status_of(address, sent)
            assert status < 500, sent[:1500]
            statuses.add(status)
    return statuses


def test_no_route_fails_whatever_it_is_sent(house: House) -> None:
    assert {200, 400, 404, 405} <= fuzzed(house, CASES, 11)


@pytest.mark.heavy
def test_no_route_fails_in_ten_thousand_cases(house: House) -> None:
    assert {200, 400, 404, 405} <= fuzzed(house, MANY, 12)
