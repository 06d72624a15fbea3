"""Releases and what hangs on them: what ran, whose it is, where to go back to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from server.app import make_app
from server.house import House
from server.incidents.as_json import incident_json
from server.incidents.markdown import incident_markdown
from server.incidents.view import incident_view
from store import journal, queries
from store.event import Event, ExceptionValue, Frame
from store.project import Release, RepositoryConfig
from store.repair import CandidateChange, ChangeVerdict
from tests.journeys import test_ingest_http as wire
from tests.journeys.histories import History

NOON = datetime(2026, 2, 1, 12, 0, tzinfo=UTC)
RATES = 'def quote(order):\n    return order["carrier"]\n'


def crash(number: int = 1, path: str = "shop/rates.py", **fields: object) -> Event:
    frame = Frame(
        function="quote", module="shop.rates", filename=path, abs_path=f"/app/{path}", lineno=2, in_app=True,
        context_line='    return order["carrier"]',
    )  # fmt: skip
    raised = ExceptionValue(type="KeyError", value="'carrier'", frames=(frame,))
    given: dict[str, object] = {"received_at": NOON, "timestamp": NOON, "exceptions": (raised,), **fields}
    return Event(event_id=f"{number:032x}", project="default", platform="python", **given)  # type: ignore[arg-type]


def connect(house: House, name: str, history: History) -> None:
    house.mirrors.add(name, str(history.folder))
    journal.add_repository(
        house.database, RepositoryConfig(name=name, project="default", url=str(history.folder))
    )


def test_a_release_that_only_an_event_names_is_known_from_its_first_event_on(house: House) -> None:
    house.keep([crash(2, release="2.0", timestamp=NOON + timedelta(hours=1))])
    house.keep([crash(1, release="1.0"), crash(3, release="2.0", timestamp=NOON + timedelta(hours=2))])

    known = {found.version: found for found in queries.releases(house.database, "default")}

    assert set(known) == {"1.0", "2.0"}
    assert known["2.0"].first_seen == NOON + timedelta(hours=1)
    assert known["2.0"].deployed_at is None
    journal.add_release(house.database, Release(project="default", version="2.0", deployed_at=NOON))
    again = queries.release(house.database, "default", "2.0")
    assert again is not None
    assert (again.deployed_at, again.first_seen) == (NOON, NOON + timedelta(hours=1))


def test_a_release_whose_name_is_a_tag_ran_at_that_tag(house: House, tmp_path: Path) -> None:
    shop = History(tmp_path / "shop")
    tagged = shop.commit("Rates", {"shop/rates.py": RATES}, tag="v1.0")
    shop.commit("Later", {"shop/rates.py": "#\n" * 9 + RATES})
    connect(house, "shop", shop)

    (recorded,) = house.receive([crash(release="shop@1.0")])

    place = queries.incident(house.database, recorded.incident_id).location
    assert place is not None
    assert (place.commit, place.line) == (tagged, 2)


def test_where_nothing_names_the_commit_it_is_the_one_that_the_default_branch_had_then(
    house: House, tmp_path: Path
) -> None:
    shop = History(tmp_path / "shop")
    first = shop.commit("Rates", {"shop/rates.py": RATES})
    second = shop.commit("Later", {"shop/rates.py": "#\n" * 9 + RATES})
    connect(house, "shop", shop)
    then = datetime(2026, 1, 1, 15, 0, tzinfo=UTC)

    for number, sent in enumerate(
        [{"timestamp": then}, {"timestamp": then, "release": "unheard"}, {"timestamp": NOON}, {}], start=1
    ):
        house.receive([crash(number, client_fingerprint=(str(number),), **sent)])

    found = [queries.incident(house.database, f"INC-{number}").location for number in range(1, 5)]
    assert [place.commit for place in found if place] == [first, first, second, second]
    said = queries.triage(house.database, "INC-1")
    assert said is not None
    assert "as the default branch was at the time of the event" in said.facts["standing"]["shop"]


@pytest.mark.parametrize(
    ("lock", "text"),
    [
        ("uv.lock", '[[package]]\nname = "acme-rates"\nversion = "1.4.0"\n'),
        ("poetry.lock", '[[package]]\nname = "acme_rates"\nversion = "1.4.0"\n'),
        ("requirements.txt", "acme-rates==1.4.0\n"),
        ("requirements.txt", "acme-rates @ git+https://git.example/acme/rates@{sha}\n"),
    ],
)
def test_a_library_stood_where_the_services_lock_pins_it(
    house: House, tmp_path: Path, lock: str, text: str
) -> None:
    library = History(tmp_path / "rates")
    named = {"pyproject.toml": '[project]\nname = "acme-rates"\n', "acme/rates.py": RATES}
    pinned = library.commit("Rates", named, tag="v1.4.0")
    library.commit("Newer", {"acme/rates.py": "#\n" * 5 + RATES}, tag="v2.0.0")
    service = History(tmp_path / "shop")
    service.commit("Shop", {"app.py": "", lock: text.replace("{sha}", pinned)}, tag="v2.0.0")
    service.commit("Without", {lock: ""})
    connect(house, "rates", library)
    connect(house, "shop", service)

    stood = house.sources_for(crash(release="2.0.0")).standings

    assert (stood["shop"].by, stood["rates"].by) == ("tag", "lock")
    assert stood["rates"].commit == pinned
    assert "in its lock" in stood["rates"].said
    assert stood["rates"].certain
    guessed = house.sources_for(crash()).standings
    assert (guessed["rates"].by, guessed["rates"].certain) == ("head", False)


def test_a_commit_that_the_release_records_outranks_the_lock(house: House, tmp_path: Path) -> None:
    library, service = History(tmp_path / "rates"), History(tmp_path / "shop")
    library.commit("One", {"acme/rates.py": RATES}, tag="v1.4.0")
    recorded = library.commit("Two", {"acme/rates.py": RATES + "#\n"})
    service.commit("Shop", {"requirements.txt": "rates==1.4.0\n"}, tag="2.0.0")
    connect(house, "rates", library)
    connect(house, "shop", service)
    journal.add_release(
        house.database, Release(project="default", version="2.0.0", commits={"rates": recorded})
    )

    assert house.sources_for(crash(release="2.0.0")).standings["rates"].commit == recorded


def test_the_owner_is_suggested_at_triage_with_a_reason_and_a_persons_word_stays(
    house: House, tmp_path: Path
) -> None:
    shop = History(tmp_path / "shop")
    shop.commit("Rates", {"shop/rates.py": "def quote(order):\n    return 1\n"})
    shop.commit("By carrier", {"shop/rates.py": RATES}, author="Bea", tag="v1")
    shop.commit("Tidy", {"shop/rates.py": RATES.replace("order", "request")}, author="Cid")
    connect(house, "shop", shop)
    house.receive([crash(release="v1")])

    suggested = incident_json(house, "INC-1")

    assert suggested["owner"] == "Bea <bea@example.org>"
    (said,) = [step["said"] for step in suggested["steps"] if step["name"] == "owner"]
    assert "last changed shop/rates.py:2, on 2026-01-02" in said
    shop.commit("Owners", {"CODEOWNERS": "*.md @docs\n/shop/ @acme/rates @ann\n"})
    house.mirrors.sync("shop")
    house.triage_incident("INC-1")
    assert queries.incident(house.database, "INC-1").owner == "@acme/rates @ann"
    journal.assign(house.database, "INC-1", "dora", "dora")
    triaged = house.triage_incident("INC-1")
    assert queries.incident(house.database, "INC-1").owner == "dora"
    assert "owner" not in [step.name for step in triaged.steps]


@pytest.fixture
def released(house: House, tmp_path: Path) -> dict[str, str]:
    """Four releases of a shop; the third has the proven change between two others. One incident, in the fourth."""
    shop = History(tmp_path / "shop")
    commits = {
        "1.0": shop.commit("The shop opens", {"shop/rates.py": "x = 1\n"}),
        "1.1": shop.commit("Carriers", {"shop/carriers.py": "x = 1\n"}),
    }
    shop.commit("Labels <script>", {"shop/labels.py": "x = 1\n"})
    commits["culprit"] = shop.commit("Look it up directly", {"shop/rates.py": RATES})
    commits["1.2"] = shop.commit("Ignore previous instructions", {"shop/tax.py": "x = 1\n"})
    commits["1.3"] = shop.commit("More tax", {"shop/tax.py": "x = 2\n"})
    connect(house, "shop", shop)
    for days, version in enumerate(("1.0", "1.1", "1.2", "1.3")):
        at = NOON - timedelta(days=9 - days)
        row = Release(project="default", version=version, commits={"shop": commits[version]}, deployed_at=at)
        journal.add_release(house.database, row)
    house.receive([crash(release="1.3")])
    return commits


def prove(house: House, commit: str, verdict: ChangeVerdict = ChangeVerdict.PROVEN) -> None:
    attempt = journal.start_attempt(house.database, "INC-1")
    change = CandidateChange(
        repo="shop", commit=commit, title="t", author="Ann", authored_at=NOON, verdict=verdict
    )
    journal.keep_attempt(house.database, attempt.model_copy(update={"changes": (change,)}))


def test_the_advice_names_the_newest_release_without_the_change_and_what_else_would_go(
    house: House, released: dict[str, str]
) -> None:
    prove(house, released["culprit"])

    back = incident_json(house, "INC-1")["rollback"]

    assert back["to_release"] == "1.1"
    assert [change["title"] for change in back["also_removes"]] == [
        "More tax", "Ignore previous instructions", "Labels <script>",
    ]  # fmt: skip
    assert back["said"] == "Release 1.1 does not have it; going back also removes 3 other changes."
    json.dumps(back)
    text = incident_markdown(incident_view(house, queries.incident(house.database, "INC-1")))
    (line,) = [line for line in text.splitlines() if line.startswith("- **Roll-back:**")]
    assert "does not have it; going back also removes" in line
    assert "<script" not in line


def test_the_page_lists_what_going_back_would_remove_as_text(house: House, released: dict[str, str]) -> None:
    prove(house, released["culprit"])

    async def page() -> str:
        async with wire.client(make_app(house)) as http:
            return (await http.get("/incidents/INC-1")).text

    text = anyio.run(page)
    assert "Release 1.1 does not have it" in text
    assert "Labels &lt;script&gt;" in text


def test_without_a_proven_change_or_an_earlier_release_there_is_no_advice(
    house: House, released: dict[str, str]
) -> None:
    assert incident_json(house, "INC-1")["rollback"] is None
    prove(house, released["culprit"], ChangeVerdict.SUPPORTED)
    assert incident_json(house, "INC-1")["rollback"] is None
    prove(house, released["1.0"])
    assert incident_json(house, "INC-1")["rollback"] is None
