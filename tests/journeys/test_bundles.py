"""A crash of bundled JavaScript, through the public doors: maps uploaded, found by id, in the repository, or too late."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from starlette.testclient import TestClient

from server.app import make_app
from server.cli import cli
from server.config import load
from server.house import House
from store import accounts, journal
from store.people import Scope
from tests.journeys.histories import History

BUNDLES = Path(__file__).resolve().parents[1] / "corpus" / "bundles"
MAP = BUNDLES / "dist" / "checkout.min.js.map"
ADDRESS = "https://shop.example/static/checkout.min.js"
DEBUG_ID = "3f1c2d7e-8c1b-4e57-9d43-0a8f5a1f7c11"


def nightdesk(*args: str, data: Path, sent: str | None = None) -> Result:
    unset = {name: None for name in os.environ if name.startswith("NIGHTDESK_")}
    return CliRunner().invoke(
        cli, [*args, "--data", str(data)], env=unset, input=sent, catch_exceptions=False
    )


def crash(number: int = 1, release: str | None = "shop@7", **more: Any) -> str:
    """What a browser's SDK sends of the crash."""
    places = [("i", 263), ("n.total", 109)]
    frames = [
        {
            "function": name,
            "abs_path": ADDRESS,
            "filename": "/static/checkout.min.js",
            "lineno": 1,
            "colno": at,
            "in_app": True,
        }
        for name, at in places
    ]
    value = {
        "type": "TypeError",
        "value": "Cannot read properties of undefined (reading 'rate')",
        "stacktrace": {"frames": frames},
        "mechanism": {"type": "onerror", "handled": False},
    }
    event = {"event_id": f"{number:032x}", "platform": "javascript", "release": release, "level": "error"}
    return json.dumps({**event, "exception": {"values": [value]}, **more})


def shown(data: Path, incident: str = "INC-1") -> dict[str, Any]:
    done = nightdesk("show", incident, "--json", data=data)
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ingest(data: Path, sent: str) -> None:
    done = nightdesk("ingest", "-", "--format", "sentry", data=data, sent=sent)
    assert done.exit_code == 0, done.stderr


@pytest.fixture
def shop(tmp_path: Path) -> History:
    """The repository of the original files, without the bundle."""
    history = History(tmp_path / "shop-src")
    files = {f"src/{path.name}": path.read_text() for path in (BUNDLES / "src").iterdir()}
    history.commit("A checkout", files, tag="shop@7")
    return history


def test_a_crash_of_a_release_with_an_uploaded_map_is_located_in_the_original_file(
    tmp_path: Path, shop: History
):
    data = tmp_path / "data"
    assert nightdesk("repo", "add", "shop", str(shop.folder), data=data).exit_code == 0
    added = nightdesk("sourcemap", "add", str(MAP), "--release", "shop@7", data=data)
    assert (added.exit_code, "checkout.min.js" in added.stdout) == (0, True)

    ingest(data, crash())

    found = shown(data)
    assert (found["location"]["path"], found["location"]["line"]) == ("src/cart.ts", 8)
    assert found["location"]["method"] == "path, line text"
    assert found["culprit"].endswith("in Cart.total")
    assert "src.cart:Cart.total" in " ".join(found["fingerprint"]["parts"]) or "Cart.total" in str(
        found["fingerprint"]
    )


def test_two_builds_with_their_own_maps_make_one_incident(tmp_path: Path):
    data = tmp_path / "data"
    shifted = json.loads(MAP.read_text())
    shifted["mappings"] = ";;" + shifted["mappings"]  # the same code two lines further down
    other = tmp_path / "next" / "checkout.min.js.map"
    other.parent.mkdir()
    other.write_text(json.dumps(shifted))
    nightdesk("sourcemap", "add", str(MAP), "--release", "shop@7", data=data)
    nightdesk("sourcemap", "add", str(other), "--release", "shop@8", data=data)

    ingest(data, crash(1, "shop@7"))
    ingest(data, crash(2, "shop@8").replace('"lineno": 1', '"lineno": 3').replace('"n.total"', '"q.total"'))

    assert shown(data)["event_count"] == 2


def test_a_map_of_another_release_is_not_taken(tmp_path: Path):
    data = tmp_path / "data"
    nightdesk("sourcemap", "add", str(MAP), "--release", "shop@6", data=data)
    ingest(data, crash())
    assert "n.total" in shown(data)["culprit"]


def test_a_map_in_the_repository_at_the_releases_commit_is_used(tmp_path: Path, shop: History):
    data = tmp_path / "data"
    shop.commit("The bundle", {"public/static/checkout.min.js.map": MAP.read_text()}, tag="shop@9")
    nightdesk("repo", "add", "shop", str(shop.folder), data=data)
    ingest(data, crash(1, "shop@9"))
    found = shown(data)
    assert (found["location"]["path"], found["location"]["line"]) == ("src/cart.ts", 8)


def test_a_script_of_the_repository_is_not_taken_for_a_bundle_of_the_same_name(tmp_path: Path, shop: History):
    data = tmp_path / "data"
    files = {"public/checkout.min.js.map": MAP.read_text(), "vendored/static/checkout.min.js": "x\n"}
    shop.commit("A bundle, and another script of its name", files, tag="shop@9")
    nightdesk("repo", "add", "shop", str(shop.folder), data=data)
    ingest(data, crash(1, "shop@9"))
    assert "n.total" in shown(data)["culprit"]


def test_a_map_that_comes_after_the_crash_is_used_by_the_next_triage(tmp_path: Path, shop: History):
    data = tmp_path / "data"
    nightdesk("repo", "add", "shop", str(shop.folder), data=data)
    ingest(data, crash())
    assert shown(data)["location"] is None
    nightdesk("sourcemap", "add", str(MAP.parent), "--release", "shop@7", "--prefix", "static/", data=data)
    again = nightdesk("triage", "INC-1", data=data)
    assert "shop/src/cart.ts:8" in again.stdout


def test_the_id_of_a_build_finds_its_map_whatever_the_release_and_survives_redaction(tmp_path: Path):
    data = tmp_path / "data"
    told = {**json.loads(MAP.read_text()), "debugId": DEBUG_ID}
    with House.open(load(data, {})) as house:
        token, _ = accounts.create_token(house.database, scopes=(Scope.READ, Scope.STATE))
        headers = {"Authorization": f"Bearer {token}"}
        with TestClient(make_app(house)) as client:
            body = {"map": told, "name": "elsewhere/other.js", "release": "another"}
            answer = client.post("/api/v1/source-maps", json=body, headers=headers)
            assert answer.json() == {"name": "elsewhere/other.js", "release": "another", "debug_id": DEBUG_ID}
            refused = client.post("/api/v1/source-maps", json={"map": {"version": 1}}, headers=headers)
            assert (refused.status_code, "not a source map" in refused.text) == (400, True)
            told_flag = client.post(
                "/api/v1/flags", json={"flag": "dark", "after": "on"}, headers=headers
            ).json()
            assert (told_flag["flag"], told_flag["project"], bool(told_flag["who"])) == (
                "dark",
                "default",
                True,
            )
    images = [{"type": "sourcemap", "code_file": ADDRESS, "debug_id": DEBUG_ID}]
    ingest(data, crash(1, None, debug_meta={"images": images}))
    assert shown(data)["culprit"].endswith("in Cart.total")


def test_a_map_that_is_damaged_on_disk_costs_nobody_an_event(tmp_path: Path):
    data = tmp_path / "data"
    nightdesk("sourcemap", "add", str(MAP), "--release", "shop@7", data=data)
    for kept in (data / "artifacts").rglob("*"):
        if kept.is_file():
            kept.write_bytes(b"not what was kept")
    ingest(data, crash())
    assert "n.total" in shown(data)["culprit"]
    with House.open(load(data, {})) as house:
        assert journal.add_project(house.database, "default").name == "default"
