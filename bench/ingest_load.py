"""The events of `bench.ingest`, and what sends them: a process of its own that speaks bare HTTP/1.1.

An event is a captured crash of a Flask application (11 KB: request, breadcrumbs, locals, modules), in which the mix
says what crashed and where, and in which ids, times, the user, the address, a local of each own frame and the span
differ from event to event, as they do in production.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import pickle
import time
import uuid
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.grouping_mixes import events as labelled

ROOT = Path(__file__).resolve().parents[1]
CAPTURE = ROOT / "tests" / "corpus" / "wire" / "py-flask.envelope"
WANTED = {"storm": 1, "texts": 500, "places": 500, "free text": 50}
TITLES = {
    "storm": "storm of one error",
    "texts": "500 errors (texts without a stack)",
    "places": "same text in 500 places",
    "free text": "free text in 50 places",
}


@dataclass(frozen=True)
class Sent:
    """What came back: seconds from the first byte to the last answer, each answer's seconds, and the statuses."""

    seconds: float
    latencies: list[float]
    statuses: dict[int, int]


def captured() -> dict[str, Any]:
    """The event of the capture."""
    found: dict[str, Any] = json.loads(CAPTURE.read_bytes().split(b"\n")[2])
    return found


def bodies(mix: str, count: int) -> list[tuple[str, bytes]]:
    """`count` envelopes of a mix, gzipped as the SDK does: (event id, body). Each call gives other ids."""
    parts = [part for name, _, part in labelled() if name == mix]
    base = captured()
    made = []
    for number in range(count):
        event_id = uuid.uuid4().hex
        event = _filled(deepcopy(base), deepcopy(parts[number % len(parts)]), number)
        event |= {"event_id": event_id, "timestamp": time.time()}
        payload = json.dumps(event, separators=(",", ":")).encode()
        head = json.dumps({"event_id": event_id, "sent_at": "2026-11-20T10:00:49.460904Z"}).encode()
        item = json.dumps(
            {"type": "event", "content_type": "application/json", "length": len(payload)}
        ).encode()
        made.append((event_id, gzip.compress(b"\n".join((head, item, payload)) + b"\n", 6)))
    return made


def _filled(event: dict[str, Any], part: dict[str, Any], number: int) -> dict[str, Any]:
    """The captured crash as the one of a mix: its own innermost frame is renamed, and what varies is varied."""
    user = f"{number:05x}"
    event["user"] = {"id": user, "email": f"u{user}@example.com", "ip_address": f"10.1.{number % 250}.7"}
    event["contexts"]["trace"] |= {"trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16]}
    event["request"]["url"] = f"http://localhost/checkout/{number}"
    event["breadcrumbs"]["values"][0]["message"] = f"loaded cart {number}"
    if "message" in part:
        del event["exception"]
        return event | {"logentry": {"formatted": part["message"]}, "level": part["level"]}
    raised = event["exception"]["values"][-1]
    wanted = part["exception"]["values"][-1]
    raised["type"], raised["value"] = wanted["type"], wanted["value"]
    for frame in raised["stacktrace"]["frames"]:
        if frame["in_app"]:
            frame["vars"]["oid"] = str(number)
    raised["stacktrace"]["frames"][-1]["function"] = wanted["stacktrace"]["frames"][-1]["function"]
    return event


async def send(port: int, path: str, headers: dict[str, str], made: list[bytes], connections: int) -> Sent:
    """Post every body once, over so many connections that are kept open."""
    queue = iter(made)
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}".encode()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in queue:
            at = time.perf_counter()
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            status = int(answer[9:12])
            size = next(
                (
                    int(line[15:])
                    for line in answer.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                0,
            )
            await reader.readexactly(size)
            latencies.append(time.perf_counter() - at)
            statuses[status] = statuses.get(status, 0) + 1
            if b"connection: close" in answer.lower():
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return Sent(time.perf_counter() - started, sorted(latencies), statuses)


def main() -> None:
    """Send what a file says (pickled by `bench.ingest`), and print what came back as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("job", type=Path)
    job = pickle.loads(options.parse_args().job.read_bytes())  # noqa: S301 - our own file of a moment ago
    sent = asyncio.run(send(**job))
    print(json.dumps({"seconds": sent.seconds, "latencies": sent.latencies, "statuses": sent.statuses}))


if __name__ == "__main__":
    main()
