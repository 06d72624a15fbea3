"""Codex's own MCP client without a model: `codex app-server`, JSON-RPC in lines."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tests.clients.driving import PATIENCE


class AppServer:
    """A running app server with one thread of conversation."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self._program = subprocess.Popen(
            [*command, "app-server"], env=environment, cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._asked = 0
        threading.Thread(target=self._listen, daemon=True).start()
        client = {"name": "nightdesk_tests", "title": "Nightdesk's tests", "version": "0"}
        self.ask("initialize", {"clientInfo": client, "capabilities": {"experimentalApi": True}})
        self._send({"method": "initialized"})
        self.thread = self.ask("thread/start", {"cwd": str(folder)})["thread"]["id"]

    def __enter__(self) -> AppServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._program.terminate()
        self._program.wait(20)
        for stream in (self._program.stdin, self._program.stdout):
            assert stream is not None
            stream.close()

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        """The result of a call. Fails where there is an error, or none within `PATIENCE`."""
        answer = self.answer(method, params)
        assert "result" in answer, answer
        return answer["result"]

    def answer(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Whatever a call is answered with. What the server itself asks is left unanswered."""
        self._asked += 1
        self._send({"id": self._asked, "method": method, "params": params})
        limit = time.monotonic() + PATIENCE
        while True:
            message = json.loads(self._lines.get(timeout=max(0.1, limit - time.monotonic())))
            if message.get("id") == self._asked and "method" not in message:
                return dict(message)

    def tool(self, server: str, name: str, **arguments: Any) -> Any:
        """What a tool answers, as Codex hands it on."""
        asked = {"threadId": self.thread, "server": server, "tool": name, "arguments": arguments}
        return self.answer("mcpServer/tool/call", asked)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._program.stdin is not None
        self._program.stdin.write(json.dumps(message) + "\n")
        self._program.stdin.flush()

    def _listen(self) -> None:
        assert self._program.stdout is not None
        for line in self._program.stdout:
            if line.startswith("{"):
                self._lines.put(line)
