"""What is around a failure: near in time, before it, like it, how it runs, what the team has written; with decoys."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.event import Breadcrumb, Request
from store.incident import CodeLocation, Kind, Lane
from tests.unit.triage_samples import NOW, Files, event, frame, raised
from triage.analyse import History
from triage.classify import Rules
from triage.course import Reached, Seen, episodes, flapping, span_words, spreading
from triage.entities import entities, objects, shared
from triage.nearness import Neighbour, failing_share, near, pairs
from triage.pipeline import triage
from triage.runbooks import covers, matching, read
from triage.similar import Known, similar
from triage.surroundings import Change, Surroundings, look

OWN = frame("/app/shop/cart.py", 7, "total", "x = d[k]", module="shop.cart", vars={"order_id": "'A-17'"})
BUG = raised("KeyError", "'carrier'", OWN, handled=False)
PLACE = CodeLocation(
    repo="shop", path="shop/cart.py", line=7, function="total", commit="c" * 40, confidence=0.9, method="path"
)


def at(milliseconds: float):
    return NOW + timedelta(milliseconds=milliseconds)


def judged(found, around=None, **history):
    code = {"shop": {"shop/cart.py": "\n" * 6 + "x = d[k]\n"}}
    known = History(around=around or Surroundings(), **history)
    return triage(found, known, Files(code), Rules(), lambda: NOW)


# --- entities ---


def test_an_order_is_the_same_in_a_path_a_query_a_body_a_tag_and_a_variable():
    url = "https://shop.example/orders/A-17/pay"
    told = [
        event(BUG),
        event(request=Request(url=url)),
        event(request=Request(url="/pay", query_string="orderId=A-17")),
        event(request=Request(url="/pay", data={"order_id": "A-17"})),
        event(tags={"order.id": "A-17"}),
    ]
    assert {entities(each).get("order") for each in told} == {"A-17"}
    assert shared(entities(told[0]), entities(told[1])) == ("order=A-17",)


def test_what_is_no_id_names_nothing():
    told = event(
        request=Request(url="/orders/new", data={"id": None, "user_id": True, "count": 42, "key": {"a": 1}})
    )
    assert entities(told) == {}


@given(st.text(max_size=200))
def test_no_address_or_text_breaks_the_search_for_entities(text):
    found = event(raised("E", text), request=Request(url=text, query_string=text, data={text: text}))
    assert len(entities(found)) <= 40
    assert objects(found) == objects(found)


# --- near in time ---


def other(milliseconds: float, kind: Kind | None = None, **fields) -> Neighbour:
    found = event(
        **{"event_id": "f" * 32, "timestamp": at(milliseconds), "transaction": "POST /pay", **fields}
    )
    return Neighbour(found, "INC-7", kind)


def test_two_requests_for_one_order_seven_milliseconds_apart_are_told_as_one_matter():
    (found,) = near(event(BUG), [other(-7, tags={"order_id": "A-17"})])
    assert found.said == "INC-7 was 7 ms before it about the same order"
    assert (found.what, found.shared) == ("POST /pay", ("order=A-17",))


@pytest.mark.parametrize(
    ("milliseconds", "tags"), [(-7, {"order_id": "B-2"}), (-7, {}), (-1500, {"order_id": "A-17"})]
)
def test_what_is_only_close_or_only_about_the_same_thing_is_left_out(milliseconds, tags):
    assert near(event(BUG), [other(milliseconds, tags=tags)]) == ()


def test_the_log_that_came_along_is_read_to_the_millisecond():
    lines = (
        Breadcrumb(timestamp=at(-12), category="log", message="reserved A-17 for ann"),
        Breadcrumb(timestamp=at(-10), category="log", message="reserved B-9 for bob"),
    )
    (found,) = near(event(BUG, breadcrumbs=lines), [])
    assert (round(found.apart), found.shared) == (-12, ("order=A-17",))


def test_a_pair_of_requests_in_the_log_is_told_with_what_both_are_about():
    lines = tuple(
        Breadcrumb(timestamp=at(when), message=f"POST /orders/{order}/pay HTTP/1.1 {status}")
        for when, order, status in ((-900, "B-9", 200), (-20, "A-17", 200), (-13, "A-17", 500))
    )
    assert pairs(event(BUG, breadcrumbs=lines)) == (
        "POST /orders/A-17/pay and POST /orders/A-17/pay, 7 ms apart about A-17",
    )


def test_a_failure_that_is_not_always_there_is_told_with_its_share():
    lines = tuple(
        Breadcrumb(timestamp=at(-n), message=f"GET /carts/{n} {500 if n < 3 else 200}") for n in range(20)
    )
    asked = event(BUG, request=Request(url="https://shop.example/carts/7"), breadcrumbs=lines)
    assert failing_share(asked) == (3, 20)
    assert failing_share(event(BUG, request=Request(url="/orders/7"), breadcrumbs=lines)) is None
    assert "3 of 20 such requests failed (15%)" in " ".join(step.said for step in judged(asked).steps)


def refused(milliseconds: float, host: str, target: str) -> Neighbour:
    said = raised("ConnectionRefusedError", f"cannot connect to {target}")
    return other(milliseconds, Kind.INFRASTRUCTURE, exceptions=(said,), server_name=host)


DATABASE = raised("AttributeError", "no cursor for db-1:5432", OWN, handled=False)


def test_trouble_of_a_machine_is_behind_a_failure_only_with_the_same_host_time_and_object():
    crash = event(DATABASE, server_name="web-1")
    told = near(crash, [refused(-40, "web-1", "db-1:5432")])
    assert [(one.behind, one.shared) for one in told] == [(True, ("db-1:5432",))]
    for decoy in (
        refused(-40, "web-2", "db-1:5432"),
        refused(-40, "web-1", "cache-3:6379"),
        refused(-4000, "web-1", "db-1:5432"),
    ):
        assert near(crash, [decoy]) == ()


def test_a_loud_storm_of_infrastructure_beside_a_bug_neither_renames_nor_demotes_it():
    storm = Surroundings(neighbours=[refused(-n, "web-1", "db-1:5432") for n in range(1, 40)])
    done = judged(event(BUG, server_name="web-1"), storm)
    assert (done.verdict.kind, done.lane) == (Kind.APP_BUG, Lane.FOCUS)
    assert "near" not in done.facts


# --- before it ---


def test_the_newest_deploys_and_flags_before_its_first_event_are_told_and_older_ones_not():
    around = Surroundings(
        deploys=[
            Change(NOW - timedelta(minutes=12), "release shop@7 was deployed to production"),
            Change(NOW - timedelta(days=3), "release shop@6 was deployed to production"),
            Change(NOW + timedelta(hours=1), "release shop@8 was deployed to production"),
        ],
        flags=[Change(NOW - timedelta(seconds=40), "flag dark was set to on")],
    )
    found = look(event(BUG), PLACE, around, NOW)
    assert found.changes == (
        "12 min before its first event, release shop@7 was deployed to production",
        "40 s before its first event, flag dark was set to on",
    )


# --- like it ---


def known(number: int, calls: str = "", title: str = "KeyError: 'carrier'", kind: str = "KeyError") -> Known:
    parts = (f"type: {kind}", *(f"call: {call}" for call in calls.split()))
    return Known(f"INC-{number}", parts, title)


def test_the_likest_past_incident_comes_first_and_others_are_not_named():
    own = known(9, "shop.cart:total shop.cart:carrier")
    past = [
        known(1, "shop.cart:total"),
        known(2, "shop.cart:total shop.cart:carrier"),
        known(3, "mail.send:post", "SMTPError: refused", "SMTPError"),
        known(4, "shop.cart:total shop.cart:carrier", "KeyError: 'zip'"),
    ]
    assert [one.id for one in similar(own, past)] == ["INC-2", "INC-4", "INC-1"]


def test_a_past_incident_is_told_with_what_became_of_it():
    around = Surroundings(
        own=known(9, "shop.cart:total"),
        past=[known(2, "shop.cart:total")],
        outcomes={"INC-2": "resolved by ann (fixed in shop@5)"},
    )
    done = judged(event(BUG), around)
    assert done.facts["similar"][0]["outcome"] == "resolved by ann (fixed in shop@5)"
    assert "INC-2 was like it" in " ".join(step.said for step in done.steps)


def test_an_incident_is_never_like_itself():
    assert similar(known(9, "a:b"), [known(9, "a:b")]) == ()


# --- how it runs ---


def test_an_alert_that_comes_and_goes_is_told_with_the_lengths_of_its_episodes():
    times = [NOW + timedelta(minutes=m) for m in (0, 5, 10, 120, 122, 300, 340)]
    found = episodes([Seen(at) for at in times])
    assert [(one.count, one.lasted) for one in found] == [
        (3, timedelta(minutes=10)), (2, timedelta(minutes=2)), (1, timedelta()), (1, timedelta()),
    ]  # fmt: skip
    assert flapping(found) == "it comes and goes: 4 episodes, from 0 s to 10 min (half of them up to 1 min)"
    assert flapping(found[:2]) is None


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_every_event_is_in_exactly_one_episode_whatever_their_order(minutes):
    times = [NOW + timedelta(minutes=m) for m in minutes]
    found = episodes([Seen(at) for at in times])
    assert sum(one.count for one in found) == len(times)
    assert found == episodes([Seen(at) for at in sorted(times, reverse=True)])


def test_what_its_sender_calls_over_ends_an_episode_however_soon_it_comes_back():
    fired = [Seen(NOW + timedelta(minutes=m), over=NOW + timedelta(minutes=m + 3)) for m in (0, 5, 10)]
    found = episodes([*fired, Seen(NOW + timedelta(minutes=11))])
    assert [(one.count, one.lasted) for one in found] == [
        (1, timedelta(minutes=3)), (1, timedelta(minutes=3)), (2, timedelta(minutes=3)),
    ]  # fmt: skip
    assert flapping(found) == "it comes and goes: 3 episodes, from 3 min to 3 min (half of them up to 3 min)"


def seen(minutes: int, user: int | None = None, **fields) -> Seen:
    return Seen(NOW + timedelta(minutes=minutes), f"id:{user}" if user is not None else None, **fields)


def test_it_spreads_by_users_who_double_and_by_each_new_place():
    before = [seen(0, n, environment="production", release="1", endpoint="/a") for n in range(4)]
    lately = [seen(300, 10 + n, environment="production", release="2", endpoint="/b") for n in range(6)]
    assert spreading(before + lately) == (
        Reached("6 more users"),
        Reached("another release", "2"),
        Reached("another endpoint", "/b"),
    )
    assert spreading(lately) == ()
    assert spreading([*before, seen(300, 10)]) == ()
    assert spreading([]) == ()


def test_infrastructure_that_reaches_another_service_comes_into_focus_and_says_so():
    refused_here = raised("ConnectionRefusedError", "[Errno 111] Connection refused", OWN)
    quiet = judged(event(refused_here))
    reached = [seen(0, service="web"), seen(300, service="billing")]
    loud = judged(event(refused_here), Surroundings(seen=reached))
    assert (quiet.lane, loud.lane) == (Lane.BACKLOG, Lane.FOCUS)
    assert loud.why.endswith("but it spreads, now also another service")
    assert loud.facts["spreads_to"] == [{"kind": "another service", "value": "billing"}]
    assert loud.facts["phase"] == "spreading"


@pytest.mark.parametrize(
    ("history", "standing"),
    [({"is_new": True}, "new"), ({"is_new": False}, "known"), ({"regressed": True}, "regressed")],
)
def test_each_incident_is_new_known_or_back_again(history, standing):
    assert judged(event(BUG), **history).facts["phase"] == standing


def test_spans_are_told_in_the_unit_that_a_person_would_use():
    spans = [timedelta(seconds=s) for s in (0, 59, 60, 3600, 7200, 3 * 86_400)]
    assert [span_words(span) for span in spans] == ["0 s", "59 s", "1 min", "1 h", "2 h", "3 days"]


# --- what the team has written ---

BOOK = """---
exceptions: [KeyError, psycopg.*]
paths:
  - shop/**
tags: service=shop
cause: configuration
---
# The carrier table is empty

Run `shop load-carriers`, then look at the queue.
"""


def test_a_runbook_is_for_a_failure_when_each_of_its_rules_fits():
    book = read("shop", "docs/runbooks/carriers.md", BOOK)
    fitting = event(BUG, tags={"service": "shop"})
    (match,) = matching([book], fitting, PLACE)
    assert match.because == "exception KeyError; path shop/**; tag service=shop"
    assert match.runbook.steps == ("Run `shop load-carriers`, then look at the queue.",)
    assert matching([book], event(BUG, tags={"service": "mail"}), PLACE) == ()
    assert matching([book], fitting, None) == ()
    assert matching([book], event(raised("TypeError", "x", OWN), tags={"service": "shop"}), PLACE) == ()


def test_a_runbook_without_a_head_is_for_the_exception_in_its_heading():
    book = read("shop", "db.md", "# When psycopg.OperationalError comes\n\nCall ann.\n")
    assert book.rules == {"exceptions": ("psycopg.OperationalError",)}
    refused_there = event(raised("OperationalError", "down", module="psycopg"))
    assert len(matching([book], refused_there, None)) == 1
    assert matching([read("shop", "x.md", "# How we deploy\n")], refused_there, None) == ()


@given(st.text(max_size=300))
def test_any_text_is_a_runbook_that_does_no_harm(text):
    book = read("shop", "x.md", f"---\n{text}\n---\n{text}")
    assert len(matching([book], event(BUG), PLACE)) <= 1


def test_the_cause_that_a_runbook_names_is_the_verdicts_and_sets_nothing_aside():
    books = Surroundings(runbooks=[read("shop", "docs/runbooks/carriers.md", BOOK)])
    done = judged(event(BUG, tags={"service": "shop"}), books)
    assert (done.verdict.kind, done.verdict.signal) == (Kind.CONFIGURATION, True)
    assert done.verdict.reasons[0].startswith("runbook: ")
    assert done.facts["runbooks"][0]["path"] == "docs/runbooks/carriers.md"


def test_what_the_team_calls_critical_is_more_urgent_and_says_so():
    plain = judged(event(BUG))
    paid = event(BUG, request=Request(url="https://shop.example/checkout/7"), transaction="/checkout/{id}")
    for globs in ([("shop", "/checkout/*")], [("shop", "shop/*")]):
        urgent = judged(paid, Surroundings(critical=globs))
        assert urgent.priority > plain.priority + 3
        assert "on a critical path" in urgent.why
    assert covers(["mail/**"], paid, PLACE) is None
    assert judged(paid, Surroundings(critical=[("other", "shop/*")])).facts.get("critical") is None


# --- the gate, and the law ---


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (
            event(raised("KeyError", "'x'", frame("/elsewhere/a.py", 1, "f"), handled=False)),
            "no line of ours",
        ),
        (event(raised("ConnectionRefusedError", "[Errno 111] x", OWN)), "another service failed"),
        (event(raised("KeyboardInterrupt", "", OWN)), "it was set aside"),
    ],
)
def test_without_a_place_in_our_code_no_repair_is_begun_and_the_reason_is_said(found, why):
    done = judged(found)
    assert why in done.facts["no_repair"]
    assert why in done.steps[-1].said


def test_with_a_place_in_our_code_nothing_holds_a_repair_back():
    done = judged(event(BUG))
    assert done.location is not None
    assert "no_repair" not in done.facts


def test_the_same_surroundings_give_the_same_record_byte_for_byte():
    around = Surroundings(
        neighbours=[other(-7, tags={"order_id": "A-17"}), other(9, tags={"order_id": "A-17"})],
        own=known(9, "shop.cart:total"),
        past=[known(n, "shop.cart:total") for n in range(1, 6)],
        seen=[seen(n * 100, n) for n in range(6)],
        runbooks=[read("shop", "a.md", BOOK)],
    )
    records = {judged(event(BUG, tags={"service": "shop"}), around).model_dump_json() for _ in range(3)}
    assert len(records) == 1
