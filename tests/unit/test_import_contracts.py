"""Each import contract holds, and each is seen to break: a forbidden import is planted, the gate says no."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("server", "fixloop", "triage", "store")

LAYERS = "imports point down: server > fixloop > triage > store"
TRIAGE = "triage is read-only: no database, no network, no processes, no model"
LOOP = "the loop has no database and no doors"
ENGINE = "the durable engine is known to one room: nothing but server.work imports it"
ASSISTANT = "an assistant's server starts without the durable engine"
DEMO = "the demo speaks only HTTP and the command line"
CIRCLES = "no circles in any package"

# contract -> the modules that are planted, each with its one import
PLANTED = {
    LAYERS: {"store/planted.py": "import triage.paths"},
    TRIAGE: {"triage/planted.py": "import subprocess"},
    LOOP: {"fixloop/planted.py": "import store.journal"},
    ENGINE: {"server/planted.py": "import dbos"},
    ASSISTANT: {"server/mcp/tools.py": "import server.work.engine"},
    DEMO: {"server/demo/planted.py": "import fixloop.loop"},
    CIRCLES: {"store/planted.py": "import store.planted_too", "store/planted_too.py": "import store.planted"},
}

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The four packages and the configuration, in a folder of their own."""
    for package in PACKAGES:
        shutil.copytree(
            REPOSITORY / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static")
        )
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def gate(folder: Path) -> dict[str, bool]:
    """Run import-linter in a folder: contract -> whether it is kept."""
    command = Path(sys.executable).with_name("lint-imports")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [command, "--no-cache"], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    verdicts = dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", done.stdout, re.MULTILINE))
    assert verdicts, done.stdout + done.stderr
    assert (done.returncode == 0) == ("BROKEN" not in verdicts.values())
    return {name: verdict == "KEPT" for name, verdict in verdicts.items()}


def test_every_contract_holds_over_the_code_as_it_is(copy: Path) -> None:
    assert gate(copy) == dict.fromkeys(PLANTED, True)


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_import_breaks_exactly_the_contract_it_is_against(contract: str, copy: Path) -> None:
    for name, source in PLANTED[contract].items():
        (copy / name).write_text(f'"""Planted."""\n\n{source}\n', encoding="utf-8")
    assert [name for name, kept in gate(copy).items() if not kept] == [contract]
