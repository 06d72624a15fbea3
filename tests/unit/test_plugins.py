"""Plug-ins as they are installed: a distribution's metadata on the import path, found, checked, used or said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from click.testing import CliRunner

from server import plugins
from server.cli import cli
from server.config import load
from server.house import House
from server.intake.parsing import own_events
from server.operating.checks import State, examine
from store.errors import BadPayload, Unavailable
from tests.unit.triage_samples import NOW
from triage import formats, languages

MODULE = """
from triage.classify import Rules
from triage.formats.error_json import ErrorJson

class Shouted(ErrorJson):
    name = "shouted"
    def recognises(self, body, headers):
        return body.startswith(b"CRASH ")
    def parse(self, body, headers, *, project, received_at):
        if body == b"CRASH inside":
            raise RuntimeError("a stranger's mistake")
        return super().parse(body[6:], headers, project=project, received_at=received_at)

class Careful(Rules):
    name = "careful@2"

class Half:
    name = "half"

class Other:
    name = "another"
    find_traces = in_app = symbol_at = None

class Attic:
    name = "attic"
    def __init__(self, address):
        self.address = address
    @staticmethod
    def takes(address):
        return address.startswith("attic://")
    def open_draft(self, draft, commits):
        return draft
    def look(self, draft):
        return draft
"""
Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a distribution with these entry points, as an installer leaves it."""
    site = tmp_path / "site"
    place = site / "nightdesk_strange-1.0.dist-info"
    place.mkdir(parents=True)
    (site / "nightdesk_strange.py").write_text(MODULE)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: nightdesk-strange\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(site))

    def written(points: str) -> None:
        (place / "entry_points.txt").write_text(points)
        plugins.found.cache_clear()
        plugins.plug_in()

    yield written
    formats.plug(())
    languages.plug(())
    monkeypatch.undo()
    plugins.found.cache_clear()


def test_without_plug_ins_only_the_built_in_parts_are_known() -> None:
    assert plugins.found() == ()
    assert [each.name for each in formats.known()][-3:] == ["sentry", "json", "traceback"]
    assert formats.known() == tuple(formats.BUILT_IN)


def test_a_format_is_asked_before_the_built_in_ones_at_the_door_and_for_files(
    install: Install, tmp_path: Path
) -> None:
    install("[nightdesk.formats]\nshouted = nightdesk_strange:Shouted\n")
    body = b'CRASH {"traceback": "Traceback (most recent call last):\\n  File \\"a.py\\", line 1, in f\\n    x\\nKeyError: 1"}'
    events = own_events(body, {"content-type": "application/json"}, project="shop", received_at=NOW).events
    assert [event.exceptions[-1].type for event in events] == ["KeyError"]
    file = tmp_path / "crash.txt"
    file.write_bytes(body)
    argv = ["ingest", str(file), "--format", "shouted", "--json", "--data", str(tmp_path / "data")]
    done = CliRunner().invoke(cli, argv, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    assert [row["id"] for row in json.loads(done.stdout)] == ["INC-1"]


def test_a_format_that_fails_inside_is_a_refusal_and_not_a_failure_of_ours(install: Install) -> None:
    install("[nightdesk.formats]\nshouted = nightdesk_strange:Shouted\n")
    with pytest.raises(BadPayload, match="could not be read as shouted"):
        own_events(b"CRASH inside", {}, project="shop", received_at=NOW)


def test_an_unknown_format_is_wrong_use_that_names_the_known_ones(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["ingest", "-", "--format", "shuted", "--data", str(tmp_path)], input="x")
    assert done.exit_code == 2
    assert "auto, sentry, text, json" in done.stderr


def test_one_that_cannot_be_used_is_left_out_and_doctor_says_which_and_why(
    install: Install, house: House
) -> None:
    install(
        "[nightdesk.formats]\ngone = nightdesk_strange:Gone\n"
        "[nightdesk.languages]\nhalf = nightdesk_strange:Half\nmisnamed = nightdesk_strange:Other\n"
        "[nightdesk.classifiers]\ncareful = nightdesk_strange:Careful\n"
    )
    said = {check.part: check for check in examine(house) if check.part.startswith("plug-in")}
    assert said["plug-in careful (classifiers)"].state is State.OK
    assert "nightdesk-strange" in said["plug-in careful (classifiers)"].said
    assert "cannot be loaded" in said["plug-in gone (formats)"].said
    assert "lacks find_traces, in_app, symbol_at" in said["plug-in half (languages)"].said
    assert "calls itself 'another'" in said["plug-in misnamed (languages)"].said
    assert {check.state for part, check in said.items() if "careful" not in part} == {State.BROKEN}
    assert formats.known() == tuple(formats.BUILT_IN)
    assert languages.known() == tuple(languages.BUILT_IN)


def test_the_classifier_is_chosen_by_name_and_an_unknown_one_names_the_known(
    install: Install, tmp_path: Path
) -> None:
    install("[nightdesk.classifiers]\ncareful = nightdesk_strange:Careful\n")
    with House.open(load(tmp_path, {"NIGHTDESK_CLASSIFIER": "careful"})) as house:
        assert house.classifier.name == "careful@2"
    with pytest.raises(Unavailable, match=r"`classifier` may be: learned, rules, careful@2"), bold(tmp_path):
        pytest.fail("it opened")


def bold(tmp_path: Path) -> AbstractContextManager[House]:
    return House.open(load(tmp_path, {"NIGHTDESK_CLASSIFIER": "bold"}))


def test_a_forge_takes_the_repositories_at_its_addresses(install: Install, tmp_path: Path) -> None:
    install("[nightdesk.forges]\nattic = nightdesk_strange:Attic\n")
    assert plugins.forge("attic://shop").name == "attic"
    assert plugins.forge(str(tmp_path)).name == "local_git"
    with pytest.raises(Unavailable, match=r"No forge takes https://git\.example/shop"):
        plugins.forge("https://somebody:secret@git.example/shop")
