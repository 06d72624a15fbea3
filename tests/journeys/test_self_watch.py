"""Nightdesk hears its own crashes, without a loop and without a connection."""

from __future__ import annotations

import logging
import threading
from time import monotonic

import httpx
import pytest
import sentry_sdk

from server import metrics
from server.house import House
from server.operating import self_watch as watching
from server.operating.logs import about
from server.operating.self_watch import A_MINUTE, PROJECT, watched
from store import queries
from store.errors import NotFound
from store.incident import Incident
from tests.journeys import mcp_samples as samples
from tests.journeys.test_ingest_http import serving

log = logging.getLogger("nightdesk.test")


def own(house: House) -> list[Incident]:
    try:
        return queries.incidents(house.database, project=PROJECT)
    except NotFound:
        return []


def crash(text: str = "secret token=ghp_0123456789abcdefghijABCDEFGHIJ012345") -> None:
    try:
        raise ZeroDivisionError(text)
    except ZeroDivisionError:
        log.exception("A step failed.")


def test_a_crash_of_our_own_becomes_an_incident_of_the_project_nightdesk_and_is_redacted(
    house: House,
) -> None:
    with watched(house), about("causes", incident="INC-3"):
        crash()
    (incident,) = own(house)
    (event,) = queries.events(house.database, incident.id)
    assert "ZeroDivisionError" in incident.title
    assert event.tags["step"] == "causes"
    assert "ghp_0123456789" not in event.model_dump_json()
    crash()  # nobody watches any more
    assert queries.incident(house.database, incident.id).event_count == 1


def test_what_goes_wrong_while_a_crash_is_kept_is_not_reported_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fail(*_: object) -> None:
        tried.append(1)
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr(house, "keep", fail)
    with watched(house):
        crash()
    assert tried == [1]


def test_a_storm_of_crashes_is_kept_in_part_and_nobody_waits_for_it(house: House) -> None:
    began = monotonic()
    with watched(house):
        for number in range(A_MINUTE * 20):
            crash(f"number {number}")
        assert monotonic() - began < 10
    assert sum(incident.event_count for incident in own(house)) == A_MINUTE


def test_crashes_of_threads_are_heard_and_warnings_are_not(house: House) -> None:
    with watched(house):
        log.warning("only slow")
        log.error("something is wrong")
        threading.Thread(target=sentry_sdk.capture_message, args=("from a thread",)).start()
    titles = " ".join(incident.title for incident in own(house))
    assert "something is wrong" in titles
    assert "only slow" not in titles


def test_the_settings_can_say_that_nobody_watches(house: House) -> None:
    quiet = house.confined_to(None)
    quiet.config = house.config.model_copy(update={"watch_itself": False})
    with watched(quiet):
        crash()
    assert own(house) == []
    assert watching.PROJECT == "nightdesk"


def test_a_route_that_breaks_and_a_step_that_breaks_are_incidents_of_their_own_and_there_is_no_loop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise LookupError("figures are gone")

    monkeypatch.setattr(metrics, "figures", breaks)
    monkeypatch.setattr(House, "triage_incident", breaks)
    with watched(house), serving(house) as (host, _):
        assert httpx.get(f"http://{host}/metrics", timeout=30).status_code == 500
        house.keep([samples.event(1)])  # the server has a worker in it
        until, pause = monotonic() + 60, threading.Event()
        while "triage" not in steps_of(house):
            assert monotonic() < until, own(house)
            pause.wait(0.1)
    found = own(house)
    assert all("LookupError: figures are gone" in incident.title for incident in found)
    assert steps_of(house) == {None, "triage"}
    assert sum(incident.event_count for incident in found) <= A_MINUTE


def steps_of(house: House) -> set[str | None]:
    """The steps in which something of our own went wrong."""
    return {
        event.tags.get("step")
        for incident in own(house)
        for event in queries.events(house.database, incident.id)
    }
