"""The integration inside sentry-sdk: what is sent, what is not, and that the application hears of nothing."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import os
import threading
from typing import Any, Callable, Dict, List

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope

from nightdesk_capture import (
    BadRules,
    NightdeskCapture,
    capsule,
    encode,
    entry,
    integration,
    pace,
    peek,
    trail,
)
from nightdesk_capture.capsule import CONTENT_TYPE

Start = Callable[..., Any]


def crash(payload: Any = None) -> None:
    """An error that is reported, with `payload` among the variables."""

    def charge(order: Any) -> None:
        raise LookupError("no such order")

    try:
        charge(copy.deepcopy(payload))
    except LookupError:
        sentry_sdk.capture_exception()


def contents(envelope: Envelope) -> List[Dict[str, Any]]:
    return [json.loads(gzip.decompress(item.payload.get_bytes()))
            for item in envelope.items if item.headers.get("content_type") == CONTENT_TYPE]  # fmt: skip


def test_an_error_takes_its_capsule_along_in_the_same_envelope(start: Start) -> None:
    transport = start()
    crash({"lines": list(range(30)), "mail": "bob@acme.com"})
    (sent,) = transport.envelopes
    assert [item.type for item in sent.items] == ["event", "attachment"]
    (content,) = contents(sent)
    order = content["frames"][0]["vars"]["order"]
    assert order["lines"] == list(range(30))
    assert order["mail"].endswith("@redacted.example")
    assert ["/frames/0/vars/order/mail", "email", "shape:email"] in content["redacted"]


def test_tokens_of_one_capsule_are_equal_for_equal_values_and_those_of_two_set_ups_are_not(
    start: Start,
) -> None:
    first = start()
    crash({"from": "bob@acme.com", "to": "bob@acme.com"})
    second = start()
    crash({"from": "bob@acme.com", "to": "eve@acme.com"})
    here = contents(first.envelopes[0])[0]["frames"][0]["vars"]["order"]
    there = contents(second.envelopes[0])[0]["frames"][0]["vars"]["order"]
    assert here["from"] == here["to"]
    assert len({here["from"], there["from"], there["to"]}) == 3


def test_a_message_without_an_error_has_no_capsule(start: Start) -> None:
    transport = start()
    sentry_sdk.capture_message("started")
    assert [item.type for item in transport.envelopes[0].items] == ["event"]


@pytest.mark.parametrize(
    "options",
    [{"before_send": lambda event, hint: None}, {"sample_rate": 0.0}],
    ids=["before_send", "sampling"],
)
def test_an_event_that_is_dropped_costs_no_capsule(
    start: Start, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: List[int] = []
    monkeypatch.setattr(integration, "build", lambda *args: built.append(1) or b"")
    transport = start(**options)
    crash()
    assert (transport.envelopes, built) == ([], [])


def test_before_send_may_take_the_capsule_out(start: Start) -> None:
    def without(event: Any, hint: Any) -> Any:
        hint["attachments"] = []
        return event

    transport = start(before_send=without)
    crash()
    assert [item.type for item in transport.envelopes[0].items] == ["event"]


HOOKS = [
    (integration, "_trace_of"), (integration, "build"), (pace, "secrets"), (pace, "time"), (integration, "of_failure"), (trail, "current"),
    (integration, "surroundings"), (capsule, "_content"), (capsule, "gzip"),
    (capsule, "entry_of"), (capsule, "_frame"), (capsule, "_own_places"), (capsule, "Encoder"), (capsule, "slim"),
    (capsule, "json"), (encode, "state_of"), (encode, "class_name"), (encode, "is_own"), (encode, "clipped"),
    (entry, "lineage"), (peek, "lineage"), (integration, "Attachment"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name"), HOOKS, ids=lambda part: getattr(part, "__name__", part))
@pytest.mark.parametrize("fault", [ValueError, RecursionError])
def test_a_fault_of_ours_at_any_point_reaches_neither_the_application_nor_its_report(
    start: Start, module: Any, name: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faulty:
        def __call__(self, *args: Any, **words: Any) -> Any:
            raise fault

        def __getattr__(self, name: str) -> Any:
            raise fault

    transport = start()
    monkeypatch.setattr(module, name, Faulty())
    crash({"a": 1})
    monkeypatch.undo()
    assert transport.envelopes[0].items[0].type == "event"


def test_a_storm_of_one_error_has_a_few_capsules_and_all_its_events(start: Start) -> None:
    transport = start()
    for _ in range(40):
        crash()
    assert len(transport.envelopes) == 40
    assert sum(len(contents(envelope)) for envelope in transport.envelopes) == pace.AT_ONCE


def test_a_key_that_is_a_person_is_named_nowhere(start: Start) -> None:
    transport = start(NightdeskCapture(budget=2048, seconds=5))
    crash({"bob@acme.com": {"password": "hunter2x", "rows": [str(number) * 9 for number in range(3000)]}})
    (content,) = contents(transport.envelopes[0])
    assert content["cut"]
    assert "bob@acme" not in json.dumps(content)


def test_what_is_denied_is_not_looked_at_and_what_is_off_is_not_sent(start: Start) -> None:
    transport = start(NightdeskCapture(deny=["cust*"], off=["*:crash"], seconds=5))
    crash({"customer": {"name": "Bob"}, "number": 3})
    (content,) = contents(transport.envelopes[0])
    assert content["frames"][0]["vars"]["order"] == {
        "customer": {"$": "redacted", "why": "denied"},
        "number": 3,
    }
    assert [frame["function"] for frame in content["frames"]] == ["charge"]


def test_locals_can_be_off_as_a_whole(start: Start) -> None:
    transport = start(NightdeskCapture(off=["locals", "entry"]))
    crash()
    (content,) = contents(transport.envelopes[0])
    assert (content["frames"], content["entry"]) == ([], {})


def test_the_rules_of_the_server_hold_here_too(start: Start) -> None:
    rules = {
        "dictionary": ["Project Tulip"],
        "schemas": {"vars": {"properties": {"order": {"properties": {"vat": {"x-redact": True}}}}}},
    }
    transport = start(NightdeskCapture(rules=rules, seconds=5))
    crash({"note": "all of project tulip", "vat": "ATU1234"})
    order = contents(transport.envelopes[0])[0]["frames"][0]["vars"]["order"]
    assert "tulip" not in order["note"]
    assert order["vat"].startswith("REDACTED-")


@pytest.mark.parametrize(
    "wrong", [{"rules": {"dictionery": []}}, {"rules": "/nowhere.json"}, {"budget": 10}, {"deny": "password"}]
)
def test_settings_that_cannot_be_right_are_refused_at_once(wrong: Any) -> None:
    with pytest.raises(BadRules):
        NightdeskCapture(**wrong)


def test_a_job_of_a_queue_comes_with_all_its_arguments(start: Start) -> None:
    transport = start()
    with sentry_sdk.new_scope() as scope:
        scope.set_extra("celery-job", {"task_name": "shop.bill", "args": [list(range(15))], "kwargs": {}})
        crash()
    (content,) = contents(transport.envelopes[0])
    assert content["entry"]["kind"] == "celery"
    assert content["entry"]["job"]["args"] == [list(range(15))]


def test_threads_and_tasks_that_fail_together_each_send_their_own(start: Start) -> None:
    transport = start()

    def one(number: int) -> None:
        def own(value: int) -> None:
            raise LookupError

        try:
            own(number)
        except LookupError:
            sentry_sdk.capture_exception()

    pace.AT_ONCE, before = 100, pace.AT_ONCE
    try:
        threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        async def all_of_them() -> None:
            await asyncio.gather(*(asyncio.to_thread(one, number) for number in range(20, 30)))

        asyncio.run(all_of_them())
    finally:
        pace.AT_ONCE = before
    values = [contents(envelope)[0]["frames"][0]["vars"]["value"] for envelope in transport.envelopes]
    assert sorted(values) == list(range(30))


def test_a_fork_has_a_key_of_its_own_and_no_lock_that_nobody_frees() -> None:
    chosen = NightdeskCapture()
    key = chosen._pace.redactor()
    chosen._pace._lock.acquire()
    child = os.fork()
    if child == 0:
        try:
            raise LookupError
        except LookupError as error:
            hint: Dict[str, Any] = {"exc_info": (LookupError, error, error.__traceback__)}
        chosen.attach({}, hint)
        os._exit(0 if hint["attachments"] and chosen._pace.redactor() is not key else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_with_a_second_address_errors_go_to_both_and_capsules_to_one(
    start: Start, kept: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = kept()
    monkeypatch.setattr("nightdesk_capture.forward.make_transport", lambda options: second)
    first = start(NightdeskCapture("http://other@localhost/2", seconds=5))
    crash(1)
    crash(2)
    sentry_sdk.capture_message("hello")
    assert [[item.type for item in envelope.items] for envelope in first.envelopes] == [["event"]] * 3
    assert [[item.type for item in envelope.items] for envelope in second.envelopes] == [
        ["event", "attachment"],
        ["event", "attachment"],
        ["event"],
    ]


def test_a_second_address_that_fails_takes_nothing_from_the_first(
    start: Start, kept: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **words: Any) -> None:
        raise OSError

    second = kept()
    monkeypatch.setattr(second, "capture_envelope", broken)
    monkeypatch.setattr(second, "flush", broken)
    monkeypatch.setattr("nightdesk_capture.forward.make_transport", lambda options: second)
    first = start(NightdeskCapture("http://other@localhost/2", seconds=5))
    crash()
    sentry_sdk.flush()
    assert len(first.envelopes) == 1


def test_an_application_that_runs_well_meets_none_of_our_code(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(*args: Any) -> Any:
        raise AssertionError

    transport = start(traces_sample_rate=1.0)
    monkeypatch.setattr(NightdeskCapture, "attach", touched)
    with sentry_sdk.start_transaction(name="a request"):
        sum(range(10))
    assert [item.type for item in transport.envelopes[0].items] == ["transaction"]
