"""A server that is told to end does not wait for pages that are open in a browser."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

NIGHTDESK = str(Path(sys.executable).with_name("nightdesk"))
PATIENCE = 120  # seconds
GRACE = 10  # seconds for which `serve` would wait


@pytest.mark.heavy
def test_the_stream_of_a_page_ends_at_once_when_the_server_is_told_to_end(tmp_path: Path) -> None:
    command = [NIGHTDESK, "serve", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        watch = threading.Timer(PATIENCE, server.kill)
        watch.start()
        try:
            assert server.stdout is not None
            page = next(line.split()[-1] for line in server.stdout if line.startswith("Page"))
            with httpx.stream("GET", f"{page}live", timeout=PATIENCE) as stream:
                lines = stream.iter_lines()
                assert next(lines) == "retry: 1000"
                server.send_signal(signal.SIGTERM)
                told = time.monotonic()
                assert list(lines) in ([], [""])
                assert time.monotonic() - told < GRACE / 2
            assert server.wait(timeout=PATIENCE) in (0, -signal.SIGTERM)
        finally:
            watch.cancel()
            server.kill()
            _, complaints = server.communicate(timeout=60)
    assert complaints == ""
