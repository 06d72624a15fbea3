"""`doctor` on broken installations: it always answers, names the part, and says in words what to do."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.cli import cli
from server.config import load
from server.house import House
from server.operating import checks
from server.operating.checks import State
from server.operating.presence import servers
from store import accounts, journal
from store.project import RepositoryConfig
from tests.journeys import mcp_samples as samples
from tests.journeys.histories import History

NIGHTDESK = str(Path(sys.executable).with_name("nightdesk"))
OURS = ("NIGHTDESK_", "ANTHROPIC_")
Answer = dict[str, tuple[str, str]]  # part -> (state, what was said)


def doctor(data: Path, **environ: str) -> Answer:
    """Run the command here, as JSON: the sandbox's self-test, which takes seconds, is done once in a process."""
    unset = {name: None for name in os.environ if name.startswith(OURS)}
    done = CliRunner().invoke(cli, ["doctor", "--json", "--data", str(data)], env={**unset, **environ})
    return parts(done.stdout, done.stderr, done.exit_code)


def doctor_elsewhere(data: Path, *before: str, **environ: str) -> Answer:
    """Run the command in a process of its own; `before` are words that stand in front of it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    done = subprocess.run(
        [*before, NIGHTDESK, "doctor", "--json", "--data", str(data)],
        env={**env, **environ}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return parts(done.stdout, done.stderr, done.returncode)


def parts(stdout: str, stderr: str, code: int) -> Answer:
    assert stderr == ""
    found = {check["part"]: (check["state"], check["said"]) for check in json.loads(stdout)}
    broken = any(state == "broken" for state, _ in found.values())
    assert code == (1 if broken else 0)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A healthy folder with one event and one repository."""
    history = History(tmp_path / "origin")
    history.commit("One", {"shop/rates.py": "x = 1\n"})
    folder = tmp_path / "data"
    with House.open(load(folder, {})) as house:
        house.receive([samples.event(1)])
        house.mirrors.add("shop", str(history.folder))
        row = RepositoryConfig(name="shop", project="default", url=str(history.folder))
        journal.add_repository(house.database, row)
    return folder


def path_without(tmp_path: Path, *absent: str) -> str:
    """A PATH on which everything is that is on ours, but for some programs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(place).glob("*") if Path(place).is_dir() else ():
            link = folder / program.name
            if program.name not in absent:
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    return str(folder)


def test_a_healthy_installation_has_no_broken_part(data: Path) -> None:
    found = doctor(data)
    assert {part for part, (state, _) in found.items() if state == "broken"} == set()
    assert {"database", "disk", "sandbox", "git", "uv", "server", "model", "repository shop", "clock"} <= set(
        found
    )


def test_without_bubblewrap_nothing_runs_and_it_says_how_to_install_it(data: Path, tmp_path: Path) -> None:
    state, said = doctor_elsewhere(data, PATH=path_without(tmp_path, "bwrap"))["sandbox"]
    assert state == "missing"
    assert "bubblewrap" in said
    assert "install" in said


def test_without_git_it_says_to_install_git(data: Path, tmp_path: Path) -> None:
    found = doctor(data, PATH=path_without(tmp_path, "git"))
    assert found["git"] == ("broken", "git is not installed; install it.")
    assert found["repository shop"][0] == "broken"


def test_a_repository_whose_origin_is_gone_is_named_and_the_mirror_with_it(
    data: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "origin")
    state, said = doctor(data)["repository shop"]
    assert state == "broken"
    assert "The mirror stands at" in said
    assert "Correct its address" in said
    shutil.rmtree(data / "mirrors")
    state, said = doctor(data)["repository shop"]
    assert (state, "nightdesk repo add shop" in said) == ("broken", True)


def test_events_from_the_future_and_a_clock_that_was_never_set_ask_for_time_synchronisation(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.keep([samples.event(1, timestamp=datetime.now(UTC) + timedelta(days=2))])
    ahead = {check.part: check for check in checks.examine(house)}["clock"]
    assert ahead.state is State.MISSING
    assert "an event is dated" in ahead.said
    assert "time synchronisation" in ahead.said
    monkeypatch.setattr(time, "time", lambda: 0.0)
    never = {check.part: check for check in checks.examine(house)}["clock"]
    assert (never.state, "time synchronisation" in never.said) == (State.MISSING, True)


def bubblewrap(*options: str) -> tuple[str, ...]:
    """This machine as it is, with some folders otherwise; skips where that cannot be had."""
    words = ("bwrap", "--dev-bind", "/", "/", *options)
    try:
        tried = subprocess.run([*words, "true"], capture_output=True, timeout=30, check=False).returncode
    except OSError:
        tried = 1
    if tried != 0:
        pytest.skip("bubblewrap cannot make a folder read-only or full on this machine")
    return words


def test_a_folder_that_cannot_be_written_is_said_with_what_to_look_at(data: Path) -> None:
    found = doctor_elsewhere(data, *bubblewrap("--ro-bind", str(data), str(data)))
    state, said = found["database"]
    assert state == "broken"
    assert "check the owner and rights of its folder" in said
    assert found["git"][0] == "ok"


@pytest.mark.parametrize("size", [64 << 10, 8 << 20])
def test_a_full_disk_is_said_with_how_much_is_left_and_what_to_do(tmp_path: Path, size: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    found = doctor_elsewhere(folder, *bubblewrap("--size", str(size), "--tmpfs", str(folder)))
    state, said = found["disk"]
    assert state == "broken"
    assert "MiB are free below" in said
    assert "make room" in said


def test_a_schema_of_a_newer_version_says_to_upgrade(data: Path) -> None:
    with closing(sqlite3.connect(data / "nightdesk.sqlite")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from-2031'")
    state, said = doctor(data)["database"]
    assert state == "broken"
    assert "schema from-2031" in said
    assert "upgrade Nightdesk" in said


@contextmanager
def serving(data: Path) -> Iterator[None]:
    """A server of its own process; ready when its first line is out, killed when that takes three minutes."""
    command = [NIGHTDESK, "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        watch = threading.Timer(180, server.kill)
        watch.start()
        try:
            assert server.stdout is not None
            assert server.stdout.readline()
            yield
        finally:
            watch.cancel()
            server.terminate()
            server.communicate(timeout=60)


@pytest.mark.heavy
def test_two_servers_on_one_folder_are_counted_and_one_is_to_stop(data: Path) -> None:
    assert doctor(data)["server"][0] == "missing"
    with serving(data):
        assert doctor(data)["server"][0] == "ok"
        with serving(data):
            state, said = doctor(data)["server"]
            assert state == "broken"
            assert said.startswith("2 servers run on this folder (http://127.0.0.1:")
            assert "stop all but one" in said
    assert servers(data) == []


def test_the_file_of_a_server_that_was_killed_counts_for_nothing(data: Path) -> None:
    (data / "servers").mkdir(exist_ok=True)
    (data / "servers" / "77.json").write_text('{"pid": 77, "address": "http://127.0.0.1:1"}')
    (data / "servers" / "78.json").write_text("")
    assert servers(data) == []


def test_a_model_that_cannot_be_reached_is_said_and_without_a_key_nobody_is_asked(data: Path) -> None:
    assert doctor(data, ANTHROPIC_BASE_URL="http://127.0.0.1:9")["model"][0] == "missing"
    environ = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "http://ann:secret@127.0.0.1:9"}
    state, said = doctor(data, **environ)["model"]
    assert state == "broken"
    assert "does not answer" in said
    assert "ANTHROPIC_BASE_URL" in said
    assert "secret" not in said


@contextmanager
def answering(status: int) -> Iterator[str]:
    """The address of a server that answers everything with one status."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(timeout=30)


@pytest.mark.parametrize(
    ("status", "state", "said"),
    [(200, "ok", "answers"), (401, "broken", "valid ANTHROPIC_API_KEY"), (503, "broken", "answers with 503")],
)
def test_a_model_that_refuses_the_key_is_told_from_one_that_is_ill(
    data: Path, status: int, state: str, said: str
) -> None:
    with answering(status) as address:
        found = doctor(data, ANTHROPIC_API_KEY="k", ANTHROPIC_BASE_URL=address)["model"]
    assert found[0] == state
    assert said in found[1]


@pytest.mark.parametrize("status", [401, 403])
def test_an_origin_that_refuses_the_token_is_told_from_one_that_is_gone(data: Path, status: int) -> None:
    with answering(status) as address, House.open(load(data, {})) as house:
        origin = address.replace("http://", "http://bot:secret@") + "/shop.git"
        journal.add_repository(house.database, RepositoryConfig(name="shop", project="default", url=origin))
        state, said = doctor(data)["repository shop"]
    assert state == "broken"
    assert "refuses the credentials" in said
    assert "Renew the token" in said
    assert "secret" not in said


def test_a_token_that_has_ended_is_named_with_the_commands_that_renew_it(data: Path) -> None:
    with House.open(load(data, {})) as house:
        assert doctor(data)["tokens"] == ("ok", "None made.")
        accounts.create_token(house.database, name="ci", days=3)
        assert doctor(data)["tokens"][0] == "missing"
        _, ended = accounts.create_token(house.database, name="laptop", days=-1)
    state, said = doctor(data)["tokens"]
    assert state == "broken"
    assert "laptop" in said
    assert "`nightdesk token create --name laptop`" in said
    assert f"`nightdesk token revoke {ended.id}`" in said
