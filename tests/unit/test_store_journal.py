"""What is written is what was meant: events counted once, states changed with a trace, records kept whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from store import journal, queries
from store.artifacts import Artifacts
from store.bodies import FIRST_BODIES, is_sampled
from store.database import Database
from store.errors import BadPayload, NotFound
from store.event import Event
from store.incident import CodeLocation, Fingerprint, Kind, Lane, Status, Step, Triage, Verdict
from store.project import Release, RepositoryConfig
from store.recording import record_all
from store.repair import Ended
from store.tables import EventRow

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def db(tmp_path: Path, database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    yield database
    database.close()


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def report(event_id: str, key: str = "k", **fields: Any) -> tuple[Event, Fingerprint, str, str]:
    fields = {"project": "default", "received_at": NOON, "timestamp": NOON} | fields
    fingerprint = Fingerprint(key=key, mechanism="v1", parts=("ValueError", "app:main"))
    return Event(event_id=event_id, **fields), fingerprint, f"ValueError {key}", "app.main"


def verdict_of(lane: Lane, path: str = "app.py") -> Triage:
    verdict = Verdict(
        kind=Kind.APP_BUG, signal=True, score=0.9, threshold=0.5, classifier="c@1", reasons=("r",)
    )
    place = CodeLocation(
        repo="api", path=path, line=3, function="f", commit="c" * 40, confidence=1, method="exact"
    )
    return Triage(verdict=verdict, lane=lane, priority=7, why="new", title="T", culprit="f", location=place)


def test_a_second_event_of_the_same_error_only_bumps_the_counter(db: Database, artifacts: Artifacts) -> None:
    first, second = journal.record(
        db, artifacts, [report("a"), report("b", timestamp=NOON + timedelta(hours=1))]
    )

    assert (first.incident_id, first.new_incident) == ("INC-1", True)
    assert (second.incident_id, second.new_incident) == ("INC-1", False)
    incident = queries.incident(db, "INC-1")
    assert incident.event_count == 2
    assert (incident.first_seen, incident.last_seen) == (NOON, NOON + timedelta(hours=1))


def test_an_event_that_is_sent_twice_is_counted_once(db: Database, artifacts: Artifacts) -> None:
    journal.record(db, artifacts, [report("a")])

    again = journal.record(db, artifacts, [report("a"), report("b"), report("b")])

    assert [each.duplicate for each in again] == [True, False, True]
    assert {each.incident_id for each in again} == {"INC-1"}
    assert queries.incident(db, "INC-1").event_count == 2


def test_many_new_incidents_of_one_batch_are_numbered_in_the_order_in_which_they_came(
    db: Database, artifacts: Artifacts
) -> None:
    event, fingerprint, *named = report("later", key="renamed")
    follows = (event, fingerprint.model_copy(update={"earlier": ("k70",)}), *named)
    batch = [report(str(number), key=f"k{number}") for number in range(100)]

    recorded = journal.record(
        db, artifacts, [*batch, follows, report("7", key="unseen"), report("x", key="k3")]
    )

    assert [each.incident_id for each in recorded[:100]] == [f"INC-{number}" for number in range(1, 101)]
    assert all(each.new_incident for each in recorded[:100])
    assert [each.incident_id for each in recorded[100:]] == ["INC-71", "INC-8", "INC-4"]
    assert not any(each.new_incident for each in recorded[100:])
    assert [queries.incident(db, name).title for name in ("INC-1", "INC-100")] == [
        "ValueError k0",
        "ValueError k99",
    ]
    assert sum(queries.lane_counts(db).values()) == 100


def test_two_projects_may_use_the_same_event_id_and_fingerprint(db: Database, artifacts: Artifacts) -> None:
    journal.add_project(db, "shop")

    recorded = journal.record(
        db, artifacts, [report("a"), report("a", project="shop"), report("b", project="1")]
    )

    assert [each.incident_id for each in recorded] == ["INC-1", "INC-2", "INC-1"]
    assert not any(each.duplicate for each in recorded)
    assert queries.incident(db, "INC-2").project == "shop"


def test_a_batch_with_an_unknown_project_keeps_nothing(db: Database, artifacts: Artifacts) -> None:
    with pytest.raises(NotFound, match="no project 'nowhere'"):
        journal.record(db, artifacts, [report("a"), report("b", project="nowhere")])

    assert queries.incidents(db) == []


def test_distinct_users_are_counted_by_id_email_or_address(db: Database, artifacts: Artifacts) -> None:
    users = [
        {"id": 1, "email": "x"},
        {"id": "1"},
        {"email": "x"},
        {"ip_address": "::1"},
        {},
        {"id": {"odd": 1}},
    ]

    journal.record(db, artifacts, [report(str(n), user=user) for n, user in enumerate(users)])
    journal.record(db, artifacts, [report("again", user={"email": "x"})])

    assert queries.incident(db, "INC-1").user_count == 3


def test_the_first_event_of_a_release_is_told_from_the_next(db: Database, artifacts: Artifacts) -> None:
    first = journal.record(
        db, artifacts, [report("a", release="1.0"), report("b", release="1.0"), report("c")]
    )
    later = journal.record(db, artifacts, [report("d", release="1.0"), report("e", release="1.1")])

    assert [each.first_in_release for each in first + later] == [True, False, False, False, True]
    assert queries.incident(db, "INC-1").releases == ("1.0", "1.1")


def test_an_incident_that_has_grown_a_hundredfold_is_triaged_again(
    db: Database, artifacts: Artifacts
) -> None:
    recorded = journal.record(db, artifacts, [report(str(number)) for number in range(150)])

    assert [at for at, each in enumerate(recorded, 1) if each.wants_triage] == [1, 100]
    assert [at for at, each in enumerate(recorded, 1) if each.grown] == [100]


def test_of_every_event_the_row_is_kept_and_of_some_the_body(db: Database, artifacts: Artifacts) -> None:
    for start in range(0, 200, 40):
        journal.record(db, artifacts, [report(str(start + n + 1)) for n in range(40)])

    expected = {str(n) for n in range(1, 200) if is_sampled(n)} | {"200"}
    assert len(queries.occurrences(db, "INC-1")) == 200
    assert queries.kept_bodies(db, "INC-1") == expected
    assert {str(n) for n in range(1, FIRST_BODIES + 1)} < expected
    assert len(expected) < 40
    assert queries.events(db, "INC-1", limit=1)[0].event_id == "200"


def test_a_storm_of_a_million_keeps_fewer_than_a_hundred_bodies() -> None:
    assert 60 < sum(map(is_sampled, range(1, 1_000_001))) < 100


def test_a_new_event_brings_a_resolved_incident_back(db: Database, artifacts: Artifacts) -> None:
    journal.record(db, artifacts, [report("a")])
    journal.set_status(db, "INC-1", Status.RESOLVED, "ada", "fixed in 1.1")

    recorded = journal.record(db, artifacts, [report("b"), report("c")])

    assert [each.regressed for each in recorded] == [True, False]
    assert queries.incident(db, "INC-1").status is Status.REGRESSED
    resolved, regressed = queries.acts(db, "INC-1")
    assert (resolved.who, resolved.before, resolved.after, resolved.reason) == (
        "ada",
        "open",
        "resolved",
        "fixed in 1.1",
    )
    assert (regressed.what, regressed.before, regressed.after) == ("status", "resolved", "regressed")


def test_a_duplicate_does_not_bring_a_resolved_incident_back(db: Database, artifacts: Artifacts) -> None:
    journal.record(db, artifacts, [report("a")])
    journal.set_status(db, "INC-1", Status.RESOLVED, "ada", "")

    journal.record(db, artifacts, [report("a")])

    assert queries.incident(db, "INC-1").status is Status.RESOLVED


def test_text_that_is_not_unicode_is_kept_with_marks(db: Database, artifacts: Artifacts) -> None:
    event, fingerprint, _, _ = report("a\0", extra={"half \ud800": ["\udfff"]}, message="ok")

    journal.record(db, artifacts, [(event, fingerprint, "T\ud800\0" + "x" * 9999, "c")])

    incident = queries.incident(db, "INC-1")
    assert incident.title.startswith("T?x")
    assert len(incident.title) < 600
    assert queries.events(db, "INC-1")[0].extra == {"half ?": ["?"]}


def test_an_event_comes_back_as_it_went_in(db: Database, artifacts: Artifacts) -> None:
    raw = artifacts.put(b"payload")
    event, *rest = report(
        "a", tags={"a": "b"}, extra={"n": 1.5, "deep": [{"x": None}]}, raw=raw, service="web"
    )

    journal.record(db, artifacts, [(event, *rest)])

    assert queries.event(db, "a") == event


def test_a_reference_to_a_payload_that_nobody_holds_is_left_out(db: Database, artifacts: Artifacts) -> None:
    journal.record(db, artifacts, [report("a", raw="0" * 64)])

    kept = queries.event(db, "a")
    assert kept is not None
    assert kept.raw is None


def test_a_triage_changes_what_the_incident_says(db: Database, artifacts: Artifacts) -> None:
    journal.record(db, artifacts, [report("a")])

    journal.keep_triage(db, "INC-1", verdict_of(Lane.FOCUS))

    incident = queries.incident(db, "INC-1")
    assert (incident.lane, incident.priority, incident.title, incident.why) == (Lane.FOCUS, 7, "T", "new")
    assert incident.location == verdict_of(Lane.FOCUS).location
    assert queries.triage(db, "INC-1") == verdict_of(Lane.FOCUS)
    assert [(act.who, act.before, act.after) for act in queries.acts(db)] == [("triage", "backlog", "focus")]


def test_a_lane_that_a_person_set_outlives_the_next_triage(db: Database, artifacts: Artifacts) -> None:
    journal.record(db, artifacts, [report("a")])
    journal.set_lane(db, "INC-1", Lane.BACKLOG, "ada", "not noise")

    journal.keep_triage(db, "INC-1", verdict_of(Lane.NOISE))

    assert queries.incident(db, "INC-1").lane is Lane.BACKLOG
    assert [act.who for act in queries.acts(db, "INC-1")] == ["ada"]


def test_steps_are_seen_as_they_land_and_a_repeated_one_is_kept_once(
    db: Database, artifacts: Artifacts
) -> None:
    journal.record(db, artifacts, [report("a")])
    gather, prove = (Step(name=name, started_at=NOON, took=1, said="done") for name in ("gather", "prove"))
    attempt = journal.start_attempt(db, "INC-1")

    journal.note_step(db, attempt.id, gather)
    journal.note_step(db, attempt.id, gather)
    landed = queries.attempt(db, attempt.id)
    done = attempt.model_copy(update={"steps": (gather, prove), "ended": Ended.PROVEN, "finished_at": NOON})
    journal.keep_attempt(db, done)

    assert landed is not None
    assert landed.steps == (gather,)
    assert queries.latest_attempt(db, "INC-1") == done


def test_attempts_of_an_incident_are_numbered(db: Database, artifacts: Artifacts) -> None:
    journal.record(db, artifacts, [report("a"), report("b", key="other")])

    ids = [journal.start_attempt(db, incident).id for incident in ("INC-1", "INC-1", "INC-2")]

    assert ids == ["INC-1-1", "INC-1-2", "INC-2-1"]
    assert [attempt.id for attempt in queries.attempts(db, "INC-1")] == ids[:2]


def test_a_claim_is_had_by_one_at_a_time(db: Database, artifacts: Artifacts) -> None:
    journal.record(db, artifacts, [report("a")])

    assert journal.claim(db, "INC-1", "codex") is None
    assert journal.claim(db, "INC-1", "codex") is None
    assert journal.claim(db, "INC-1", "claude") == "codex"
    journal.unclaim(db, "INC-1", "codex")
    assert journal.claim(db, "INC-1", "claude") is None
    assert [(act.who, act.after) for act in queries.acts(db, "INC-1")] == [
        ("codex", "codex"),
        ("codex", None),
        ("claude", "claude"),
    ]


def test_an_owner_can_be_named_and_taken_back(db: Database, artifacts: Artifacts) -> None:
    journal.record(db, artifacts, [report("a")])

    journal.assign(db, "INC-1", "ada")
    assert queries.incident(db, "INC-1").owner == "ada"
    journal.assign(db, "INC-1", None, by="bob")

    assert queries.incident(db, "INC-1").owner is None
    assert [(act.before, act.after) for act in queries.acts(db, "INC-1")] == [(None, "ada"), ("ada", None)]


def test_what_is_unknown_is_named(db: Database) -> None:
    step = Step(name="s", started_at=NOON, took=0, said="")
    for act in (
        lambda: journal.set_status(db, "INC-9", Status.MUTED, "a", ""),
        lambda: journal.start_attempt(db, "INC-9"),
        lambda: journal.note_step(db, "INC-9-1", step),
        lambda: journal.add_key(db, "nowhere"),
        lambda: journal.revoke_key(db, "nothing"),
    ):
        with pytest.raises(NotFound):
            act()


@pytest.mark.parametrize("name", ["", "12", "a/b", "-x", "..", "x" * 65, "a b", "ä"])
def test_a_project_name_that_could_not_stand_in_a_route_is_refused(db: Database, name: str) -> None:
    with pytest.raises(BadPayload, match="cannot be a project's name"):
        journal.add_project(db, name)


def test_a_project_that_exists_is_not_made_again(db: Database) -> None:
    assert journal.add_project(db, "shop") == journal.add_project(db, "shop")
    assert [project.name for project in queries.projects(db)] == ["default", "shop"]


def test_a_revoked_key_opens_nothing_any_more(db: Database) -> None:
    fresh = journal.add_key(db, "default", public=True)

    assert queries.key(db, fresh.key) == fresh
    revoked = journal.revoke_key(db, fresh.key)

    assert revoked.revoked_at is not None
    assert journal.revoke_key(db, fresh.key) == revoked
    assert queries.key(db, fresh.key) is None
    assert queries.keys(db, "default")[-1] == revoked


def test_a_repository_added_again_is_changed(db: Database) -> None:
    there = RepositoryConfig(name="api", project="default", url="/srv/api")
    journal.add_repository(db, there)
    moved = there.model_copy(update={"url": "/srv/new", "config": {"python": "3.12"}})

    journal.add_repository(db, moved)
    journal.add_repository(db, moved)

    assert queries.repositories(db, "default") == [moved]
    assert len(queries.acts(db, "repository:default/api")) == 2


def test_what_is_known_of_a_release_adds_up(db: Database) -> None:
    staged = Release(project="default", version="1", commits={"api": "a" * 40}, environment="staging")
    deployed = Release(project="default", version="1", commits={"lib": "b" * 40}, deployed_at=NOON)
    later = Release(
        project="default", version="1", environment="staging", deployed_at=NOON + timedelta(days=1)
    )

    for each in (staged, deployed, later):
        journal.add_release(db, each)

    assert len(queries.releases(db, "default")) == 2
    found = queries.release(db, "default", "1")
    assert found is not None
    assert found.commits == {"api": "a" * 40, "lib": "b" * 40}
    assert found.deployed_at == NOON
    staging = queries.release(db, "default", "1", "staging")
    assert staging is not None
    assert staging.deployed_at == later.deployed_at
    assert queries.release(db, "default", "2") is None


def test_both_halves_of_a_race_keep_their_bodies(db: Database, artifacts: Artifacts) -> None:
    start = [report(f"first{n}") for n in range(300)]
    journal.record(db, artifacts, start)
    later = NOON + timedelta(minutes=1)

    def about(event_id: str, user: int, milliseconds: int) -> tuple[Event, Fingerprint, str, str]:
        return report(event_id, user={"id": user}, timestamp=later + timedelta(milliseconds=milliseconds))

    journal.record(db, artifacts, [about("together1", 1, 0), about("together2", 1, 40), report("other1")])
    journal.record(db, artifacts, [about("apart1", 2, 0), report("other2")])
    journal.record(db, artifacts, [about("apart2", 2, 500), report("other3")])
    journal.record(db, artifacts, [about("newest1", 3, 0)])
    journal.record(db, artifacts, [about("newest2", 3, 900)])
    journal.record(db, artifacts, [about("alone1", 4, 0), about("alone2", 4, 5000), report("last")])

    kept = queries.kept_bodies(db, "INC-1")
    assert {"together1", "together2", "apart1", "apart2", "newest1", "newest2", "last"} <= kept
    assert kept.isdisjoint({"alone1", "alone2", "other1", "other2", "other3"})


def test_bodies_that_an_earlier_version_wrote_are_read(db: Database, artifacts: Artifacts) -> None:
    event, *rest = report("a", message="from before")
    journal.record(db, artifacts, [(event, *rest)])
    with db.write() as session:
        session.execute(update(EventRow).values(body=zlib.compress(event.model_dump_json().encode())))

    assert queries.event(db, "a") == event


def test_of_several_senders_at_once_each_has_its_own_answer(db: Database, artifacts: Artifacts) -> None:
    good, wrong = [report("a"), report("b")], [report("c", project="nowhere")]

    first, second, third = record_all(db, artifacts, [good, wrong, [report("d")]])

    assert isinstance(first, list)
    assert isinstance(second, NotFound)
    assert isinstance(third, list)
    assert [each.event_id for each in (*first, *third)] == ["a", "b", "d"]
    assert queries.incident(db, "INC-1").event_count == 3


def test_an_incident_that_an_earlier_version_of_grouping_has_made_goes_on(
    db: Database, artifacts: Artifacts
) -> None:
    event, fingerprint, *named = report("b", key="new")
    both = (event, fingerprint.model_copy(update={"earlier": ("old",)}), *named)
    (first,) = journal.record(db, artifacts, [report("a", key="old")])
    (second,) = journal.record(db, artifacts, [both])
    (third,) = journal.record(db, artifacts, [report("c", key="new")])
    assert first.incident_id == second.incident_id == third.incident_id
    assert (first.new_incident, second.new_incident) == (True, False)
    assert len(queries.incident(db, first.incident_id).fingerprints) == 2
