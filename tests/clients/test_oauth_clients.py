"""Claude Code, Codex, the inspector and the conformance suite log in for real; only the person is played."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import col, select

from server.house import House
from server.oauth import doors
from server.oauth.documents import PINNED
from server.oauth.metadata import authorization_server
from store import clients, grants
from store.tables import GrantTokenRow
from tests.clients.app_server import AppServer
from tests.clients.driving import AUTHORIZE, PATIENCE, Terminal, play, serving, visit
from tests.journeys import mcp_samples as samples
from tests.journeys.oauth_samples import Clock

Environment = dict[str, str]


@pytest.fixture
def clock() -> Clock:
    """The clock of the server; the clients have their own."""
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[House]:
    """A served house."""
    with serving(tmp_path / "data", clock) as house:
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
    command: list[str],
    desk: House,
    environment: Environment,
    folder: Path,
    way: str = "callback",
    scopes: tuple[str, ...] = (),
) -> tuple[int, str]:
    """Log a client in on a terminal, and be the person meanwhile; its exit code and what it said."""
    with Terminal(command, environment, folder) as terminal:
        url = terminal.until(AUTHORIZE).group()
        back = play(desk, url, scopes=scopes, go="deny" if way == "denied" else "allow")
        if way == "paste":
            terminal.type(back + "\r")
        else:
            visit(back)
        return terminal.end(), terminal.text


@pytest.fixture(params=["document", "registration"])
def known_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a client makes itself known: by the address of its document, or, to servers that do not say that they take
    those, by registering."""
    if request.param == "registration":
        without = {"client_id_metadata_document_supported": False}
        monkeypatch.setattr(
            doors, "authorization_server", lambda base: {**authorization_server(base), **without}
        )
    return str(request.param)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["callback", "paste"])
def test_claude_code_logs_in_and_its_logout_gives_the_grant_back(
    claude: list[str],
    known_by: str,
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
    assert (grant.client_id in PINNED) == (known_by == "document")
    assert grant.scopes == ("incidents:read",)
    assert "connected" in run(*claude, "mcp", "get", "nightdesk").lower()
    run(*claude, "mcp", "logout", "nightdesk")
    (grant,) = grants.grants(desk.database)
    assert grant.revoked_at is not None
    assert "needs authentication" in run(*claude, "mcp", "list").lower()


@pytest.mark.slow
def test_claude_code_says_that_it_was_refused_and_nothing_is_granted(
    claude: list[str], desk: House, run: Callable[..., str], client_environment: Environment, tmp_path: Path
) -> None:
    added(run, claude, desk)
    command = [*claude, "mcp", "login", "nightdesk"]
    code, said = logged_in(command, desk, client_environment, tmp_path, "denied")
    assert code != 0
    assert "refused" in said.lower() or "denied" in said.lower()
    assert grants.grants(desk.database) == []
    assert "needs authentication" in run(*claude, "mcp", "list").lower()


@pytest.mark.slow
def test_claude_code_goes_on_after_its_access_token_has_expired(
    claude: list[str],
    desk: House,
    run: Callable[..., str],
    client_environment: Environment,
    tmp_path: Path,
    clock: Clock,
) -> None:
    added(run, claude, desk)
    command, scopes = [*claude, "mcp", "login", "nightdesk"], ("incidents:read", "incidents:fix")
    code, said = logged_in(command, desk, client_environment, tmp_path, scopes=scopes)
    assert code == 0, said
    assert grants.grants(desk.database)[0].scopes == scopes
    clock.forward(hours=1)
    assert "connected" in run(*claude, "mcp", "get", "nightdesk").lower()
    assert renewals(desk) == 1
    clock.forward(hours=7)
    assert "needs authentication" in run(*claude, "mcp", "get", "nightdesk").lower()


@pytest.mark.slow
def test_claude_code_connects_to_the_reading_door_with_the_reading_scope_only(
    claude: list[str], desk: House, run: Callable[..., str], client_environment: Environment, tmp_path: Path
) -> None:
    added(run, claude, desk, "/mcp/readonly")
    code, said = logged_in([*claude, "mcp", "login", "nightdesk"], desk, client_environment, tmp_path)
    assert code == 0, said
    (grant,) = grants.grants(desk.database)
    assert (grant.audience, grant.scopes) == ("/mcp/readonly", ("incidents:read",))
    assert "connected" in run(*claude, "mcp", "get", "nightdesk").lower()


@pytest.mark.slow
def test_codex_logs_in_is_known_as_logged_in_and_logs_out(
    codex: list[str],
    known_by: str,
    desk: House,
    run: Callable[..., str],
    client_environment: Environment,
    tmp_path: Path,
) -> None:
    configured(client_environment, desk)
    assert "not logged in" in run(*codex, "mcp", "list").lower()
    command = [*codex, "mcp", "login", "nightdesk", "--no-browser"]
    code, said = logged_in(command, desk, client_environment, tmp_path)
    assert code == 0, said
    (grant,) = grants.grants(desk.database)
    assert "codex" in grant.client_name.lower()
    assert (grant.client_id in PINNED) == (known_by == "document")
    assert "oauth" in run(*codex, "mcp", "list").lower()
    run(*codex, "mcp", "logout", "nightdesk")
    assert "not logged in" in run(*codex, "mcp", "list").lower()


@pytest.mark.slow
def test_codex_calls_a_tool_and_reads_a_resource_also_after_its_access_token_has_expired(
    codex: list[str],
    desk: House,
    client_environment: Environment,
    tmp_path: Path,
    clock: Clock,
) -> None:
    desk.receive([samples.event(1)])
    configured(client_environment, desk)
    command = [*codex, "mcp", "login", "nightdesk", "--no-browser"]
    scopes = ("incidents:read", "incidents:state")
    code, said = logged_in(command, desk, client_environment, tmp_path, scopes=scopes)
    assert code == 0, said
    for hours in (0, 1):
        clock.forward(hours=hours)
        with AppServer(codex, client_environment, tmp_path) as server:
            listed = server.tool("nightdesk", "list_incidents", lane="all")
            assert "INC-1" in json.dumps(listed), listed
            refused = server.tool("nightdesk", "start_repair", id="INC-1")
            assert "insufficient scope" in json.dumps(refused).lower()
            asked = {"threadId": server.thread, "server": "nightdesk", "uri": "incident://INC-1"}
            assert "INC-1" in json.dumps(server.ask("mcpServer/resource/read", asked))
    assert renewals(desk) >= 1


@pytest.mark.slow
def test_the_inspector_registers_itself_logs_in_and_lists_the_tools(
    inspector: list[str], desk: House, client_environment: Environment, tmp_path: Path
) -> None:
    command = [
        *inspector, "--cli", f"{desk.config.address}/mcp", "--transport", "http", "--method", "tools/list",
        "--format", "json",
    ]  # fmt: skip
    code, said = logged_in(command, desk, client_environment, tmp_path)
    assert code == 0, said
    assert "list_incidents" in said


@pytest.mark.slow
def test_the_conformance_suite_finds_no_fault_with_the_authorization_server(
    conformance: list[str], desk: House, client_environment: Environment, tmp_path: Path, clock: Clock
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = clients.register(desk.database, "Conformance", ["http://127.0.0.1/callback"], clock())
    command = [
        *conformance, "authorization", "--url", desk.config.address, "--client-id", client.id,
        "--resource", f"{desk.config.address}/mcp", "-p", str(port),
    ]  # fmt: skip
    code, said = logged_in(command, desk, client_environment, tmp_path)
    assert code == 0, said
    assert re.search(r"Total: [1-9]\d* passed, 0 failed", said)


def configured(environment: Environment, desk: House) -> None:
    """Codex with this server, with nothing that leads to a model, and its logins in a file."""
    Path(environment["CODEX_HOME"], "config.toml").write_text(
        'mcp_oauth_credentials_store = "file"\nmodel_provider = "none"\n'
        '[model_providers.none]\nname = "none"\nbase_url = "http://127.0.0.1:9/v1"\n'
        f'[mcp_servers.nightdesk]\nurl = "{desk.config.address}/mcp"\n',
        encoding="utf-8",
    )


def renewals(desk: House) -> int:
    """How many refresh tokens were used."""
    with desk.database.read() as session:
        used = select(GrantTokenRow).where(
            col(GrantTokenRow.refresh), col(GrantTokenRow.used_at).is_not(None)
        )
        return len(session.exec(used).all())
