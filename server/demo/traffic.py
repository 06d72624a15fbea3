"""Run a world's service as in a container, and send it people, scanners and the request that breaks it.

Nothing is made up: every event comes from an exception that was really raised, through the real sentry-sdk.
"""

from __future__ import annotations

import io
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from server.demo.running import Child, into_head
from server.demo.world import World

ACCOUNTS = tuple(f"account-{number}" for number in range(1, 8))
CRASHES = 7  # times that somebody asks for an old record
NOISE = 20  # events that nobody has to act on

_SCANNED = (
    "/wp-login.php",
    "/.env",
    "/.git/config",
    "/xmlrpc.php",
    "/phpmyadmin/index.php",
    "/vendor/phpunit/eval.php",
)
_STRAYED = ("/favicon.ico", "/robots.txt")
_SCANNER = "Mozilla/5.0 zgrab/0.x"
_SECONDS = 30.0


@dataclass(frozen=True)
class Sent:
    """What was sent, and what the people saw: requests that were answered well, crashes, noise."""

    good: int
    crashes: int
    noise: int


def deploy(world: World, container: Path) -> dict[str, str]:
    """Lay the running release out as in a container: the application in `app`, the library among the
    installed packages. Returns the environment in which it runs."""
    app, packages = container / "app", container / "python" / "site-packages"
    app.mkdir(parents=True)
    packages.mkdir(parents=True)
    plan = world.plan
    _export(world, plan.service, app)
    library = container / "build"
    library.mkdir()
    _export(world, plan.library, library)
    shutil.copytree(library / "src" / plan.library, packages / plan.library)
    shutil.rmtree(library)
    return {
        "PYTHONPATH": f"{app}:{packages}",
        "PATH": "/usr/bin:/bin",
        "RELEASE": world.running.version,
        "ENVIRONMENT": "production",
    }


def send(world: World, container: Path, env: Mapping[str, str], logs: Path) -> Sent:
    """Run the service on the DSN in `env`, send everything, and end it: then all is reported."""
    app = container / "app"
    service = world.plan.service

    def argv(module: str) -> list[str]:
        return [sys.executable, "-m", f"{service}.{module}"]

    def start(module: str) -> Child:
        return Child(f"{service}.{module}", argv(module), cwd=app, env=env, log=logs / f"{module}.log")

    with start("run") as running, start("worker") as worker:
        port = int(running.line())
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_SECONDS, trust_env=False) as client:
            good = _people(world, client)
            crashes = _break(world, client)
            noise = _scanners(client) + _mistakes(world, client)
        noise += _hang_up_early(world, port)
        worker.line()
        worker.stop(signal.SIGINT)
        into_head(argv("export"), cwd=app, env=env, log=logs / "export.log", within=_SECONDS)
    return Sent(good, crashes, noise + 2)


def _export(world: World, repo: str, to: Path) -> None:
    commit = world.running.commits[repo]
    tree = subprocess.run(
        ["git", "archive", "--format=zip", commit],
        cwd=world.repositories[repo],
        capture_output=True,
        check=True,
        timeout=60,
    )
    with zipfile.ZipFile(io.BytesIO(tree.stdout)) as archive:  # tarfile has no filters before Python 3.11.4
        archive.extractall(to)


def _people(world: World, client: httpx.Client) -> int:
    """What works, for everybody: the list, and records that have the new field."""
    plan = world.plan
    paths = [f"/{plan.plural}", *(f"/{plan.plural}/{plan.record_id(i)}/{plan.view}" for i in (2, 3, 4))]
    answers = [client.get(path, headers={"X-Account": account}) for path in paths for account in ACCOUNTS[:3]]
    return sum(answer.status_code == 200 for answer in answers)


def _break(world: World, client: httpx.Client) -> int:
    """An old record, asked for by several people."""
    plan = world.plan
    path = f"/{plan.plural}/{plan.record_id(1)}/{plan.view}"
    answers = [client.get(path, headers={"X-Account": account}) for account in ACCOUNTS[:CRASHES]]
    return sum(answer.status_code == 500 for answer in answers)


def _scanners(client: httpx.Client) -> int:
    """Scanners, and health probes of an address that never was."""
    answers = [client.get(path, headers={"User-Agent": _SCANNER}) for path in _SCANNED]
    answers += [client.get(path, headers={"User-Agent": "kube-probe/1.29"}) for path in ("/healthz", "/ping")]
    return sum(answer.status_code == 404 for answer in answers)


def _mistakes(world: World, client: httpx.Client) -> int:
    """Callers who ask for what is not there, in the wrong way, or with a body that is refused."""
    plan = world.plan
    records = f"/{plan.plural}"
    unknown = [f"{records}/{plan.noun[0]}-9{i}/{plan.view}" for i in range(2)]
    json = {"Content-Type": "application/json"}
    answers = [client.get(path) for path in (*_STRAYED, *unknown)]
    answers += [client.delete(records), client.put(records)]
    answers += [
        client.post(records, content=body, headers=json) for body in (b"{'created': 1}", b'{"created": ')
    ]
    answers += [client.post(records, json=[])]
    return sum(answer.status_code in (400, 404, 405, 422) for answer in answers)


def _hang_up_early(world: World, port: int) -> int:
    """A client that announces a body and goes away in the middle of it. It listens on until the service has noticed:
    else the service may be told to end before, and nobody hears of it."""
    head = (
        f"POST /{world.plan.plural} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        'Content-Length: 4096\r\n\r\n{"created": "20'
    )
    with socket.create_connection(("127.0.0.1", port), timeout=_SECONDS) as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    return 1
