"""A real server of two processes, started in a folder full of modules that have the names of ours."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx

from server.config import load
from server.house import House
from store import accounts
from store.people import Scope
from tests.journeys import mcp_samples as samples

PATIENCE = 90  # seconds


@contextmanager
def two_workers(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of two workers over one folder with an incident, and a token."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("server", "store", "triage", "mcp", "typing", "types", "queue", "uvicorn"):
        (folder / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    with House.open(load(tmp_path / "data", {})) as house:
        house.receive([samples.event(1)])
        token, _ = accounts.create_token(house.database, scopes=(Scope.READ,), name="t")
    script = str(Path(sys.executable).with_name("nightdesk"))
    argv = [script, "serve", "--port", "0", "--workers", "2", "--data", str(tmp_path / "data")]
    environment = {**os.environ, "PYTHONPATH": "."}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            yield _said_address(server), token
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=PATIENCE) == 0, (tmp_path / "log").read_text()
            assert server.stdout is not None
            server.stdout.close()


def _said_address(server: subprocess.Popen[str]) -> str:
    """The address that the server prints, once it answers there."""
    assert server.stdout is not None
    text = ""
    while not (found := re.search(r"^Page\s+(http://\S+?)/?$", text, re.MULTILINE)):
        line = server.stdout.readline()
        assert line, "the server has ended"
        text += line
    threading.Thread(target=server.stdout.read, daemon=True).start()
    until, pause = monotonic() + PATIENCE, threading.Event()
    while True:
        try:
            if httpx.get(f"{found[1]}/healthz", timeout=5).status_code == 200:
                return found[1]
        except httpx.TransportError:
            pass
        assert monotonic() < until
        pause.wait(0.2)
