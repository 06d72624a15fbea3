"""Codex's own MCP client, through its app server and without a model: list, call, read; and the plug-in."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from server.house import House
from tests.clients.desk import PATIENCE, opened, run
from tests.journeys.mcp_workers import two_workers

PLUGIN = Path(__file__).resolve().parents[2] / "clients" / "assistants"
CONFIG = """
model_provider = "dead"
mcp_oauth_credentials_store = "file"
[model_providers.dead]
name = "dead"
base_url = "http://127.0.0.1:9/v1"
[mcp_servers.nightdesk]
url = "{url}"
bearer_token_env_var = "NIGHTDESK_TOKEN"
"""


class AppServer:
    """JSON-RPC with `codex app-server`, one call at a time; what it asks or tells meanwhile is passed over."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._number = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            self._said.put(json.loads(line))

    def tell(self, message: dict[str, Any]) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(message) + "\n")
        self._server.stdin.flush()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a call, or its error."""
        self._number += 1
        self.tell({"id": self._number, "method": method, "params": params})
        until = monotonic() + PATIENCE
        while monotonic() < until:
            message = self._said.get(timeout=PATIENCE)
            if message.get("id") == self._number and "method" not in message:
                return dict(message.get("result") or message)
        raise TimeoutError(method)


@contextmanager
def app_server(argv: Sequence[str], environment: dict[str, str], folder: Path) -> Iterator[AppServer]:
    with subprocess.Popen(
        [*argv, "app-server"], env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as started:  # fmt: skip
        try:
            server = AppServer(started)
            client = {"name": "acceptance", "title": "acceptance", "version": "0"}
            server.call("initialize", clientInfo=client, capabilities={"experimentalApi": True})
            server.tell({"method": "initialized"})
            yield server
        finally:
            started.terminate()


@pytest.mark.slow
def test_codex_lists_calls_and_reads(
    house: House, codex: list[str], client_environment: dict[str, str], tmp_path: Path
) -> None:
    with opened(house) as desk:
        Path(client_environment["CODEX_HOME"], "config.toml").write_text(CONFIG.format(url=desk.url))
        environment = {**client_environment, "NIGHTDESK_TOKEN": desk.token}
        with app_server(codex, environment, tmp_path) as server:
            (status,) = server.call("mcpServerStatus/list")["data"]
            thread = server.call("thread/start", cwd=str(tmp_path))["thread"]["id"]

            def tool(name: str, **arguments: Any) -> dict[str, Any]:
                return server.call(
                    "mcpServer/tool/call", threadId=thread, server="nightdesk", tool=name, arguments=arguments
                )

            listed, shown = tool("list_incidents", lane="all"), tool("get_incident", ref="INC-1")
            unknown = tool("get_incident", ref="INC-99")
            read = server.call(
                "mcpServer/resource/read", threadId=thread, server="nightdesk", uri="incident://INC-1"
            )
    assert len(status["tools"]) == 10
    assert [each["uri"] for each in status["resources"]] == ["incident://INC-2", "incident://INC-1"]
    assert [each["uriTemplate"] for each in status["resourceTemplates"]] == ["incident://{id}"]
    assert {row["id"] for row in listed["structuredContent"]["incidents"]} == {"INC-1", "INC-2"}
    assert shown["content"][0]["text"].startswith("# INC-1\n")
    assert "structuredContent" not in shown
    assert unknown["isError"] is True
    assert "There is no incident with this id" in unknown["content"][0]["text"]
    assert read["contents"][0]["text"].startswith("# INC-1\n")


@pytest.mark.slow
def test_codex_is_answered_by_two_processes_behind_one_address(
    codex: list[str], client_environment: dict[str, str], tmp_path: Path
) -> None:
    with two_workers(tmp_path) as (address, token):
        Path(client_environment["CODEX_HOME"], "config.toml").write_text(CONFIG.format(url=f"{address}/mcp"))
        with app_server(codex, {**client_environment, "NIGHTDESK_TOKEN": token}, tmp_path) as server:
            thread = server.call("thread/start", cwd=str(tmp_path))["thread"]["id"]
            for _ in range(6):
                shown = server.call(
                    "mcpServer/tool/call", threadId=thread, server="nightdesk", tool="get_incident",
                    arguments={"ref": "INC-1"},
                )  # fmt: skip
                assert shown["content"][0]["text"].startswith("# INC-1\n")


def test_codex_installs_the_same_plug_in(
    codex: list[str], client_environment: dict[str, str], tmp_path: Path
) -> None:
    for words in (["marketplace", "add", str(PLUGIN)], ["add", "nightdesk@nightdesk"]):
        done = run([*codex, "plugin", *words], client_environment, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    listed = run([*codex, "plugin", "list"], client_environment, tmp_path)
    assert "installed, enabled" in listed.stdout
