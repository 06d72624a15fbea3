"""The real clients: Claude Code, Codex, the inspector and the conformance suite, where they are installed.

They are looked for in the folder that NIGHTDESK_TEST_CLIENTS names (the one with `node_modules` in it), then on
PATH. A test whose client is absent is skipped, and says which one it was. Each runs with a home of its own, without
credentials, and reaches nothing but loopback.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

FOLDER = os.environ.get("NIGHTDESK_TEST_CLIENTS", "")
_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1",
    "BROWSER": "true", "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "2000",
}  # fmt: skip
_NATIVE = (
    "@anthropic-ai/claude-code-linux-x64/claude"  # the one client that comes as a program and not a script
)


def found(name: str, native: str | None = None) -> list[str]:
    """How a client is started: the program, or node with its script. Skips where it is absent."""
    modules = Path(FOLDER, "node_modules") if FOLDER else None
    if modules and native and (modules / native).is_file():
        return [str(modules / native)]
    script = modules / ".bin" / name if modules else None
    if script and script.exists():
        node = shutil.which("node", path=f"{script.parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if node is None:
            pytest.skip(f"{name} is a script, and node is not installed")
        return [node, str(script.resolve())]
    program = shutil.which(name)
    if program is None:
        where = f"neither in {FOLDER} nor" if FOLDER else "not"
        pytest.skip(
            f"{name} is {where} on PATH; NIGHTDESK_TEST_CLIENTS names the folder with its node_modules"
        )
    return [program]


@pytest.fixture
def claude() -> list[str]:
    """Claude Code."""
    return found("claude", _NATIVE)


@pytest.fixture
def codex() -> list[str]:
    """Codex."""
    return found("codex")


@pytest.fixture
def inspector() -> list[str]:
    """The MCP inspector."""
    return found("mcp-inspector")


@pytest.fixture
def conformance() -> list[str]:
    """The MCP conformance suite."""
    return found("conformance")


@pytest.fixture
def client_environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a client: a home of its own, and nothing of ours but PATH."""
    home = tmp_path / "home"
    (home / ".codex").mkdir(parents=True)
    return {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(home),
        "CODEX_HOME": str(home / ".codex"),
        **_QUIET,
    }
