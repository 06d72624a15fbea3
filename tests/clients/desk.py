"""A Nightdesk for the real clients to talk to: behind a socket on loopback, with a token, and what is run against it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from server.app import make_app
from server.house import House
from store import accounts
from store.people import Scope as Right
from tests.journeys import mcp_samples as samples

PATIENCE = 120  # seconds


@dataclass(frozen=True)
class Desk:
    """Where it answers and the token to bring. Who brings none (the conformance suite cannot) is given it on the way."""

    url: str
    token: str


class _Tokened:
    """An application to which every request comes with a token, unless it brings one."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._header = app, (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not any(name == b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


@contextmanager
def behind_a_socket(app: ASGIApp) -> Iterator[str]:
    """The address of an application on a free port of loopback."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=0, log_level="error", proxy_headers=False, ws="none", timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and thread.is_alive() and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert server.started
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@contextmanager
def opened(house: House) -> Iterator[Desk]:
    """A desk with two incidents, of which one has a proven fix."""
    (first, second) = house.receive(
        [samples.event(1), samples.event(2, client_fingerprint=("another",), transaction="/other")]
    )
    assert {first.incident_id, second.incident_id} == {"INC-1", "INC-2"}
    samples.attempt_with(house, "INC-1", "a rate was renamed")
    token, _ = accounts.create_token(house.database, scopes=tuple(Right), name="clients")
    with behind_a_socket(_Tokened(make_app(house), token)) as address:
        yield Desk(f"{address}/mcp", token)


def run(
    argv: Sequence[str],
    environment: dict[str, str],
    folder: Path,
    *,
    patience: float = PATIENCE,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a client to its end, in a folder, with an environment of its own."""
    return subprocess.run(
        argv, env=environment, cwd=folder, input=stdin, capture_output=True, text=True, timeout=patience,
        check=False,
    )  # fmt: skip
