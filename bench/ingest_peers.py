"""The servers that `bench.ingest` sends to: the product, a bare reference, and Bugsink in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120.0  # seconds for a server to come up, or to go quiet
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A running server: where to post, how to count what it has digested, and its processes."""

    name: str
    port: int
    path: str
    headers: Mapping[str, str]
    database: Path
    counted: str  # SQL: events that are kept
    grouped: str | None  # SQL: groups made
    roots: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def ask(self, statement: str) -> int:
        """A number out of its database."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as connection:
            return int(connection.execute(statement).fetchone()[0])

    def cpu(self) -> float:
        """CPU seconds that its processes have used, and those they waited for."""
        return sum(_cpu(pid) for root in self.roots for pid in _tree(root.pid))

    def peak(self) -> float:
        """Peak memory in MiB, all processes together."""
        return sum(_peak(pid) for root in self.roots for pid in _tree(root.pid))

    def quiet(self) -> float:
        """Wait until it does no more than it does when idle (below 15 % of a core, two seconds on end; half a minute at
        most). Returns the CPU seconds that it then uses each second."""
        until, before, calm = time.monotonic() + 30, self.cpu(), [1.0]
        while time.monotonic() < until and (len(calm) < 2 or max(calm[-2:]) > 0.15):
            time.sleep(1)
            now = self.cpu()
            calm, before = [*calm, now - before], now
        return min(calm)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return
    for child in children.split():
        yield from _tree(int(child))


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / TICKS


def _peak(pid: int) -> float:
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def free_port() -> int:
    """A port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(server: Server, *commands: list[str], folder: Path, env: Mapping[str, str]) -> Iterator[Server]:
    """The server with its processes, once it answers; they are ended afterwards."""
    log = (folder / "log").open("ab")
    try:
        for command in commands:
            server.roots.append(subprocess.Popen(command, cwd=folder, env=dict(env), stdout=log, stderr=log))
        until = time.monotonic() + PATIENCE
        while not _answers(server.port):
            if time.monotonic() > until or any(root.poll() is not None for root in server.roots):
                raise SystemExit(f"{server.name} does not come up: {(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
        yield server
    finally:
        for root in server.roots:
            root.terminate()
        for root in server.roots:
            try:
                root.wait(timeout=20)
            except subprocess.TimeoutExpired:
                root.kill()
        log.close()


def _answers(port: int) -> bool:
    """Whether a request gets any answer: who only listens may still be setting itself up."""
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as probe:
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return bool(probe.recv(12))
    except OSError:
        return False


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours and of Python."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("NIGHTDESK_", "PYTHON"))
    }


@contextmanager
def product(folder: Path, checkout: Path = ROOT, workers: int = 1) -> Iterator[Server]:
    """`nightdesk serve` of a checkout, with so many processes and a data folder of its own."""
    port, database = free_port(), folder / "data" / "nightdesk.sqlite"
    python = Path(sys.executable) if checkout == ROOT else checkout / ".venv" / "bin" / "python"
    command = [
        str(python),
        str(checkout / "nightdesk.py"),
        "serve",
        "--port",
        str(port),
        "--data",
        str(folder / "data"),
        "--workers",
        str(workers),
    ]
    name = "nightdesk" if checkout == ROOT else f"nightdesk in {checkout.name}"
    server = Server(
        name,
        port,
        "/api/1/envelope/",
        {},
        database,
        "select count(*) from events",
        "select count(*) from incidents",
    )
    env = clean_environment() | {"NIGHTDESK_MAX_WAITING": "1000", "PYTHONPATH": str(checkout)}
    with running(server, command, folder=folder, env=env):
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            key = connection.execute("select key from keys").fetchone()[0]
        server.headers = sentry_headers(key)
        yield server


@contextmanager
def bare(folder: Path) -> Iterator[Server]:
    """A bare ASGI application that writes each body as it came, one commit for those who wait together."""
    port = free_port()
    server = Server(
        "bare",
        port,
        "/",
        sentry_headers("none"),
        folder / "bare.sqlite",
        "select count(*) from bodies",
        None,
    )
    command = [sys.executable, "-m", "bench.ingest_bare", str(port), str(folder / "bare.sqlite")]
    with running(server, command, folder=folder, env=clean_environment() | {"PYTHONPATH": str(ROOT)}):
        yield server


@contextmanager
def bugsink(folder: Path) -> Iterator[Server]:
    """Bugsink from its wheel: gunicorn and its queue, as its documentation sets up one machine; quotas out of the way."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nightdesk-bench" / "bugsink"
    python = home / "bin" / "python"
    if not python.exists():
        for command in (["uv", "venv", "-q", "--python", "3.11", str(home)],
                        ["uv", "pip", "install", "-q", "--python", str(python), "bugsink"]):  # fmt: skip
            subprocess.run(command, check=True, timeout=600)
    port = free_port()
    env = clean_environment() | {"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(folder)}
    _set_up_bugsink(home, folder, port, env)
    key = subprocess.run(
        [str(home / "bin" / "bugsink-manage"), "shell", "-c", _PROJECT], cwd=folder, env=env, check=True,
        capture_output=True, text=True, timeout=300,
    ).stdout.split()[-1]  # fmt: skip
    server = Server(
        "bugsink", port, "/api/1/envelope/", sentry_headers(key), folder / "db.sqlite3",
        "select count(*) from events_event", "select count(*) from issues_issue",
    )  # fmt: skip
    web = [
        str(home / "bin" / "gunicorn"),
        "--bind",
        f"127.0.0.1:{port}",
        "--workers=2",
        "--timeout=60",
        "bugsink.wsgi",
    ]
    with running(server, web, [str(home / "bin" / "bugsink-runsnappea")], folder=folder, env=env):
        yield server


_PROJECT = (
    "from projects.models import Project; "
    "p = Project.objects.create(name='bench', retention_max_event_count=10**6); "
    "print(p.id, p.sentry_key.hex)"
)


def _set_up_bugsink(home: Path, folder: Path, port: int, env: dict[str, str]) -> None:
    """Its configuration as its own command writes it for one machine, its tables, and quotas that never bite."""
    (folder / "snappea").mkdir()
    make = [str(home / "bin" / "bugsink-create-conf"), "--template=singleserver", "--host=127.0.0.1", f"--port={port}",
            f"--base-dir={folder}"]  # fmt: skip
    subprocess.run(make, cwd=folder, env=env, check=True, timeout=120, capture_output=True)
    settings = folder / "bugsink_conf.py"
    text = settings.read_text() + _QUOTAS
    settings.write_text(re.sub(r'"NAME": "[^"]*snappea[^"]*"', f'"NAME": "{folder}/snappea.sqlite3"', text))
    for database in ("default", "snappea"):
        command = [str(home / "bin" / "bugsink-manage"), "migrate", f"--database={database}"]
        subprocess.run(command, cwd=folder, env=env, check=True, timeout=600, capture_output=True)
    if shutil.which("bugsink-manage", path=env["PATH"]) is None:
        raise SystemExit("bugsink is not installed as expected")


_QUOTAS = """
BUGSINK["MAX_EVENTS_PER_PROJECT_PER_5_MINUTES"] = 10**7
BUGSINK["MAX_EVENTS_PER_PROJECT_PER_HOUR"] = 10**7
"""


def sentry_headers(key: str) -> dict[str, str]:
    """What the SDK sends with an envelope."""
    return {
        "Content-Type": "application/x-sentry-envelope",
        "Content-Encoding": "gzip",
        "X-Sentry-Auth": f"Sentry sentry_key={key}, sentry_version=7, sentry_client=sentry.python/2.75.0",
    }
