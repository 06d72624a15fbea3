"""What it takes to drive a client that expects a person: a terminal, a browser, and a server to talk to."""

from __future__ import annotations

import os
import pty
import re
import select
import socket
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import uvicorn

from server.app import make_app
from server.config import load
from server.house import House
from server.moments import utc_now
from store import logins
from tests.journeys.oauth_samples import Clock, forms_of

PATIENCE = 60.0  # seconds
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_=>78])")
AUTHORIZE = re.compile(r"https?://[^\s\"']+/authorize\?[^\s\"']+")


class Terminal:
    """A program on a terminal of its own: what it printed so far, without escapes, and a keyboard."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 2000, 0, 0))
        self._program = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._raw = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._program.poll() is None:
            self._program.kill()
        self._program.wait(10)
        os.close(self._master)

    @property
    def text(self) -> str:
        """What was printed."""
        return _ESCAPES.sub("", self._raw.decode("utf-8", "replace"))

    def until(self, pattern: str | re.Pattern[str]) -> re.Match[str]:
        """Read on until this was printed. Fails where it is not within `PATIENCE`."""
        limit = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.text)) is None:
            assert time.monotonic() < limit, f"{pattern} was not printed: {self.text[-2000:]}"
            assert self._read(0.2) or self._program.poll() is None, self.text[-2000:]
        return found

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Read on to the end of the program; its exit code. Fails where it does not end within `PATIENCE`."""
        limit = time.monotonic() + PATIENCE
        while self._program.poll() is None:
            assert time.monotonic() < limit, f"still running: {self.text[-2000:]}"
            self._read(0.2)
        while self._read(0.1):
            pass
        return self._program.returncode

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        with suppress(OSError):  # a terminal whose program has gone
            piece = os.read(self._master, 65536)
            self._raw += piece
            return bool(piece)
        return False


def play(
    house: House, url: str, *, scopes: tuple[str, ...] = (), lifetime: str = "8h", go: str = "allow"
) -> str:
    """Be the person: log in, consent or refuse; the address to which the browser is then sent."""
    base = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    with httpx.Client(base_url=base, trust_env=False, timeout=PATIENCE) as http:
        http.get("/login", params={"link": logins.create_link(house.database, None, utc_now())})
        page = http.get(url, follow_redirects=True)
        assert page.status_code == 200, page.text
        (form,) = [form for form in forms_of(page) if form.action == "/consent"]
        ticked = scopes or tuple(value for value, on in form.boxes.items() if on)
        fields = [*form.fields, *(("scope", scope) for scope in ticked), ("lifetime", lifetime), ("go", go)]
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": base}
        sent = http.post(form.action, content=urlencode(fields), headers=kind)
        assert sent.status_code == 302, sent.text
        return sent.headers["location"]


def visit(address: str) -> int:
    """What the browser does last: it goes to the client's own address."""
    return httpx.get(address, trust_env=False, timeout=PATIENCE).status_code


@contextmanager
def serving(folder: Path, clock: Clock) -> Iterator[House]:
    """A server on a free port of loopback over a house of its own; its address is in the house's configuration."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        config = load(folder, {"NIGHTDESK_PORT": str(listener.getsockname()[1])})
        with House.open(config) as house:
            server = uvicorn.Server(
                uvicorn.Config(make_app(house, clock), log_level="warning", proxy_headers=False, ws="none")
            )
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            limit = time.monotonic() + PATIENCE
            while not server.started and thread.is_alive() and time.monotonic() < limit:
                threading.Event().wait(0.01)
            assert server.started
            try:
                yield house
            finally:
                server.should_exit = True
                thread.join(timeout=20)
