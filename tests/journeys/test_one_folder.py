"""Server, an assistant's stdio server and the command line on one folder at once: all that was said is there."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from anyio import to_thread
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from server.config import load
from server.house import House
from store import queries

NIGHTDESK = str(Path(sys.executable).with_name("nightdesk"))
EACH = 60  # events by each of two doors, and words of the assistant
PATIENCE = 240  # seconds


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def crash(number: int, door: str) -> dict[str, str]:
    trace = f'Traceback (most recent call last):\n  File "/app/{door}.py", line 2, in f\n    x\nKeyError: {number}\n'
    return {"traceback": trace, "release": "1"}


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """The DSN of a server in a process of its own."""
    command = [NIGHTDESK, "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        watch = threading.Timer(PATIENCE, server.kill)
        watch.start()
        try:
            assert server.stdout is not None
            yield server.stdout.readline().split()[-1]
        finally:
            watch.cancel()
            server.terminate()
            _, complaints = server.communicate(timeout=60)
    assert complaints == ""


def send(dsn: str) -> None:
    """Events over HTTP, each answered before the next."""
    address, key = httpx.URL(dsn), httpx.URL(dsn).username
    with httpx.Client(base_url=f"http://{address.host}:{address.port}", timeout=60) as client:
        for number in range(EACH):
            answer = client.post(
                "/ingest/default", json=crash(number, "web"), headers={"Authorization": f"Bearer {key}"}
            )
            assert answer.status_code == 200, answer.text


def ingest(data: Path, door: str, events: int) -> None:
    """So many events from standard input, twenty at a time."""
    for start in range(0, events, 20):
        numbers = range(start, min(start + 20, events))
        lines = "\n".join(json.dumps(crash(number, door)) for number in numbers)
        done = subprocess.run(
            [NIGHTDESK, "ingest", "-", "--data", str(data)], input=lines, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


async def talk(data: Path, log: Path) -> int:
    """An assistant that claims, and lets go of, the first incident again and again; the number of times."""
    parameters = StdioServerParameters(
        command=NIGHTDESK, args=["mcp", "--data", str(data)], env={"PYTHONPATH": ""}
    )
    with anyio.fail_after(PATIENCE), log.open("w") as errors:
        async with Client(stdio_client(parameters, errlog=errors)) as client:
            for number in range(EACH):
                said = {"id": "INC-1", "state": ("claimed", "released")[number % 2]}
                answer = await client.call_tool("set_state", said)
                assert not answer.is_error, answer.content
    return EACH


@pytest.mark.heavy
@pytest.mark.anyio
@pytest.mark.slow
async def test_three_processes_write_to_one_folder_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await to_thread.run_sync(ingest, data, "first", 1)
    with serving(data) as dsn:
        async with anyio.create_task_group() as together:
            together.start_soon(to_thread.run_sync, send, dsn)
            together.start_soon(to_thread.run_sync, ingest, data, "cli", EACH)
            together.start_soon(talk, data, tmp_path / "log")
    with House.open(load(data, {})) as house:
        incidents = queries.incidents(house.database)
        kept = [one.event_id for each in incidents for one in queries.occurrences(house.database, each.id)]
        assert sum(each.event_count for each in incidents) == 2 * EACH + 1
        assert len(set(kept)) == 2 * EACH + 1
        said = [act for act in queries.acts(house.database, "INC-1") if "claim" in str(act)]
        assert len(said) == EACH
    assert (tmp_path / "log").read_text() == ""
