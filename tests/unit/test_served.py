"""Requests that ended: read from what senders say, counted by the minute, compared with what was usual."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.intake.spikes import spike
from store import journal, queries
from store.artifacts import Artifacts
from store.database import Database
from store.event import Event, Request, Served
from store.incident import Fingerprint
from store.rates import KEPT, Rates, count_served, forget, rates
from triage.formats.access_logs import of_log
from triage.formats.sentry import receive
from triage.formats.served import endpoint_of, of_sessions, of_transaction

NOW = datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(f"sqlite:///{tmp_path / 'nightdesk.sqlite'}")
    yield opened
    opened.close()


def report(number: int, at: datetime) -> tuple[Event, Fingerprint, str, str]:
    event = Event(
        event_id=f"e{number}",
        project="default",
        received_at=at,
        timestamp=at,
        request=Request(method="POST", url=f"https://shop.example/orders/{number}?token=x"),
    )
    return event, Fingerprint(key="k", mechanism="v1", parts=()), "T", "c"


@pytest.mark.parametrize(
    ("line", "endpoint", "bad"),
    [
        ('10.1.2.3 - ann [20/Nov/2026:10:00:29 +0000] "GET /orders/4711?x=1 HTTP/1.1" 200 512 "-" "curl"', "GET /orders/<n>", 0),
        ('web-1 | ::1 - - [20/Nov/2026:11:00:29 +0100] "POST /checkout HTTP/1.1" 502 0', "POST /checkout", 1),
        ('INFO:     127.0.0.1:52341 - "GET /users/8f14e45f-ceea-467f-ab5c-1e2d3c4b5a69 HTTP/1.1" 500 Internal', "GET /users/<n>", 1),
        ('{"method": "GET", "path": "/v1/rates", "status": 404, "time": "2026-11-20T10:00:29Z", "duration": 0.2}', "GET /v1/rates", 0),
        ('{"httpRequest": {"requestMethod": "PUT", "requestUrl": "https://x/cart/9", "status": 503}}', "PUT /cart/<n>", 1),
    ],
)  # fmt: skip
def test_a_line_of_an_access_log_is_one_request_of_its_endpoint(line: str, endpoint: str, bad: int) -> None:
    (found,) = of_log(f"starting up\n{line}\n", NOW)

    assert (found.endpoint, found.good, found.bad) == (endpoint, 1 - bad, bad)
    assert NOW - timedelta(seconds=1) <= found.at <= NOW


@pytest.mark.parametrize("text", ["", "plain words\n", '{"status": "fine"}\n', '"GET /x" 200', '{"method": "GET", "path": "/x", "status": 99999}'])  # fmt: skip
def test_text_without_requests_has_none(text: str) -> None:
    assert of_log(text, NOW) == []


def test_an_endpoint_has_no_ids_no_query_and_no_personal_data() -> None:
    assert endpoint_of("GET", "https://h/u/ann@example.com/orders/12?token=s") == "GET /u/<n>/orders/<n>"
    assert endpoint_of("GET", "http://[half/x?y=1") == "GET http://[half/x"


def test_transactions_and_sessions_tell_what_ended_well_and_what_did_not() -> None:
    fine = {"transaction": "checkout", "timestamp": NOW.timestamp(), "contexts": {"trace": {"status": "ok"}}}
    failed = fine | {"contexts": {"trace": {"status": "internal_error"}}}
    assert [(one.good, one.bad) for sent in (fine, failed) for one in of_transaction(sent, NOW)] == [
        (1, 0),
        (0, 1),
    ]
    assert of_transaction({"transaction": None}, NOW) == []
    sums = {"aggregates": [{"started": "2026-11-20T10:00:00Z", "exited": 7, "errored": 2, "crashed": 1}]}
    assert [(one.endpoint, one.good, one.bad) for one in of_sessions(sums, NOW)] == [("", 7, 3)]
    assert of_sessions({"aggregates": "no"}, NOW) == []


def test_an_envelope_with_a_broken_transaction_still_gives_its_event() -> None:
    body = (
        b'{"event_id":"'
        + b"a" * 32
        + b'"}\n{"type":"transaction"}\n{broken\n{"type":"event"}\n{"message":"m"}\n'
    )

    received = receive(body, project="p", received_at=NOW)

    assert (len(received.events), received.served) == (1, ())


def test_counts_add_up_by_minute_and_old_ones_go(db: Database) -> None:
    told = [Served(endpoint="GET /x", at=NOW, good=1), Served(endpoint="GET /x", at=NOW, bad=1)]
    count_served(db, [(1, told), (1, told)])
    count_served(db, [(1, [Served(endpoint="GET /x", at=NOW - timedelta(hours=2), good=5)])])

    assert rates(db, 1, "GET /x", NOW) == Rates(2, 2, 5, 0, 111)
    assert rates(db, 1, "GET /y", NOW) == Rates()
    assert forget(db, NOW + KEPT - timedelta(hours=1)) == 1
    assert rates(db, 1, "GET /x", NOW) == Rates(2, 2, 0, 0, 0)


def test_a_share_that_rises_from_a_trace_to_a_lot_is_a_spike(db: Database, tmp_path: Path) -> None:
    journal.record(db, Artifacts(tmp_path), [report(1, NOW)])
    incident, event = queries.incident(db, "INC-1"), report(1, NOW)[0]
    before = NOW - timedelta(hours=3)
    count_served(db, [(1, [Served(endpoint="POST /orders/<n>", at=before, good=998, bad=2)])])
    count_served(db, [(1, [Served(endpoint="POST /orders/<n>", at=NOW, good=61, bad=0)])])
    assert spike(db, incident, event) is None

    count_served(db, [(1, [Served(endpoint="POST /orders/<n>", at=NOW, bad=11)])])

    assert spike(db, incident, event) == "0.2 % → 15.3 % of POST /orders/<n> fail"


def test_without_successes_the_events_of_a_minute_are_compared_and_triage_is_asked_for_once(
    db: Database, tmp_path: Path
) -> None:
    artifacts = Artifacts(tmp_path)
    journal.record(db, artifacts, [report(n, NOW - timedelta(minutes=90 - n)) for n in range(60)])
    storm = [report(100 + n, NOW) for n in range(60)]

    recorded = journal.record(db, artifacts, storm[:15]) + journal.record(db, artifacts, storm[15:])

    assert [at for at, each in enumerate(recorded, 1) if each.grown] == [
        10,
        40,
    ]  # the spike, and the hundredth
    assert spike(db, queries.incident(db, "INC-1"), storm[-1][0]) == "0.74 → 6.0 events a minute"
