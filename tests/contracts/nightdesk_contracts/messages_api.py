"""A strict stand-in for the Messages API on loopback, which follows a script: `serving(script)`.

Strict: a request that the API would refuse is refused as the API does, one that the script does not expect is an
error, and `finish()` fails where lines of the script were not asked for. Run it by hand:
`python -m nightdesk_contracts.messages_api SCRIPT.json` (a list of objects with the fields of `Turn` or `Failure`).
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from .messages_rules import LARGEST, faults

STOPS = (
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
)


@dataclass(frozen=True)
class Turn:
    """One answer. `usage` adds to what is counted by itself; `dropped`: a stream breaks off in its middle."""

    content: Sequence[Mapping[str, Any]]
    stop_reason: str = "end_turn"
    usage: Mapping[str, int] = field(default_factory=dict)
    stop_details: Mapping[str, Any] | None = None
    dropped: bool = False


@dataclass(frozen=True)
class Failure:
    """An error as the API words it. `retry_after` in seconds; `hang_up`: the connection is closed without an answer."""

    status: int = 529
    kind: str = "overloaded_error"
    message: str = "Overloaded"
    retry_after: str | None = None
    hang_up: bool = False


Line = Turn | Failure | Callable[[dict[str, Any]], "Turn | Failure"]


def text(said: str, stop_reason: str = "end_turn") -> Turn:
    """An answer of one text."""
    return Turn(({"type": "text", "text": said},), stop_reason)


_numbers = count(1)


def call(tool: str, /, **arguments: Any) -> dict[str, Any]:
    """A tool call, with an id of its own."""
    return {"type": "tool_use", "id": f"toolu_{next(_numbers):06d}", "name": tool, "input": arguments}


def calls(*blocks: Mapping[str, Any]) -> Turn:
    """An answer that stops for its calls."""
    return Turn(blocks, "tool_use")


@dataclass
class MessagesApi:
    """`requests` are the bodies that were taken, in order; `faults` what was wrong with those that were not."""

    script: list[Line]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # whatever else was asked for: method and path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, raw: bytes) -> Turn | Failure:
        """What the script says to a request."""
        with self._lock:
            if len(raw) > LARGEST:
                return Failure(
                    413, "request_too_large", "Request exceeds the maximum allowed number of bytes"
                )
            try:
                body = json.loads(raw)
            except ValueError:
                self.faults.append("the body is not JSON")
                return Failure(400, "invalid_request_error", "the body is not JSON")
            wrong = list(faults(body))
            if wrong:
                self.faults += wrong
                return Failure(400, "invalid_request_error", wrong[0])
            self.requests.append(body)
            self.raw.append(raw)
            if not self.script:
                self.faults.append("a request that the script does not expect")
                return Failure(400, "invalid_request_error", "the script has ended")
            line = self.script.pop(0)
            return line(body) if callable(line) else line

    def finish(self) -> None:
        """Raise AssertionError where the session was another than the script tells."""
        assert self.faults == [], self.faults
        assert self.script == [], f"{len(self.script)} line(s) of the script were not asked for"
        assert self.others == [], self.others


@contextmanager
def serving(script: Sequence[Line], port: int = 0) -> Iterator[MessagesApi]:
    """The stand-in at work; its address is `url`, for ANTHROPIC_BASE_URL."""
    api = MessagesApi(list(script))
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"api": api}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: MessagesApi

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path.startswith("/v1/models"):
            return self._json(
                200, {"data": [{"type": "model", "id": "claude-scripted", "display_name": "Scripted"}]}
            )
        self.api.others.append(f"GET {self.path}")
        return self._json(
            404, {"type": "error", "error": {"type": "not_found_error", "message": "Not found"}}
        )

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.partition("?")[0] == "/v1/messages/count_tokens":
            return self._json(200, {"input_tokens": len(raw) // 4})
        if self.path.partition("?")[0] != "/v1/messages":
            self.api.others.append(f"POST {self.path}")
            return self._json(
                404, {"type": "error", "error": {"type": "not_found_error", "message": "Not found"}}
            )
        if not (self.headers.get("x-api-key") or self.headers.get("authorization", "").startswith("Bearer ")):
            return self._fail(Failure(401, "authentication_error", "a key is required"))
        if not self.headers.get("anthropic-version"):
            return self._fail(Failure(400, "invalid_request_error", "anthropic-version: header is required"))
        line = self.api.answer(raw)
        if isinstance(line, Failure):
            return self._fail(line)
        message = _message(line, json.loads(raw), len(raw))
        if json.loads(raw).get("stream"):
            return self._stream(message, line)
        return self._json(200, message)

    def _fail(self, failure: Failure) -> None:
        if failure.hang_up:
            self.close_connection = True
            return
        headers = {"retry-after": failure.retry_after} if failure.retry_after else {}
        error = {"type": failure.kind, "message": failure.message}
        self._json(failure.status, {"type": "error", "error": error, "request_id": "req_scripted"}, headers)

    def _json(self, status: int, value: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, said in {
            "content-type": "application/json",
            "content-length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, said)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, message: dict[str, Any], turn: Turn) -> None:
        events = list(stream_events(message))
        body = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode()
        kept = body[: len(body) // 2] if turn.dropped else body
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(kept)
        self.close_connection = True


def _message(turn: Turn, body: Mapping[str, Any], size: int) -> dict[str, Any]:
    assert turn.stop_reason in STOPS, turn.stop_reason
    content = [dict(block) for block in turn.content]
    if turn.stop_reason == "max_tokens":  # a call that was cut arrives without its arguments
        content = [{**block, "input": {}} if block.get("type") == "tool_use" else block for block in content]
    usage = {
        "input_tokens": max(1, size // 4), "output_tokens": max(1, len(json.dumps(content)) // 4),
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, **turn.usage,
    }  # fmt: skip
    return {
        "id": f"msg_{next(_numbers):06d}", "type": "message", "role": "assistant", "model": body["model"],
        "content": content, "stop_reason": turn.stop_reason, "stop_sequence": None, "stop_details": turn.stop_details,
        "usage": usage,
    }  # fmt: skip


def stream_events(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A message in the order in which the API streams it: a ping, and arguments in pieces."""
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            whole = json.dumps(block["input"])
            half = len(whole) // 2
            empty: dict[str, Any] = {**block, "input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": part} for part in (whole[:half], whole[half:])
            ]
        else:
            empty, deltas = (
                {"type": "text", "text": ""},
                [{"type": "text_delta", "text": block.get("text", "")}],
            )
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": message["usage"]}
    yield {"type": "message_stop"}


def _line(value: Mapping[str, Any]) -> Turn | Failure:
    return Failure(**value) if "status" in value or "hang_up" in value else Turn(**value)


def main(arguments: Sequence[str]) -> int:
    """Serve a script until it is stopped; then say what was left or wrong."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m nightdesk_contracts.messages_api SCRIPT.json\n")
        return 2
    script: list[Line] = [
        _line(value) for value in json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    ]
    with serving(script) as api:
        sys.stdout.write(f"export ANTHROPIC_API_KEY=scripted ANTHROPIC_BASE_URL={api.url}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.stderr.write(f"{len(api.script)} line(s) left; {api.faults or 'nothing wrong'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
