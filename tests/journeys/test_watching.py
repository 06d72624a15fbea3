"""Requests served, as Sentry's SDKs count them, reach the watch of a fix; a worker's rounds see to drafts of this machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from server.app import make_app
from server.house import House
from server.work.schedule import Schedule
from store import journal, queries, recurring
from store.incident import Status
from store.project import RepositoryConfig
from store.tables import ExposureRow
from tests.journeys import mcp_samples as samples
from tests.journeys import test_ingest_http as wire
from tests.sandbox import shop
from triage.formats.sentry_sessions import served_of

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


def envelope(*items: tuple[str, object]) -> bytes:
    lines = [json.dumps({"sent_at": NOW.isoformat()})]
    for kind, told in items:
        lines += [json.dumps({"type": kind}), json.dumps(told)]
    return "\n".join(lines).encode()


def summed(*rows: dict[str, object], release: object = "shop@2") -> tuple[str, object]:
    return "sessions", {"aggregates": list(rows), "attrs": {"release": release, "environment": "production"}}


def test_sums_and_single_sessions_are_counted_by_release() -> None:
    body = envelope(
        summed({"started": "2026-11-21T12:00:00Z", "exited": 90, "errored": 9, "crashed": 1}),
        ("session", {"init": True, "started": "2026-11-21T12:10:00Z", "attrs": {"release": "shop@3"}}),
        ("session", {"init": False, "started": "2026-11-21T12:10:00Z", "attrs": {"release": "shop@3"}}),
    )
    assert [(one.release, one.environment, one.count) for one in served_of(body, NOW)] == [
        ("shop@2", "production", 100), ("shop@3", "", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "item",
    [
        summed({"exited": -5}),
        summed({"exited": "many"}),
        summed({"exited": True}),
        summed({"exited": 10**30}),
        summed({"exited": 5}, release=None),
        summed({"exited": 5}, release=""),
        ("sessions", {"aggregates": "none", "attrs": {"release": "a"}}),
        ("sessions", ["odd"]),
        ("session", {"init": "yes", "attrs": {"release": "a"}}),
    ],
)
def test_what_is_no_count_is_not_counted(item: tuple[str, object]) -> None:
    assert served_of(envelope(item), NOW) == []


def test_a_session_of_the_future_counts_as_now() -> None:
    (one,) = served_of(envelope(summed({"started": "2099-01-01T00:00:00Z", "exited": 1})), NOW)
    assert one.started == NOW
    assert served_of(b"no envelope", NOW) == []


@pytest.mark.anyio
async def test_sessions_at_the_door_are_counted_for_a_secret_key_and_not_for_a_public_one(
    house: House,
) -> None:
    public = journal.add_key(house.database, "default", public=True).key
    secret = queries.keys(house.database, "default")[0].key
    body = envelope(summed({"started": "2026-11-21T12:00:00Z", "exited": 40}))
    async with wire.client(make_app(house)) as http:
        for key in (secret, secret, public):
            answer = await http.post("/api/1/envelope/", content=body, params={"sentry_key": key})
            assert answer.status_code == 200
    with house.database.read() as session:
        (row,) = session.exec(select(ExposureRow)).all()
    assert (row.release, row.count, row.hour.minute) == ("shop@2", 80, 0)


def test_a_workers_rounds_see_a_merge_in_a_repository_of_this_machine(house: House, tmp_path: Path) -> None:
    base = shop.make_repository(tmp_path / "origin")
    house.mirrors.add("shop", str(tmp_path / "origin"))
    row = RepositoryConfig(name="shop", project="default", url=str(tmp_path / "origin"))
    journal.add_repository(house.database, row)
    house.receive([samples.event(1)])
    attempt = samples.attempt_with(house, "INC-1", "said")
    drafts = tuple(draft.model_copy(update={"base": base}) for draft in attempt.drafts)
    journal.keep_attempt(house.database, attempt.model_copy(update={"drafts": drafts}))
    origin = tmp_path / "origin"
    shop.git(origin, "checkout", "-q", "-b", "nightdesk/INC-1")
    (origin / "fix.py").write_text("FIXED = True\n", encoding="utf-8")
    shop.git(origin, "add", "-A")
    shop.git(origin, "commit", "-qm", "Fix")
    fixed = shop.git(origin, "rev-parse", "HEAD")
    shop.git(origin, "checkout", "-q", "main")
    now = [datetime.now(UTC)]
    schedule = Schedule(house, lambda: False, clock=lambda: now[0])

    schedule.round()
    assert queries.incident(house.database, "INC-1").status is Status.OPEN
    shop.git(origin, "merge", "-q", "--no-ff", "-m", "Merge", "nightdesk/INC-1")
    now[0] += timedelta(minutes=2)
    schedule.round()
    assert queries.incident(house.database, "INC-1").status is Status.RESOLVED
    (watch,) = recurring.watches(house.database, "INC-1")
    assert watch.commits == {"shop": fixed}
    house.keep([samples.event(2, release=fixed, timestamp=datetime.now(UTC))])
    now[0] += timedelta(hours=1)
    schedule.round()
    assert queries.incident(house.database, "INC-1").status is Status.REGRESSED
