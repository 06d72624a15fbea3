"""The real Prometheus (Debian's package `prometheus`, or the program that NIGHTDESK_TEST_PROMETHEUS names)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import httpx
import pytest

from server.house import House
from tests.clients.test_alertmanager import PATIENCE, ready, wait_for
from tests.journeys.mcp_samples import event
from tests.journeys.test_ingest_http import serving


def program(name: str) -> str:
    """One of its programs, which lie beside each other; skips where it is not here."""
    named = os.environ.get("NIGHTDESK_TEST_PROMETHEUS")
    found = shutil.which(name, path=str(Path(named).parent) if named else None)
    if found is None:
        pytest.skip("no Prometheus here: install Debian's prometheus, or set NIGHTDESK_TEST_PROMETHEUS")
    return found


def asked(address: str, query: str) -> dict[str, str]:
    """The answer to an instant query: values by their lane, or by ""."""
    with urlopen(f"{address}/api/v1/query?{urlencode({'query': query})}", timeout=10) as answer:  # noqa: S310
        found = json.load(answer)["data"]["result"]
    return {one["metric"].get("lane", ""): one["value"][1] for one in found}


def test_the_real_prometheus_scrapes_what_we_count_and_its_linter_has_no_complaint(
    house: House, tmp_path: Path
) -> None:
    prometheus, promtool = program("prometheus"), program("promtool")
    house.receive([event(1)])
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with serving(house) as (ours, _), (tmp_path / "log").open("wb") as log:
        text = httpx.get(f"http://{ours}/metrics", timeout=PATIENCE).text
        linted = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=PATIENCE, check=False
        )  # fmt: skip
        assert (linted.returncode, linted.stderr) == (0, "")
        job = {"job_name": "nightdesk", "scrape_interval": "1s", "static_configs": [{"targets": [ours]}]}
        (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": [job]}))  # JSON is YAML
        command = [prometheus, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/kept",
                   f"--web.listen-address={address}"]  # fmt: skip
        with subprocess.Popen(command, stdout=log, stderr=log) as running:
            try:
                wait_for(lambda: ready(f"http://{address}"), lambda: (tmp_path / "log").read_text())
                scraped = f"http://{address}"
                wait_for(lambda: asked(scraped, "nightdesk_events_total") == {"": "1"}, lambda: text)
                assert asked(scraped, "up") == {"": "1"}
                assert sum(int(each) for each in asked(scraped, "nightdesk_incidents").values()) == 1
            finally:
                running.terminate()
                running.wait(timeout=PATIENCE)


def test_the_rules_that_operators_are_given_are_taken_and_ask_for_what_we_count(tmp_path: Path) -> None:
    promtool = program("promtool")
    guide = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "operating.md").read_text()
    (tmp_path / "rules.yml").write_text(guide.partition("```yaml\n")[2].partition("```")[0])
    checked = subprocess.run(
        [promtool, "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert "4 rules found" in checked.stdout
