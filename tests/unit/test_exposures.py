"""Since when a change runs: where the incident happened, and where it was tried before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fixloop.changes.words import Exposure
from server.repairs.workbench import exposures
from store import journal
from store.database import Database
from store.mirrors import Mirrors
from store.project import Release
from tests.sandbox.histories import History, write

NOON = datetime(2026, 10, 14, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=42)


def test_a_trial_on_staging_is_not_taken_for_production(tmp_path: Path, database_url: str) -> None:
    old, new = write(
        tmp_path / "origin",
        History(
            "shop", [("One", "2026-09-01", {"a.py": "A = 1\n"}), ("Two", "2026-10-05", {"a.py": "A = 2\n"})]
        ),
    )
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.add("shop", str(tmp_path / "origin"))
    db = Database.open(database_url)
    try:
        for version, sha, place, at in (
            ("1", old, "production", NOON - timedelta(days=30)),
            ("2-rc", new, "staging", NOON),
            ("2", new, "production", LATER),
        ):
            journal.add_release(db, Release(
                project="default", version=version, commits={"shop": sha}, environment=place, deployed_at=at,
            ))  # fmt: skip
        shop = {"shop": mirrors.get("shop")}
        in_production = exposures(db, "default", ["production"], shop)
        assert in_production["shop", old].tried is None
        assert in_production["shop", new] == Exposure(LATER, "production", ("staging", NOON))
        assert exposures(db, "default", ["staging"], shop)["shop", new] == Exposure(NOON, "staging")
        assert exposures(db, "default", [], shop)["shop", new] == Exposure(NOON, "staging")
    finally:
        db.close()
