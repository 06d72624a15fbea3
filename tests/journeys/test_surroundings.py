"""What is around an incident, through the real store and commands: near events, deploys, flags, the past, the team's words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.cli import cli
from server.config import load
from server.house import House
from server.incidents.as_json import incident_json
from server.incidents.lookup import incident_by_id
from server.incidents.markdown import incident_markdown
from server.incidents.view import incident_view
from server.work.triaging import wants_repair
from store import flags, journal, queries, surroundings
from store.event import Event, Request
from store.flags import FlagChange
from store.incident import Status
from store.project import Release, RepositoryConfig
from tests.journeys.histories import History
from tests.unit.triage_samples import NOW, frame, raised

CODE = "def total(lines):\n    return sum(line['price'] for line in lines)\n"
BOOK = "---\nexceptions: KeyError\n---\n# A price is missing\n\nRun `shop reprice`.\n"
README = "# Shop\n\nThe shop takes orders and money.\n"
AGENTS = "# Rules\n\nErrors of callers are ValueError.\n"
CI = "jobs:\n  test:\n    steps:\n      - run: uv run pytest -q\n      - run: echo done\n"
CONFIG = 'critical_paths = ["/orders/*"]\n'


def crash(number: int, at: datetime = NOW, kind: str = "KeyError", **fields: Any) -> Event:
    place = frame(
        "/app/shop/cart.py", 2, "total", "    return sum(line['price'] for line in lines)", module="shop.cart"
    )
    return Event(
        **{
            "event_id": f"{number:032x}", "project": "default", "received_at": at, "timestamp": at, "platform": "python",
            "environment": "production", "exceptions": (raised(kind, "'price'", place, handled=False),), **fields,
        }
    )  # fmt: skip


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    history = History(tmp_path / "shop-src")
    files = {
        "shop/cart.py": CODE, "docs/runbooks/prices.md": BOOK, "README.md": README, "AGENTS.md": AGENTS,
        ".github/workflows/ci.yml": CI, ".nightdesk.toml": CONFIG,
    }  # fmt: skip
    history.commit("The shop", files)
    with House.open(load(tmp_path / "data", {})) as found:
        found.mirrors.add("shop", str(history.folder))
        journal.add_repository(
            found.database, RepositoryConfig(name="shop", project="default", url=str(history.folder))
        )
        yield found


def facts_of(house: House, incident: str) -> dict[str, Any]:
    found = queries.triage(house.database, incident)
    assert found is not None
    return found.facts


def asked(order: str) -> Request:
    return Request(method="POST", url=f"https://shop.example/orders/{order}/pay")


def test_another_incident_of_the_same_order_seven_milliseconds_before_is_named(house: House) -> None:
    house.receive([crash(1, NOW - timedelta(milliseconds=7), "TimeoutError", request=asked("A-17"))])
    house.receive([crash(2, NOW - timedelta(milliseconds=5), "ValueError", request=asked("B-9"))])
    house.receive([crash(3, request=asked("A-17"))])
    (near,) = facts_of(house, "INC-3")["near"]
    assert (near["incident"], near["apart_ms"], near["shared"]) == ("INC-1", -7.0, ["order=A-17"])


def test_deploys_and_flags_of_its_environment_before_its_first_event_are_told(house: House) -> None:
    db = house.database
    for version, minutes, environment in (("shop@7", 12, "production"), ("shop@8", 3, "staging")):
        deployed = NOW - timedelta(minutes=minutes)
        journal.add_release(
            db, Release(project="default", version=version, environment=environment, deployed_at=deployed)
        )
    moment = NOW - timedelta(minutes=2)
    for flag, environment in (("dark", None), ("light", "staging")):
        change = FlagChange(
            project="default", flag=flag, after="on", at=moment, environment=environment, who="ann"
        )
        flags.add(db, change)
        flags.add(db, change)
    house.receive([crash(1)])
    assert facts_of(house, "INC-1")["changes_before"] == [
        "12 min before its first event, release shop@7 was deployed to production",
        "2 min before its first event, flag dark was set to on by ann",
    ]


def test_a_resolved_incident_like_it_is_named_with_who_resolved_it_and_why(house: House) -> None:
    house.receive([crash(1)])
    journal.set_status(house.database, "INC-1", Status.RESOLVED, "ann", "prices are checked at import")
    other = crash(2, NOW + timedelta(hours=1), client_fingerprint=("{{ default }}", "eu"))
    house.receive([other])
    (like,) = facts_of(house, "INC-2")["similar"]
    assert (like["incident"], like["outcome"]) == ("INC-1", "resolved by ann (prices are checked at import)")
    assert len(queries.incidents(house.database)) == 2


def test_what_the_team_has_written_is_used_and_shown_where_it_was_used(house: House) -> None:
    house.receive([crash(1, request=asked("A-17"))])
    facts = facts_of(house, "INC-1")
    assert [book["path"] for book in facts["runbooks"]] == ["docs/runbooks/prices.md"]
    assert facts["critical"] == "/orders/*"
    view = incident_view(house, incident_by_id(house, "INC-1"))
    shown = incident_markdown(view, ["guidance"])
    for part in (
        "A price is missing",
        "shop reprice",
        "takes orders and money",
        "Errors of callers",
        "uv run pytest -q",
    ):
        assert part in shown
    assert "echo done" not in shown
    assert "critical path (/orders/*)" in view.incident.why


def test_an_incident_that_comes_and_goes_and_reaches_another_release_says_so(house: House) -> None:
    for number, (hours, release) in enumerate([(0, "1"), (3, "1"), (6, "1"), (9, "2")], start=1):
        house.receive([crash(number, NOW + timedelta(hours=hours), release=release)])
    facts = facts_of(house, "INC-1")
    assert facts["phase"] == "spreading"
    assert facts["spreads_to"] == [{"kind": "another release", "value": "2"}]
    assert len(facts["episodes"]) == 4
    told = incident_json(house, "INC-1")["surroundings"]
    assert told["spreads_by"] == ["another release"]
    assert (told["near"], told["first_release"]) == (None, "1")


def test_an_incident_in_focus_without_a_place_in_the_code_is_not_repaired_and_says_why(house: House) -> None:
    elsewhere = raised("KeyError", "'x'", frame("/srv/other/a.py", 3, "f", "x = d['x']"), handled=False)
    house.receive([crash(1, exceptions=(elsewhere,))])
    house.receive([crash(2)])
    lost, found = (queries.incident(house.database, name) for name in ("INC-1", "INC-2"))
    assert (lost.lane, found.lane) == ("focus", "focus")
    assert not wants_repair(house, lost)
    assert wants_repair(house, found) is house.sandbox.self_test().ok
    shown = incident_markdown(incident_view(house, lost))
    assert "no repair was tried; no line of ours is known that it happened in" in shown


def test_flags_are_set_and_listed_from_the_command_line(tmp_path: Path) -> None:
    unset = {name: None for name in os.environ if name.startswith("NIGHTDESK_")}

    def run(*words: str) -> Any:
        done = CliRunner().invoke(cli, [*words, "--data", str(tmp_path / "data"), "--json"], env=unset)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    assert run("flag", "list") == []
    run("flag", "set", "dark", "on", "--before", "off", "--by", "ann")
    (row,) = run("flag", "list", "--since", "1d")
    assert (row["flag"], row["before"], row["after"], row["who"]) == ("dark", "off", "on", "ann")


def test_what_is_around_is_bounded_however_much_there_is(house: House) -> None:
    storm = [crash(n, NOW + timedelta(milliseconds=n), "ValueError", user={"id": "7"}) for n in range(1, 60)]
    house.keep(storm)
    house.receive([crash(99, user={"id": "7"})])
    event = queries.events(house.database, "INC-2", limit=1)[0]
    assert len(surroundings.beside(house.database, event, timedelta(seconds=1))) == 16
    assert len(facts_of(house, "INC-2")["near"]) == 5
