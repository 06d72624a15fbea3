"""`serve`, `worker` and `mcp` on PostgreSQL, as typed: a crash comes in over HTTP, is triaged, and an assistant reads it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.journeys import test_ingest_http as wire
from tests.journeys.mcp_client import answer
from tests.journeys.test_operator import served

PATIENCE = 240.0  # seconds that anything here may take
NIGHTDESK = str(Path(sys.executable).with_name("nightdesk"))

pytestmark = pytest.mark.heavy


@pytest.fixture
def environ(postgres_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTDESK_")}
    return {**kept, "NIGHTDESK_DATABASE": postgres_url}


async def told(data: Path, environ: dict[str, str]) -> tuple[str, str]:
    """What an assistant is told of the incidents, by a server that it starts itself."""
    parameters = StdioServerParameters(command=NIGHTDESK, args=["mcp", "--data", str(data)], env=environ)
    async with Client(stdio_client(parameters)) as client:
        return await answer(client, "list_incidents"), await answer(client, "get_incident", ref="INC-1")


def test_a_crash_that_a_server_took_is_triaged_by_a_worker_and_read_by_an_assistant_elsewhere(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    with served(Path(NIGHTDESK), tmp_path / "server", environ) as dsn:
        address = urlsplit(dsn)
        place = f"http://{address.hostname}:{address.port}"
        sent = httpx.post(
            f"{place}/api{address.path}/envelope/",
            content=wire.envelope(),
            headers={"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={address.username}"},
            timeout=PATIENCE,
        )
        assert sent.status_code == 200, sent.text
        assert httpx.get(f"{place}/readyz", timeout=PATIENCE).status_code == 200

    worker = [NIGHTDESK, "worker", "--until-idle", "--data", str(tmp_path / "worker")]
    alone = subprocess.run(worker, env=environ, timeout=PATIENCE, capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stderr.count("\n")) == (1, 1)
    assert "copy redaction.key from a host that has it" in alone.stderr
    for host in ("worker", "assistant"):
        (tmp_path / host).mkdir(exist_ok=True)
        shutil.copy(tmp_path / "server" / "redaction.key", tmp_path / host)
    subprocess.run(worker, env=environ, timeout=PATIENCE, check=True)
    listed, shown = anyio.run(told, tmp_path / "assistant", environ)

    assert "INC-1" in listed
    assert wire.EVENT["exception"]["values"][0]["type"] in shown
    assert not list(tmp_path.glob("*/nightdesk.sqlite"))


def test_hosts_with_another_key_of_redaction_are_refused_until_they_have_the_same(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    def typed(host: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [NIGHTDESK, *words, "--data", str(tmp_path / host)]
        return subprocess.run(
            command, env=environ, timeout=PATIENCE, capture_output=True, text=True, check=False
        )

    first = json.loads(typed("one", "redaction-key", "--json").stdout)["name"]
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "redaction.key").write_bytes(bytes(32))
    other = typed("two", "incidents")
    assert (other.returncode, other.stderr.count("\n")) == (1, 1)
    assert f"is written with {first}: copy redaction.key" in other.stderr

    renewed = json.loads(typed("two", "redaction-key", "--new", "--json").stdout)["name"]
    assert renewed != first
    assert typed("two", "incidents").returncode == 0
    assert f"is written with {renewed}" in typed("one", "incidents").stderr
    shutil.copy(tmp_path / "two" / "redaction.key", tmp_path / "one")
    assert typed("one", "incidents").returncode == 0
