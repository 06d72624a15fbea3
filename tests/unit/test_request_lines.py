"""A line of an access log is kept with who asked and how long it took, and is tied to the error of its request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.house import House
from server.incidents.evidence import request_lines
from server.incidents.view import incident_view
from server.intake.parsing import own_events
from store import queries
from store import request_lines as shelf
from store.event import Event, Request, RequestLine
from triage.formats.access_logs import of_log

NOW = datetime(2026, 11, 20, 10, 0, 30, 250_000, tzinfo=UTC)
CLF = '10.1.2.3 - - [20/Nov/2026:10:00:30 +0000] "POST /checkout/7?step=2 HTTP/1.1" 500 17 "-" "curl"'


def lines(text: str) -> list[RequestLine]:
    return [one.line for one in of_log(text, NOW) if one.line is not None]


def crash(**more: Any) -> Event:
    request = Request(
        method="POST", url="https://shop.example/checkout/7?step=2", headers=more.pop("headers", {})
    )
    return Event(
        event_id="e" * 32, project="default", received_at=NOW, timestamp=NOW, request=request, **more
    )


def kept(house: House, text: str) -> None:
    house.count_served([(1, of_log(text, NOW))])


@pytest.mark.parametrize(
    ("line", "seconds", "request_id", "writer"),
    [
        (CLF, None, None, None),
        (f"{CLF} 0.120", 0.12, None, None),
        (f"{CLF} rt=1.5 request_id=ab12cd34", 1.5, "ab12cd34", None),
        (f"{CLF} 35ms", 0.035, None, None),
        (f"web-1  | {CLF} 120000", None, None, "web-1"),
        (f"2026-11-20T10:00:30.1Z stdout F {CLF}", None, None, "stdout"),
    ],
)  # fmt: skip
def test_a_line_says_who_asked_and_how_long_it_took(
    line: str, seconds: float | None, request_id: str | None, writer: str | None
) -> None:
    (found,) = lines(line)
    assert (found.method, found.path, found.status) == ("POST", "/checkout/7?step=2", 500)
    assert (found.client, found.seconds) == ("10.1.2.3", seconds)
    assert (found.request_id, found.writer) == (request_id, writer)


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ('"duration_ms": 12.5', 0.0125),
        ('"responseTime": 40', 0.04),
        ('"latency": "0.250s"', 0.25),
        ('"request_time": "0.007"', 0.007),
        ('"duration": true', None),
        ('"duration": 1e300', None),
    ],
)  # fmt: skip
def test_a_json_line_says_so_in_its_own_names(more: str, seconds: float | None) -> None:
    named = '"remote_addr": "::1", "request_id": "r-1", "container_name": "web-2"'
    (found,) = lines(f'{{"method": "get", "path": "/x", "status": 200, {named}, {more}}}')
    assert (found.client, found.request_id, found.writer) == ("::1", "r-1", "web-2")
    assert found.seconds == seconds


def test_an_error_is_tied_to_the_line_of_its_request_and_evidence_shows_it(house: House) -> None:
    other = CLF.replace("/checkout/7", "/checkout/8")
    text = f"{other} 0.010\n{CLF.replace(' 500 ', ' 200 ')} 0.020\nweb-1 | {CLF} 0.120\n"
    kept(house, text)
    house.keep([crash(message="boom", server_name="web-1")])

    view = incident_view(house, queries.incident(house.database, "INC-1"))

    assert [one.line.status for one in view.served] == [500, 200]
    assert next(request_lines(view)) == (
        "access log (the same method and path in the same container, 0 ms apart), 10:00:30: "
        "POST /checkout/7?step=2 500 in 120 ms for 10.1.2.3, written by web-1"
    )


def test_the_id_of_a_request_ties_whatever_the_clocks_say(house: House) -> None:
    late = CLF.replace("10:00:30", "10:00:58")
    kept(house, f"{CLF}\n{late} request_id=abcdef0123\n")
    (found,) = shelf.tied(house.database, crash(headers={"X-Request-Id": "abcdef0123"}))
    assert (found.because, found.line.request_id) == ("the same request id", "abcdef0123")


def test_a_line_of_another_moment_or_place_is_not_tied(house: House) -> None:
    kept(house, f"{CLF.replace('10:00:30', '10:00:33')}\n{CLF.replace('POST', 'GET')}\n")
    assert shelf.tied(house.database, crash()) == []
    slow = CLF.replace("10:00:30", "10:00:33")
    kept(house, f"{slow} 4.000\n")  # it began before the error, and ended after it
    assert [one.line.seconds for one in shelf.tied(house.database, crash())] == [4.0]


def test_lines_are_kept_without_secrets(house: House) -> None:
    kept(house, CLF.replace("step=2", "password=hunter2secret&mail=ann@example.com"))
    (found,) = shelf.between(house.database, "default", NOW - timedelta(hours=1), NOW)
    assert "hunter2secret" not in found.line.path
    assert "ann@" not in found.line.path


def test_lines_go_once_they_are_old_or_too_many(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def count() -> int:
        return len(shelf.between(house.database, "default", NOW - timedelta(days=9), NOW))

    kept(house, "\n".join([CLF] * 12))
    monkeypatch.setattr(shelf, "MOST", 10)
    assert (shelf.forget(house.database, NOW), count()) == (2, 10)
    assert (shelf.forget(house.database, NOW + shelf.KEPT + timedelta(seconds=1)), count()) == (10, 0)


def test_a_log_that_is_posted_is_told_with_its_lines() -> None:
    told = own_events(f"{CLF}\n".encode(), {"content-type": "text/plain"}, project="default", received_at=NOW)
    assert [one.line.client for one in told.served if one.line] == ["10.1.2.3"]
