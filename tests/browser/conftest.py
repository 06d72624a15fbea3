"""A real Chromium over a real server, with what a team has after a night: an incident with a proven fix of a real git
repository, one with hostile text in every field, noise. Skips, saying why, where no Chromium is found."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from server.app import make_app
from server.config import load
from server.house import House
from store import accounts, journal, logins, queries
from store.incident import Lane
from store.people import Role
from store.project import RepositoryConfig
from tests.browser.night import HOSTILE, fixed
from tests.journeys import mcp_samples as samples
from tests.journeys.histories import History

expect.set_options(timeout=20_000)
SHOTS = Path(os.environ.get("NIGHTDESK_SCREENSHOTS", Path(__file__).resolve().parents[2] / ".screenshots"))


@dataclass
class Desk:
    """A house that is served, and what the browser has said of it."""

    house: House
    address: str
    browser: Browser
    clone: Path
    complaints: list[str] = field(
        default_factory=list
    )  # errors in the console, and requests that leave the host
    dialogs: list[str] = field(default_factory=list)

    def context(self, **options: Any) -> BrowserContext:
        """A browser of somebody who has never been here."""
        return self.browser.new_context(base_url=self.address, **options)

    def open(self, path: str, context: BrowserContext | None = None, **options: Any) -> Page:
        """A page, watched."""
        page = (context or self.context(**options)).new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda said: self._heard(said.type, said.text, said.location.get("url", "")))
        page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        page.on("request", lambda asked: self._asked(asked.url))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(path)
        return page

    def logged_in(self, name: str | None, **options: Any) -> BrowserContext:
        """A browser of somebody who is logged in, by a link."""
        context = self.context(**options)
        link = logins.create_link(self.house.database, name, datetime.now(UTC))
        page = context.new_page()
        page.goto(f"/login?link={link}")
        page.close()
        return context

    def _heard(self, kind: str, text: str, url: str) -> None:
        if kind in {"error", "warning"} and "favicon" not in url:
            self.complaints.append(f"{kind}: {text} ({url})")

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme in {"http", "https", "ws", "wss"} and not url.startswith(self.address):
            self.complaints.append(f"left the host: {url}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser of this machine."""
    named = os.environ.get("NIGHTDESK_TEST_CHROMIUM")
    program = (
        named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    )
    with sync_playwright() as playwright:
        if program is None and Path(playwright.chromium.executable_path).exists():
            program = playwright.chromium.executable_path
        if program is None:
            pytest.skip("no Chromium: `apt-get install chromium`, or name one in NIGHTDESK_TEST_CHROMIUM")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def served(house: House, port: int) -> Iterator[str]:
    """The application on a port of loopback."""
    settings = uvicorn.Config(
        make_app(house),
        port=port,
        log_level="critical",
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert server.started
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def make_desk(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Serves a house with these settings; whatever the browser complains of fails the test at its end."""
    made: list[Desk] = []
    with ExitStack() as stack:

        def make(**settings: str) -> Desk:
            port = free_port()
            given = {f"NIGHTDESK_{name.upper()}": value for name, value in settings.items()}
            house = stack.enter_context(
                House.open(load(tmp_path / "data", {"NIGHTDESK_PORT": str(port), **given}))
            )
            clone = History(tmp_path / "shop")
            fill(house, clone)
            desk = Desk(house, stack.enter_context(served(house, port)), chromium, clone.folder)
            stack.callback(lambda: [context.close() for context in list(chromium.contexts)])
            made.append(desk)
            return desk

        yield make
        complaints = [complaint for desk in made for complaint in desk.complaints]
    assert complaints == []
    assert [dialog for desk in made for dialog in desk.dialogs] == []


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """A house for this machine only, where a draft opens once a person says so."""
    return make_desk(drafts="ask")


def fill(house: House, clone: History) -> None:
    """INC-1 with a proven fix, INC-2 hostile, INC-3 ordinary, INC-4 noise; people of every role."""
    commit = clone.commit("Read the carrier", {"shop/rates.py": "# rates\na = 1\n"})
    house.mirrors.add("shop", str(clone.folder))
    journal.add_repository(
        house.database, RepositoryConfig(name="shop", project="default", url=str(clone.folder))
    )
    house.receive([samples.event(number) for number in range(1, 6)])
    fixed(house, "INC-1", commit)
    house.receive([samples.hostile_event(6, HOSTILE)])
    samples.attempt_with(house, "INC-2", HOSTILE, proven=False)
    other = samples.event(7).exceptions[0]
    raised = other.model_copy(update={"type": "ValueError", "value": "of nothing"})
    house.receive([samples.event(7, exceptions=(raised,), client_fingerprint=("another",), release="shop@9")])
    raised = other.model_copy(update={"type": "BrokenPipeError", "value": "gone"})
    house.receive([samples.event(8, exceptions=(raised,), client_fingerprint=("noise",))])
    for number, lane in ((1, Lane.FOCUS), (2, Lane.FOCUS), (3, Lane.BACKLOG), (4, Lane.NOISE)):
        journal.set_lane(house.database, f"INC-{number}", lane, "setup", "")
    for role in Role:
        accounts.add_user(house.database, role.value, role)
    assert len(queries.incidents(house.database)) == 4
