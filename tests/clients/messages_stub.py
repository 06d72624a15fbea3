"""A loopback stand-in for the Messages API: replays a plan of tool calls and remembers what a model would have seen."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Call = tuple[str, dict[str, Any]]  # tool, arguments


class Stub:
    """`seen` are the requests in the order in which they came."""

    def __init__(self, plan: Sequence[Call]) -> None:
        self.plan = list(plan)
        self.seen: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    def next_block(self, request: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """What the stand-in says to a request: the next tool call, else that it is done."""
        with self.lock:
            self.seen.append(request)
            if request.get("tools") and self.plan:
                name, arguments = self.plan.pop(0)
                call = {
                    "type": "tool_use",
                    "id": f"toolu_{len(self.plan):04d}",
                    "name": name,
                    "input": arguments,
                }
                return call, "tool_use"
        return {"type": "text", "text": "stub done"}, "end_turn"

    def tool_results(self) -> list[str]:
        """The text of every tool's result as the client shows it to its model, each once."""
        found: dict[str, str] = {}
        for request in self.seen:
            for message in request.get("messages", []):
                for block in message["content"] if isinstance(message["content"], list) else []:
                    if block.get("type") == "tool_result":
                        found[block["tool_use_id"]] = json.dumps(block["content"], ensure_ascii=False)
        return list(found.values())

    def tool_names(self) -> set[str]:
        """The tools that were loaded for the model at the first turn with tools."""
        first = next((request["tools"] for request in self.seen if request.get("tools")), [])
        return {tool["name"] for tool in first if "name" in tool}

    def words(self) -> str:
        """Everything that was said to the model."""
        return json.dumps([request.get("messages") for request in self.seen], ensure_ascii=False)


@contextmanager
def stub(plan: Sequence[Call]) -> Iterator[tuple[str, Stub]]:
    """The address of a stand-in that follows a plan, and what it remembers."""
    kept = Stub(plan)
    handler = type("Handler", (_Handler,), {"kept": kept})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kept: Stub

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b'{"data": []}')

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
        if "count_tokens" in self.path:
            return self._answer(b'{"input_tokens": 10}')
        if "/messages" not in self.path:
            return self._answer(b"{}")
        block, stop = self.kept.next_block(request)
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": request.get("model", "x"),
            "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1},
        }  # fmt: skip
        if not request.get("stream"):
            return self._answer(json.dumps({**message, "content": [block], "stop_reason": stop}).encode())
        events = _events({**message, "content": [], "stop_reason": None}, block, stop)
        body = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)
        return self._answer(body.encode(), "text/event-stream")

    def _answer(self, body: bytes, kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _events(message: dict[str, Any], block: dict[str, Any], stop: str) -> Iterator[dict[str, Any]]:
    """One answer as the stream of events that the API sends."""
    yield {"type": "message_start", "message": message}
    if block["type"] == "text":
        empty, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None},
        "usage": {"output_tokens": 5},
    }  # fmt: skip
    yield {"type": "message_stop"}
