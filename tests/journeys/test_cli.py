"""The command line from outside: real processes, exit codes, one sentence when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from server.cli import cli

REPOSITORY = Path(__file__).resolve().parents[2]
TRACE = (
    'Traceback (most recent call last):\n  File "/app/shop/rates.py", line 2, in quote\n'
    "    return order[\"carrier\"]\nKeyError: 'carrier'\n"
)


def nightdesk(*args: str, stdin: str = "", **environ: str) -> Result:
    """Run a command line; in this process, because a new one imports for two seconds."""
    unset = {name: None for name in os.environ if name.startswith("NIGHTDESK_")}
    return CliRunner().invoke(cli, args, input=stdin, env={**unset, **environ}, catch_exceptions=False)


def console_script(*args: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the installed console script as a user would."""
    argv = [str(Path(sys.executable).with_name("nightdesk")), *args]
    env = {**os.environ, **environ}
    return subprocess.run(argv, cwd=cwd, env=env, timeout=120, capture_output=True, text=True, check=False)


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A data folder with one incident in it."""
    folder = str(tmp_path / "data")
    assert nightdesk("ingest", "-", "--data", folder, stdin=TRACE).exit_code == 0
    return folder


def as_json(*args: str) -> Any:
    done = nightdesk(*args, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_a_log_from_standard_input_becomes_a_triaged_incident(data: str) -> None:
    (row,) = as_json("incidents", "--data", data)
    assert (row["id"], row["title"], row["event_count"]) == ("INC-1", "KeyError: 'carrier'", 1)
    assert row["verdict"]["classifier"]
    text = nightdesk("show", "INC-1", "--data", data).stdout
    assert "/app/shop/rates.py:2 in quote" in text


def test_the_json_of_an_incident_has_every_promised_key_even_before_any_repair(data: str) -> None:
    shown = as_json("show", "INC-1", "--data", data)
    promised = {
        "id", "project", "title", "culprit", "status", "lane", "priority", "first_seen", "last_seen",
        "event_count", "user_count", "environments", "releases", "fingerprint", "verdict", "location",
        "owner", "claimed_by", "hypotheses", "changes", "reproducer",
        "patch", "validation", "proof", "rollback",
        "drafts", "steps", "times", "ended",
    }  # fmt: skip
    assert promised <= set(shown)
    assert shown["reproducer"] is None
    assert shown["times"]["triaged"] is not None
    assert set(shown["times"]) == {
        "detected",
        "triaged",
        "diagnosed",
        "reproduced",
        "proposed",
        "drafted",
        "merged",
    }
    assert [step["name"] for step in shown["steps"]] == [
        "locate",
        "analyse",
        "surroundings",
        "classify",
        "prioritise",
    ]


@pytest.mark.parametrize(
    ("args", "stdin", "code", "said"),
    [
        (("show", "INC-99"), "", 1, "INC-99"),
        (("show", "INC-1", "--section", "nonsense"), "", 1, "no section"),
        (("ingest", "-", "--format", "sentry"), "{nope", 1, "standard input"),
        (("ingest", "no-such-file"), "", 1, "no-such-file"),
        (("ingest", "-"), "all is well\n", 3, ""),
        (("incidents", "--since", "yesterday-ish"), "", 1, "not a time"),
        (("incidents", "--lane", "urgent"), "", 2, "urgent"),
        (("no-such-command",), "", 2, "no-such-command"),
        (("repo", "add", "shop", "/no/such/folder"), "", 1, ""),
        (("release", "add", "1.0", "--repo", "shop=abc"), "", 1, "shop"),
        (("key", "revoke", "abc"), "", 1, "No key"),
    ],
)
def test_a_failure_has_the_promised_exit_code_and_one_sentence(
    data: str, args: tuple[str, ...], stdin: str, code: int, said: str
) -> None:
    extra = () if args == ("no-such-command",) else ("--data", data)
    done = nightdesk(*args, *extra, stdin=stdin)
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.startswith("nightdesk: ")
        assert done.stderr.count("\n") == 1
    assert len(as_json("incidents", "--data", data)) == 1


def test_an_unknown_setting_stops_every_command_and_names_the_nearest(data: str) -> None:
    done = nightdesk("incidents", "--data", data, NIGHTDESK_PROT="1")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "did you mean 'port'" in done.stderr


def test_a_persons_word_is_kept_and_a_later_triage_leaves_it(data: str) -> None:
    nightdesk("noise", "INC-1", "--data", data, "--reason", "a drill")
    assert as_json("triage", "INC-1", "--data", data)["id"] == "INC-1"
    assert as_json("incidents", "--lane", "noise", "--data", data)[0]["id"] == "INC-1"
    nightdesk("not-noise", "INC-1", "--data", data)
    assert as_json("incidents", "--lane", "noise", "--data", data) == []
    assert as_json("resolve", "INC-1", "--data", data)["status"] == "resolved"
    assert as_json("incidents", "--data", data) == []
    assert as_json("incidents", "--status", "all", "--data", data)[0]["status"] == "resolved"
    assert as_json("reopen", "INC-1", "--data", data)["status"] == "open"
    assert as_json("assign", "INC-1", "ann", "--data", data)["owner"] == "ann"


def test_a_rotated_key_replaces_the_old_one_in_the_dsn(data: str) -> None:
    (before,) = as_json("project", "list", "--data", data)
    fresh = as_json("key", "rotate", "--data", data)
    (after,) = as_json("project", "list", "--data", data)
    assert {"id", "name", "key", "dsn"} <= set(after)
    assert before["key"] != fresh["key"] == after["key"]
    assert after["dsn"] == f"http://{fresh['key']}@127.0.0.1:8731/1"


def git(folder: Path, *args: str) -> str:
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *args], check=True, capture_output=True, text=True, timeout=30
    ).stdout.strip()


def test_an_event_is_located_at_the_commit_of_its_release_and_not_at_the_newest(
    tmp_path: Path, data: str
) -> None:
    origin = tmp_path / "shop"
    (origin / "shop").mkdir(parents=True)
    git(origin, "init", "-q")
    (origin / "shop" / "rates.py").write_text('def quote(order):\n    return order["carrier"]\n')
    git(origin, "add", "."), git(origin, "commit", "-qm", "Rates")
    deployed = git(origin, "rev-parse", "HEAD")
    (origin / "shop" / "rates.py").write_text(
        "# moved\n" * 40 + 'def quote(order):\n    return order["carrier"]\n'
    )
    git(origin, "commit", "-qam", "A long head")
    assert nightdesk("repo", "add", "shop", str(origin), "--data", data).exit_code == 0
    assert nightdesk("release", "add", "1.4", "--repo", f"shop={deployed}", "--data", data).exit_code == 0
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"traceback": TRACE.replace("KeyError", "LookupError"), "release": "1.4"}))
    (touched,) = as_json("ingest", str(event), "--data", data)
    place = touched["location"]
    assert (place["repo"], place["path"], place["line"], place["commit"]) == (
        "shop",
        "shop/rates.py",
        2,
        deployed,
    )
    heads = as_json("repo", "sync", "--data", data)
    assert heads == [{"name": "shop", "head": git(origin, "rev-parse", "HEAD")}]


def test_doctor_names_every_part_and_every_setting_with_its_source(data: str) -> None:
    done = nightdesk("doctor", "--json", "--data", data, NIGHTDESK_RUNS="17")
    checks = {check["part"]: check for check in json.loads(done.stdout)}
    assert {"database", "sandbox", "git", "uv", "repositories", "clock", "last event"} <= set(checks)
    assert checks["git"]["state"] == "ok"
    assert checks["runs"]["said"] == "17 (environment)"


def test_text_from_an_event_cannot_steer_the_terminal(tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    hostile = TRACE.replace("'carrier'", "\x1b]0;owned\x07\x1b[2J\x9b31m")
    nightdesk("ingest", "-", "--data", folder, stdin=hostile)
    for args in (("incidents",), ("show", "INC-1"), ("show", "INC-1", "--json"), ("events", "--json")):
        printed = nightdesk(*args, "--data", folder).stdout
        assert printed
        assert not set(printed) & {"\x1b", "\x07", "\x9b"}


def test_help_imports_nothing_that_is_slow() -> None:
    program = (
        "import sys; sys.argv = ['nightdesk', '--help']\n"
        "import nightdesk\n"
        "try:\n    nightdesk.main()\n"
        "except SystemExit:\n    pass\n"
        "slow = {'sqlmodel', 'sqlalchemy', 'mcp', 'starlette', 'pydantic', 'uvicorn', 'jinja2'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "incidents" in done.stdout


@pytest.mark.parametrize("pythonpath", ["", "."])
@pytest.mark.parametrize("args", [("--help",), ("incidents", "--json")])
def test_the_console_script_works_in_a_folder_full_of_packages_with_our_names(
    tmp_path: Path, pythonpath: str, args: tuple[str, ...]
) -> None:
    for package in ("server", "store", "triage", "fixloop"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('hostile')\n")
    for module in ("mcp", "typing", "types", "queue", "click", "pydantic"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('hostile')\n")
    done = console_script(*args, cwd=tmp_path, PYTHONPATH=pythonpath, NIGHTDESK_DATA=str(tmp_path / "data"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "hostile" not in done.stdout
