"""Drilling into Prometheus: the real server where it is installed, its errors on a stand-in everywhere."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from fixloop.drill.prometheus import Prometheus
from fixloop.tools import NoSuch, Tool

BINARY = os.environ.get("NIGHTDESK_TEST_PROMETHEUS") or shutil.which("prometheus")
PATIENCE = 60  # seconds


def tool(address: str, name: str) -> Tool:
    return next(each for each in Prometheus(address).tools() if each.name == name)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server that says one thing, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


SPAN = {"query": "up", "start": "2026-11-20T11:00:00+00:00", "end": "2026-11-20T12:00:00+00:00"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": "yesterday"}, "not an ISO time"), ({"start": "2026-11-20T11:00:00"}, "with a zone"),
        ({"end": SPAN["start"]}, "end after it starts"), ({"query": ""}, "1 to 1000"), ({"query": "x" * 1001}, "1 to 1000"),
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_asked_is_not_asked(change: dict[str, str], said: str) -> None:
    with answering(200, b"{}") as (address, asked), pytest.raises(NoSuch, match=said):
        tool(address, "metric_range").answer({**SPAN, **change})
    assert asked == []


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, b'{"status": "error", "error": "parse error"}', "parse error"), (502, b"<html>", "no answer that can be read"),
        (200, b"[]", "no object"), (200, b"\xff\xfe", "no answer that can be read"),
    ],
)  # fmt: skip
def test_what_the_server_refuses_or_garbles_is_said_and_no_data(status: int, body: bytes, said: str) -> None:
    with answering(status, body) as (address, asked), pytest.raises(NoSuch, match=said):
        tool(address, "metric_range").answer(SPAN)
    assert asked[0].startswith("GET /api/v1/query_range?")


def test_no_series_is_told_from_no_answer() -> None:
    with answering(200, b'{"status": "success", "data": {"result": []}}') as (address, _):
        assert "no data, and no proof" in tool(address, "metric_range").answer(SPAN)


@pytest.mark.heavy
def test_the_real_server_is_asked_for_a_metric_of_its_own(tmp_path: Path) -> None:
    if BINARY is None:
        pytest.skip(
            "prometheus is not installed (Debian's package has it; NIGHTDESK_TEST_PROMETHEUS names it elsewhere)"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    scraped = f"[{{job_name: itself, static_configs: [{{targets: ['{address}']}}]}}]"
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: {scraped}\n"
    )
    words = [
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address={address}",
    ]
    with subprocess.Popen([BINARY, *words], stderr=subprocess.DEVNULL, cwd=tmp_path) as server:
        try:
            said = _until_scraped(f"http://{address}")
            names = tool(f"http://{address}", "metric_names").answer({"contains": "build_info"})
            with pytest.raises(NoSuch, match="parse error"):
                tool(f"http://{address}", "metric_range").answer({**_now(), "query": "rate("})
        finally:
            server.terminate()
            server.wait(timeout=PATIENCE)
    assert 'job="itself"' in said
    assert said.split()[-1].endswith("=1")
    assert "prometheus_build_info" in names


def _now() -> dict[str, str]:
    now = datetime.now(UTC)
    start = now - timedelta(minutes=1)
    return {
        "query": 'up{job="itself"}',
        "start": start.isoformat(),
        "end": (now + timedelta(seconds=2)).isoformat(),
    }


def _until_scraped(address: str) -> str:
    """What it says once it has looked at itself; bounded."""
    ends, pause = time.monotonic() + PATIENCE, threading.Event()
    while True:
        try:
            said = tool(address, "metric_range").answer(_now())
            if "=1" in said:
                return said
        except (NoSuch, httpx.HTTPError):
            said = "it does not answer"
        assert time.monotonic() < ends, said
        pause.wait(0.3)
