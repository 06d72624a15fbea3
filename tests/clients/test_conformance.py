"""The conformance suite and the inspector against the product's own server, in both eras of the protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.house import House
from tests.clients.desk import Desk, opened, run

# Those that need no fixtures: no tools, prompts or resources of the suite's own making.
SCENARIOS = [
    ("2025-11-25", "server-initialize"),
    ("2025-11-25", "server-session-lifecycle"),
    ("2025-11-25", "ping"),
    ("2025-11-25", "completion-complete"),
    ("2025-11-25", "tools-list"),
    ("2025-11-25", "resources-list"),
    ("2025-11-25", "prompts-list"),
    ("2025-11-25", "dns-rebinding-protection"),
    ("2026-07-28", "tools-list"),
    ("2026-07-28", "resources-list"),
    ("2026-07-28", "prompts-list"),
    ("2026-07-28", "completion-complete"),
    ("2026-07-28", "sep-2164-resource-not-found"),
    ("2026-07-28", "caching"),
    ("2026-07-28", "http-header-validation"),
    ("2026-07-28", "dns-rebinding-protection"),
]


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    with opened(house) as desk:
        yield desk


@pytest.mark.slow
def test_every_scenario_that_needs_no_fixtures_passes(
    desk: Desk, conformance: list[str], client_environment: dict[str, str], tmp_path: Path
) -> None:
    failed = {}
    for version, scenario in SCENARIOS:
        asked = ["server", "--url", desk.url, "--scenario", scenario, "--spec-version", version]
        done = run([*conformance, *asked], client_environment, tmp_path)
        said = done.stdout + done.stderr
        if done.returncode != 0 or not re.search(r"Passed: (\d+)/\1, 0 failed, 0 warnings", said):
            failed[scenario, version] = said[-2000:]
    assert not failed, "\n\n".join(f"{name}: {said}" for name, said in failed.items())


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_finds_nothing_wrong_with_the_definitions(
    desk: Desk, inspector: list[str], client_environment: dict[str, str], tmp_path: Path, era: str
) -> None:
    token = f"Authorization: Bearer {desk.token}"
    asked = ["--cli", desk.url, "--transport", "http", "--protocol-era", era, "--header", token]
    done = run([*inspector, *asked, "--method", "tools/list", "--strict"], client_environment, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "list_incidents" in done.stdout
