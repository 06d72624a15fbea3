"""Claude Code, Codex, the inspector and the conformance suite log in for real; only the person is played."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.house import House
from store import grants
from tests.clients.driving import AUTHORIZE, PATIENCE, Terminal, play, serving, visit

Environment = dict[str, str]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[House]:
    """A served house."""
    with serving(tmp_path / "data") as house:
        yield house


@pytest.fixture
def run(tmp_path: Path, client_environment: Environment) -> Callable[..., str]:
    """Run a client that asks nobody, and give what it prints."""

    def ran(*command: str, code: int = 0) -> str:
        done = subprocess.run(
            command, env=client_environment, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return ran


def added(run: Callable[..., str], claude: list[str], desk: House, path: str = "/mcp") -> None:
    run(*claude, "mcp", "add", "--transport", "http", "nightdesk", desk.config.address + path)


def logged_in(
    command: list[str], desk: House, environment: Environment, folder: Path, way: str = "callback"
) -> tuple[int, str]:
    """Log a client in on a terminal, and be the person meanwhile; its exit code and what it said."""
    with Terminal(command, environment, folder) as terminal:
        url = terminal.until(AUTHORIZE).group()
        back = play(desk, url, go="deny" if way == "denied" else "allow")
        if way == "paste":
            terminal.type(back + "\r")
        else:
            visit(back)
        return terminal.end(), terminal.text


@pytest.mark.slow
@pytest.mark.parametrize("way", ["callback", "paste"])
def test_claude_code_logs_in_and_its_logout_gives_the_grant_back(
    claude: list[str],
    desk: House,
    run: Callable[..., str],
    client_environment: Environment,
    tmp_path: Path,
    way: str,
) -> None:
    added(run, claude, desk)
    assert "needs authentication" in run(*claude, "mcp", "list").lower()
    code, said = logged_in([*claude, "mcp", "login", "nightdesk"], desk, client_environment, tmp_path, way)
    assert code == 0, said
    (grant,) = grants.grants(desk.database)
    assert grant.client_name.startswith("Claude Code")
    assert grant.scopes == ("incidents:read",)
    assert "connected" in run(*claude, "mcp", "get", "nightdesk").lower()
    run(*claude, "mcp", "logout", "nightdesk")
    (grant,) = grants.grants(desk.database)
    assert grant.revoked_at is not None
    assert "needs authentication" in run(*claude, "mcp", "list").lower()
