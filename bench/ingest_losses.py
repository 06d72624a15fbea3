"""Servers that are killed, full, or lied to about the time, while they are sent events: is what they answered for there?

    python -m bench.ingest_losses [--trouble kill …] [--times 50] [--seed 7]

`kill` ends the server with SIGKILL at a random moment of a load; `two workers` does the same to a server of two processes,
or to one of them; `full` gives it a disk that ends after some megabytes (a limit on the size of its files); `clock` moves its
clock an hour ahead, an hour back, and home. Senders send again what was not answered with 200, under the same id, as SDKs
do. After each round every id that was answered with 200 has to be in the database, none twice, and the incidents have to
count as many events as there are. Exits with 1 where that does not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from bench.ingest_load import bodies
from bench.ingest_peers import ROOT, clean_environment, free_port, sentry_headers

SENDERS = 8
PATIENCE = 120.0  # seconds for a server to come up
ROOM = 3 << 20  # bytes that a file of a full disk can have
LOAD = (0.2, 1.5)  # seconds of load before a kill


@dataclass
class Sending:
    """What was sent: what was answered with 200, what has to be sent again, which answers there were."""

    again: deque[tuple[str, bytes]] = field(default_factory=deque)
    answered: set[str] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)


class Load:
    """Senders that go on until the block ends, over connections that are kept open."""

    def __init__(self, port: int, key: str, sending: Sending) -> None:
        self._port, self._headers, self._sending = port, sentry_headers(key), sending
        self._fresh = iter(())
        self._taking = threading.Lock()

    def __enter__(self) -> Load:
        self._sending.over.clear()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sending.over.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def _next(self) -> tuple[str, bytes]:
        with self._taking:
            if self._sending.again:
                return self._sending.again.popleft()
            found = next(self._fresh, None)
            if found is None:
                self._fresh = iter(bodies("free text", 100))
                found = next(self._fresh)
            return found

    def _send(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._sending.over.is_set():
            event_id, body = self._next()
            try:
                connection.request("POST", "/api/1/envelope/", body, self._headers)
                answer = connection.getresponse()
                answer.read()
                status = str(answer.status)
            except (OSError, HTTPException) as error:
                connection.close()
                status = type(error).__name__
            self._sending.statuses[status] += 1
            if status == "200":
                self._sending.answered.add(event_id)
            else:
                self._sending.again.append((event_id, body))
                self._sending.over.wait(0.05)
        connection.close()


@contextmanager
def serving(
    folder: Path, *, workers: int = 1, room: int | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server on a data folder in a group of its own, once it answers; it is killed afterwards. `room`: bytes beyond
    which none of its files grows. SIGUSR1 moves its clock."""
    port = free_port()
    command = [sys.executable, "-m", "bench.jumping_server", "serve", "--port", str(port), "--workers", str(workers),
               "--data", str(folder)]  # fmt: skip
    limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))) if room else None
    with (folder.parent / "log").open("ab") as log:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment() | {"PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=limit,
        )
        try:
            _wait_for(server, port)
            yield server, port
        finally:
            kill(server)


def kill(server: subprocess.Popen[bytes]) -> None:
    """End all processes of a server without a warning."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait(timeout=60)


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        with suppress(OSError, HTTPException), closing(connection):
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise SystemExit("the server does not come up")


def wrong(folder: Path, answered: set[str]) -> list[str]:
    """What is not as promised, in words; empty where all is."""
    with closing(sqlite3.connect(folder / "nightdesk.sqlite", timeout=30)) as connection:
        kept = Counter(row[0] for row in connection.execute("select event_id from events"))
        counted = connection.execute("select coalesce(sum(event_count), 0) from incidents").fetchone()[0]
        sound = connection.execute("pragma quick_check").fetchone()[0]
    found = []
    if lost := answered - set(kept):
        found.append(f"{len(lost)} answered with 200 and not kept")
    if twice := [name for name, count in kept.items() if count > 1]:
        found.append(f"{len(twice)} kept twice")
    if counted != kept.total():
        found.append(f"incidents count {counted} events, there are {kept.total()}")
    if sound != "ok":
        found.append(f"the database says {sound}")
    return found


def key_of(folder: Path) -> str:
    """The key of the project that is there from the start."""
    with closing(sqlite3.connect(folder / "nightdesk.sqlite", timeout=30)) as connection:
        return str(connection.execute("select key from keys").fetchone()[0])


def killed(folder: Path, sending: Sending, chance: random.Random, workers: int = 1) -> None:
    """One kill at a random moment of a load: of all, or of one of several workers."""
    with serving(folder, workers=workers) as (server, port), Load(port, key_of(folder), sending):
        _until_answers(sending)
        sending.over.wait(chance.uniform(*LOAD))
        children = _children(server.pid)
        if workers > 1 and children and chance.random() < 0.5:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(children), signal.SIGKILL)
            sending.over.wait(1.0)
        kill(server)


def filled(folder: Path, sending: Sending, chance: random.Random) -> None:
    """A disk that is full after some megabytes, then one with room again."""
    size = max((path.stat().st_size for path in folder.glob("nightdesk.sqlite*")), default=0)
    before = sending.statuses["200"]
    with serving(folder, room=size + ROOM) as (_, port), Load(port, key_of(folder), sending):
        until = time.monotonic() + PATIENCE
        while sending.statuses.total() - sending.statuses["200"] < 20 and time.monotonic() < until:
            sending.over.wait(0.1)
    if sending.statuses["200"] == before:
        print("nothing was taken before the disk was full")
    with serving(folder) as (_, port), Load(port, key_of(folder), sending):
        _until_answers(sending)


def shifted(folder: Path, sending: Sending, chance: random.Random) -> None:
    """Three jumps of the clock during a load."""
    with serving(folder) as (server, port), Load(port, key_of(folder), sending):
        for _ in range(3):
            _until_answers(sending)
            server.send_signal(signal.SIGUSR1)
        _until_answers(sending)


def _until_answers(sending: Sending) -> None:
    """Wait for some more answers of 200."""
    wanted, until = len(sending.answered) + 10, time.monotonic() + PATIENCE
    while len(sending.answered) < wanted and time.monotonic() < until:
        sending.over.wait(0.02)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


Trouble = Callable[[Path, Sending, random.Random], None]
TROUBLES: dict[str, Trouble] = {
    "kill": killed,
    "two workers": lambda folder, sending, chance: killed(folder, sending, chance, workers=2),
    "full": filled,
    "clock": shifted,
}


def troubled(name: str, times: int, seed: int = 7) -> tuple[Sending, list[str]]:
    """Have a trouble so many times on one data folder: what was sent, and what was found wrong."""
    chance, sending, found = random.Random(seed), Sending(), []  # noqa: S311 - the same moments in each run
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "data"
        folder.mkdir()
        with serving(folder):
            pass  # the folder is made, with its key
        for number in range(1, times + 1):
            TROUBLES[name](folder, sending, chance)
            found += [f"after {name} {number}: {each}" for each in wrong(folder, sending.answered)]
    return sending, found


def main() -> int:
    """Have the troubles, and print what came of them."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--trouble", action="append", choices=list(TROUBLES))
    options.add_argument("--times", type=int, default=50)
    options.add_argument("--seed", type=int, default=7)
    given = options.parse_args()
    everything_wrong = []
    for name in given.trouble or TROUBLES:
        sending, found = troubled(name, given.times, given.seed)
        answers = ", ".join(f"{status} × {count}" for status, count in sorted(sending.statuses.items()))
        verdict = "; ".join(found) or "all answered for are there, none twice"
        print(
            f"{name}, {given.times} times: {len(sending.answered)} answered with 200 ({answers}): {verdict}",
            flush=True,
        )
        everything_wrong += found
    return 1 if everything_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
