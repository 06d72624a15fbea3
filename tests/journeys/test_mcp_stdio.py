"""`nightdesk mcp` as an assistant starts it: a real process, inside a folder that wants to get in its way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import TextContent

from server import detached
from server.config import load
from server.house import House
from store import journal, queries
from store.errors import Unavailable
from store.incident import Step
from store.project import RepositoryConfig
from store.repair import Ended
from tests.journeys import mcp_samples as samples

pytestmark = pytest.mark.anyio
REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds

#: Stands in for `nightdesk repair`: puts an attempt on record, and ends when the file it is told of is there.
REPAIR = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from server.config import load
from server.house import House
from store import journal
from store.incident import Step
from store.repair import Ended
with House.open(load(Path(sys.argv[1]), {})) as house:
    attempt = journal.start_attempt(house.database, sys.argv[2])
    for _ in range(600):
        if Path(sys.argv[3]).exists():
            break
        time.sleep(0.1)
    journal.keep_attempt(house.database, attempt.model_copy(update={"ended": Ended.UNDETERMINED}))
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one incident."""
    folder = tmp_path / "data"
    with House.open(load(folder, {})) as house:
        house.receive([samples.event(1)])
    return folder


@pytest.fixture
def hostile_folder(tmp_path: Path) -> Path:
    """A project that has modules of our names, each of which ends the process that imports it."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("server", "store", "triage", "fixloop"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong module')\n")
    for name in ("mcp.py", "typing.py", "types.py", "anyio.py"):
        (folder / name).write_text("raise SystemExit('the wrong module')\n")
    return folder


def started_by(data: Path, cwd: Path, *options: str) -> StdioServerParameters:
    script = str(Path(sys.executable).with_name("nightdesk"))
    return StdioServerParameters(
        command=script, args=["mcp", "--data", str(data), *options], cwd=cwd, env={"PYTHONPATH": ""}
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_of_either_era_lists_calls_and_reads(
    data: Path, hostile_folder: Path, mode: str
) -> None:
    parameters = started_by(data, hostile_folder)
    with anyio.fail_after(PATIENCE), (hostile_folder / "log").open("w") as log:
        async with Client(stdio_client(parameters, errlog=log), mode=mode) as client:
            assert len((await client.list_tools()).tools) == 10
            listed = await client.call_tool("list_incidents", {"lane": "all"})
            assert listed.structured_content is not None
            assert [row["id"] for row in listed.structured_content["incidents"]] == ["INC-1"]
            shown = await client.call_tool("get_incident", {"ref": "INC-1"})
            assert shown.structured_content is None
            assert isinstance(shown.content[0], TextContent)
            assert shown.content[0].text.startswith("# INC-1\n")
            assert (await client.read_resource("incident://INC-1")).contents


async def test_read_only_over_stdio_has_no_writing_tool(data: Path, tmp_path: Path) -> None:
    with anyio.fail_after(PATIENCE), (tmp_path / "log").open("w") as log:
        async with Client(stdio_client(started_by(data, tmp_path, "--read-only"), errlog=log)) as client:
            assert len((await client.list_tools()).tools) == 6


def test_only_protocol_is_on_standard_output_and_a_bad_setting_is_an_answer(tmp_path: Path) -> None:
    (tmp_path / "nightdesk.toml").write_text("hots = 'x'\n")
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    call = {"name": "list_incidents", "arguments": {}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call},
    ]
    script = str(Path(sys.executable).with_name("nightdesk"))
    argv = [script, "mcp", "--data", str(tmp_path)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("".join(json.dumps(message) + "\n" for message in messages))
        server.stdin.flush()
        answers = [json.loads(server.stdout.readline()) for _ in range(2)]
        rest, _ = server.communicate(timeout=PATIENCE)
    assert [answer["id"] for answer in answers] == [1, 2]
    assert rest == ""
    assert answers[1]["result"]["isError"] is True
    assert "did you mean 'host'" in answers[1]["result"]["content"][0]["text"]


def test_the_example_configuration_names_the_installed_command_and_an_empty_python_path() -> None:
    example = json.loads((REPOSITORY / "mcp.json.example").read_text())
    (server,) = example["mcpServers"].values()
    assert server["env"] == {"PYTHONPATH": ""}
    assert "mcp" in server["args"]
    assert server["command"] == "nightdesk"


# --- repairs that outlive the asker ---------------------------------------------------------------


def stand_in(data: Path, gate: Path) -> list[str]:
    return [sys.executable, "-c", REPAIR, str(data), "INC-1", str(gate)]


def test_a_repair_runs_in_its_own_process_and_a_second_asker_gets_the_same_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    gate = tmp_path / "gate"
    argv = stand_in(data, gate)
    with House.open(load(data, {})) as house, House.open(load(data, {})) as another:
        first = detached.start_repair(house, "INC-1", argv)
        second = detached.start_repair(another, "INC-1", argv)
        assert first.fresh
        assert (second.attempt_id, second.fresh) == (first.attempt_id, False)
        gate.touch()
        lock = data / "running" / "INC-1.lock"
        wait_for_lock(lock)
        assert [attempt.ended for attempt in queries.attempts(house.database, "INC-1")] == [
            Ended.UNDETERMINED
        ]
        third = detached.start_repair(house, "INC-1", argv)
        wait_for_lock(lock)
        assert third.fresh
        assert third.attempt_id != first.attempt_id


def wait_for_lock(path: Path) -> None:
    """Wait until the process that holds a lock has ended; at most for the patience of these tests."""
    subprocess.run(["flock", "--timeout", str(PATIENCE), str(path), "true"], check=True)


def test_a_repair_started_at_a_terminal_is_not_started_again(data: Path) -> None:
    with House.open(load(data, {})) as house:
        running = journal.start_attempt(house.database, "INC-1")
        found = detached.start_repair(house, "INC-1", ["false"])
        assert (found.attempt_id, found.fresh) == (running.id, False)


def test_a_repair_that_does_not_start_says_where_its_log_is(data: Path) -> None:
    with House.open(load(data, {})) as house:
        argv = [sys.executable, "-c", "raise SystemExit('nightdesk: no such thing')"]
        with pytest.raises(Unavailable, match=r"did not start: .*no such thing.*INC-1\.log"):
            detached.start_repair(house, "INC-1", argv)


def test_a_repair_that_is_long_in_preparing_is_named_before_it_has_a_row(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detached, "STARTING", 0.0)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with House.open(load(data, {})) as house:
        argv = ["sh", "-c", 'read line < "$0"', str(gate)]
        first = detached.start_repair(house, "INC-1", argv)
        second = detached.start_repair(house, "INC-1", argv)
        gate.write_text("go\n")
        wait_for_lock(data / "running" / "INC-1.lock")
    assert (first.attempt_id, first.fresh, first.recorded) == ("INC-1-1", True, False)
    assert (second.attempt_id, second.fresh, second.recorded) == ("INC-1-1", False, False)


def add_repository(data: Path, folder: Path) -> None:
    """Give the project a repository that has the code of the event."""
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "rates.py").write_text("\n" * 10 + 'def quote(order):\n    return order["carrier"]\n')
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "rates"]):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)
    with House.open(load(data, {})) as house:
        house.mirrors.add("shop", str(folder))
        journal.add_repository(
            house.database, RepositoryConfig(name="shop", project="default", url=str(folder))
        )
        house.triage_incident("INC-1")


@pytest.mark.slow
async def test_start_repair_over_stdio_outlives_its_client_and_keeps_the_remark(
    data: Path, tmp_path: Path
) -> None:
    await anyio.to_thread.run_sync(add_repository, data, tmp_path / "shop")
    with anyio.fail_after(PATIENCE), (tmp_path / "log").open("w") as log:
        async with Client(stdio_client(started_by(data, tmp_path), errlog=log)) as client:
            told = await client.call_tool("start_repair", {"id": "INC-1", "hypothesis": "a key was\nrenamed"})
    assert told.structured_content is not None
    assert (told.structured_content["run"], told.structured_content["started"]) == ("INC-1-1", True)
    wait_for_lock(data / "running" / "INC-1.lock")
    with House.open(load(data, {})) as house:
        (attempt,) = queries.attempts(house.database, "INC-1")
    remarks: list[Step] = [step for step in attempt.steps if step.name == "remark"]
    assert [step.details for step in remarks] == [{"hypothesis": "a key was renamed"}]
    assert attempt.ended is not None


def test_the_command_of_a_repair_needs_no_folder_of_the_asker(house: House) -> None:
    argv = detached.command(house, "INC-1")
    assert argv[0] == sys.executable
    assert os.path.isabs(argv[2])
    assert argv[-2:] == ["--data", str(house.config.data)]
