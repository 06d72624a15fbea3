"""Claude Code itself, with a stand-in for its model: the prompt, two tool calls, and the plug-in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from server.house import House
from tests.clients.desk import opened, run
from tests.clients.messages_stub import stub
from tests.journeys.mcp_workers import two_workers

PLUGIN = Path(__file__).resolve().parents[2] / "clients" / "assistants"
PLAN = [
    ("mcp__nightdesk__list_incidents", {"lane": "all"}),
    ("mcp__nightdesk__get_incident", {"ref": "INC-1"}),
]
ALLOWED = ",".join(name for name, _ in PLAN)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["http", "stdio"])
def test_the_focus_prompt_and_two_calls_bring_an_incident_before_the_model(
    house: House, claude: list[str], client_environment: dict[str, str], tmp_path: Path, way: str
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("server", "store", "mcp", "typing"):  # whose names are ours, or the standard library's
        (folder / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    with opened(house) as desk, stub(PLAN) as (address, seen):
        token = {"Authorization": f"Bearer {desk.token}"}
        servers = {
            "http": {"type": "http", "url": desk.url, "headers": token},
            "stdio": {
                "type": "stdio", "command": str(Path(sys.executable).with_name("nightdesk")),
                "args": ["mcp", "--data", str(house.config.data)], "env": {"PYTHONPATH": ""},
            },
        }  # fmt: skip
        (folder / "mcp.json").write_text(json.dumps({"mcpServers": {"nightdesk": servers[way]}}))
        model = {"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "stub"}
        asked = ["-p", "/mcp__nightdesk__focus", "--mcp-config", "mcp.json", "--strict-mcp-config"]
        done = run([*claude, *asked, "--allowedTools", ALLOWED], {**client_environment, **model}, folder)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Call list_incidents. Tell me in at most five lines" in seen.words()
    listed, shown = seen.tool_results()
    assert "KeyError: 'carrier'" in listed
    assert "# INC-1" in shown
    assert "**What broke:**" in shown
    assert "mcp__nightdesk__list_incidents" in seen.tool_names()


@pytest.mark.slow
def test_claude_is_answered_by_two_processes_behind_one_address(
    claude: list[str], client_environment: dict[str, str], tmp_path: Path
) -> None:
    plan = [("mcp__nightdesk__get_incident", {"ref": "INC-1"})] * 4
    with two_workers(tmp_path) as (address, token), stub(plan) as (model, seen):
        server = {"type": "http", "url": f"{address}/mcp", "headers": {"Authorization": f"Bearer {token}"}}
        (tmp_path / "mcp.json").write_text(json.dumps({"mcpServers": {"nightdesk": server}}))
        asked = ["-p", "/mcp__nightdesk__focus", "--mcp-config", "mcp.json", "--strict-mcp-config"]
        environment = {**client_environment, "ANTHROPIC_BASE_URL": model, "ANTHROPIC_API_KEY": "stub"}
        done = run([*claude, *asked, "--allowedTools", ALLOWED], environment, tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert len(seen.tool_results()) == len(plan)
    assert all("# INC-1" in result for result in seen.tool_results())


def test_the_plug_in_is_valid_and_installs(
    claude: list[str], client_environment: dict[str, str], tmp_path: Path
) -> None:
    validated = run([*claude, "plugin", "validate", str(PLUGIN), "--strict"], client_environment, tmp_path)
    assert validated.returncode == 0, validated.stdout + validated.stderr
    assert "Validation passed" in validated.stdout + validated.stderr
    for words in (["marketplace", "add", str(PLUGIN)], ["install", "nightdesk@nightdesk"]):
        done = run([*claude, "plugin", *words], client_environment, tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    listed = run([*claude, "plugin", "list"], client_environment, tmp_path)
    assert "nightdesk@nightdesk" in listed.stdout
