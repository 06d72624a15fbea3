"""The gate of a pipeline: the tests of incidents have to be there, as they were, run, and passed. And what a pipeline
fetches is the incident that the other Nightdesk has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from server.cli import cli
from server.config import load
from server.house import House
from store import queries
from tests.journeys import mcp_samples as samples
from tests.journeys import test_ingest_http as wire
from tests.journeys.test_api import bearer

TEST = '"""INC-7: KeyError in quote.\n"""\n\n\ndef test_inc_7():\n    assert {}\n'
PLAIN = '"""Tests of ours."""\n\n\ndef test_nothing():\n    assert True\n'


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, timeout=60)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose main branch has the test of one incident, which passes."""
    folder = tmp_path / "shop"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test_inc_7.py").write_text(TEST.format("True"), encoding="utf-8")
    (folder / "tests" / "test_plain.py").write_text(PLAIN, encoding="utf-8")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Start")
    return folder


def gate(folder: Path, *words: str, run: bool = True) -> Result:
    report = folder / "report.xml"
    if run:  # as the pipeline does; its exit code is its own business
        line = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--junitxml",
            str(report),
        ]
        root = Path(__file__).resolve().parents[2]
        subprocess.run([*line, "--rootdir", str(folder), "-c", "/dev/null", str(folder)], cwd=root, timeout=120,
                       check=False, capture_output=True)  # fmt: skip
    return CliRunner().invoke(cli, ["gate", "--results", str(report), *words, str(folder), "--json"])


def why(done: Result) -> str | None:
    (one,) = json.loads(done.stdout)["tests"]
    assert one["incident"] == "INC-7"
    assert (done.exit_code == 3) == (one["why"] is not None)
    return str(one["why"]) if one["why"] else None


def test_a_change_that_keeps_the_test_and_passes_it_may_be_merged(checkout: Path) -> None:
    assert why(gate(checkout, "--base", "main")) is None


def test_a_change_that_makes_the_test_fail_is_blocked(checkout: Path) -> None:
    (checkout / "tests" / "test_inc_7.py").write_text(TEST.format("False"), encoding="utf-8")
    assert why(gate(checkout)) == "it fails"


def test_a_change_that_takes_the_test_away_is_blocked(checkout: Path) -> None:
    gate(checkout)
    (checkout / "tests" / "test_inc_7.py").unlink()
    assert "was taken away" in (why(gate(checkout, "--base", "main", run=False)) or "")


def test_a_change_of_the_test_itself_is_blocked(checkout: Path) -> None:
    skipped = TEST.format("True").replace("def ", "import pytest\n\n\n@pytest.mark.skip\ndef ")
    (checkout / "tests" / "test_inc_7.py").write_text(skipped, encoding="utf-8")
    assert "not as it is on main" in (why(gate(checkout, "--base", "main")) or "")
    assert why(gate(checkout, run=False)) == "it was skipped"


def test_a_test_that_was_not_run_is_blocked(checkout: Path) -> None:
    (checkout / "report.xml").write_text("<testsuites><testsuite/></testsuites>", encoding="utf-8")
    assert "was not run" in (why(gate(checkout, run=False)) or "")


@pytest.mark.parametrize("text", ["", "no xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_a_report_that_is_none_is_one_sentence(checkout: Path, text: str) -> None:
    (checkout / "report.xml").write_text(text, encoding="utf-8")
    done = gate(checkout, run=False)
    assert done.exit_code == 1
    assert "report" in done.stderr


def test_an_incident_is_fetched_with_its_number_and_can_be_triaged_where_it_comes_to(
    house: House, tmp_path: Path
) -> None:
    house.receive([samples.event(1, client_fingerprint=("first",))])
    house.receive([samples.event(number, client_fingerprint=("second",)) for number in (2, 3)])
    data = tmp_path / "pipeline"
    with wire.serving(house) as (host, _):
        environ = {"NIGHTDESK_TOKEN": bearer(house)["Authorization"].removeprefix("Bearer ")}
        words = ["fetch", "INC-2", "--from", f"http://{host}", "--data", str(data), "--json"]
        done = CliRunner().invoke(cli, words, env=environ, catch_exceptions=False)
        again = CliRunner().invoke(cli, words, env=environ, catch_exceptions=False)
        refused = CliRunner().invoke(cli, words, env={"NIGHTDESK_TOKEN": "ndt_wrong"})
        unknown = CliRunner().invoke(cli, [*words[:1], "INC-99", *words[2:]], env=environ)
    assert done.exit_code == again.exit_code == 0, done.output
    assert json.loads(done.stdout)["id"] == json.loads(again.stdout)["id"] == "INC-2"
    with House.open(load(data, {})) as here:
        there = queries.events(house.database, "INC-2")
        fetched = queries.events(here.database, "INC-2")
        assert [event.model_copy(update={"raw": None}) for event in there] == fetched
        assert here.triage_incident("INC-2").title == queries.incident(house.database, "INC-2").title
    assert (refused.exit_code, "does not take the token" in refused.stderr) == (1, True)
    assert (unknown.exit_code, "INC-99" in unknown.stderr) == (1, True)


def test_no_token_is_sent_without_encryption(tmp_path: Path) -> None:
    words = ["fetch", "INC-1", "--from", "http://nightdesk.example", "--data", str(tmp_path)]
    done = CliRunner().invoke(cli, words, env={"NIGHTDESK_TOKEN": "ndt_x"})
    assert (done.exit_code, "without encryption" in done.stderr) == (1, True)
