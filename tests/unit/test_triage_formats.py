"""Wire formats: what real senders send is read whole, and what is broken is refused in one sentence."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import BadPayload
from tests.unit.triage_samples import CORPUS, NOW, corpus_json
from triage.formats import by_name, detect
from triage.formats.envelope import read_envelope
from triage.formats.log_lines import streams
from triage.formats.sentry import receive
from triage.formats.sentry_event import event_of
from triage.formats.shapes import moment


def _render(header: dict, items: list[tuple[dict, bytes, bool]]) -> bytes:
    lines = [json.dumps(header).encode()]
    for head, payload, with_length in items:
        lines += [json.dumps({**head, "length": len(payload)} if with_length else head).encode(), payload]
    return b"\n".join(lines)


def test_a_python_envelope_is_read_with_the_outermost_exception_last():
    found = receive((CORPUS / "wire/py-flask.envelope").read_bytes(), project="shop", received_at=NOW)
    (event,) = found.events
    assert [raised.type for raised in event.exceptions] == ["KeyError", "PaymentError"]
    assert event.exception is not None
    assert event.exception.handled is False
    assert event.request is not None
    assert event.request.method == "POST"
    assert event.sdk is not None
    assert event.sdk.startswith("sentry.python")
    assert found.event_id == event.event_id


def test_a_node_envelope_without_item_lengths_is_read():
    (event,) = receive((CORPUS / "wire/node.envelope").read_bytes(), project="shop", received_at=NOW).events
    assert event.platform == "node"
    assert [raised.chained for raised in event.exceptions] == [None, "cause"]
    assert event.timestamp.year == 2026


def test_items_of_other_types_are_skipped_and_counted():
    body = _render({}, [({"type": "session"}, b"{}", True), ({"type": "new_thing"}, b"\x00\n\xff", True)])
    found = receive(body, project="shop", received_at=NOW)
    assert found.events == ()
    assert found.skipped == {"session": 1, "new_thing": 1}
    check_in = receive((CORPUS / "wire/node-check_in.envelope").read_bytes(), project="shop", received_at=NOW)
    assert check_in.skipped == {"check_in": 1}


def test_an_exception_group_is_last_and_marked_as_a_group():
    (event,) = receive(
        (CORPUS / "wire/py-group.envelope").read_bytes(), project="shop", received_at=NOW
    ).events
    assert event.exception is not None
    assert (event.exception.type, event.exception.chained) == ("ExceptionGroup", "group")
    assert {raised.type for raised in event.exceptions} == {
        "TypeError",
        "KeyError",
        "ValueError",
        "ExceptionGroup",
    }


def test_what_the_sender_filtered_is_marked_with_a_pointer_into_our_event():
    (event,) = receive(
        (CORPUS / "wire/py-flask.envelope").read_bytes(), project="shop", received_at=NOW
    ).events
    marks = [(mark.pointer, mark.kind, mark.rule) for mark in event.redactions]
    assert marks == [("/request/headers/Authorization", "filtered", "sender:!config")]


_JSON_HEADER = st.dictionaries(
    st.sampled_from(["event_id", "sent_at", "dsn", "x"]), st.text(max_size=20), max_size=3
)


@given(
    _JSON_HEADER,
    st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=200), st.booleans()), max_size=5),
)
def test_an_envelope_that_was_rendered_is_read_back(header, parts):
    items = [
        ({"type": kind}, payload, with_length or b"\n" in payload or not payload)
        for kind, payload, with_length in parts
    ]
    found = read_envelope(_render(header, items))
    assert found.header == header
    assert [(item.type, item.payload) for item in found.items] == [
        (head["type"], data) for head, data, _ in items
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{}\n{"type":"event","length":50}\n{"a":1}', "cut off"),
        (b'{}\n{"type":"event","length":2}\n{"a":1}', "longer than it says"),
        (b'{}\n{"type":"event","length":-1}\n', "not a number of bytes"),
        (b'{}\nnot json\n{"type":"x"}', "not JSON"),
        (b"[]\n", "not a JSON object"),
        (b"{}\n[]\n", "not a JSON object"),
    ],
)
def test_a_broken_envelope_is_refused_with_the_reason(body, said):
    with pytest.raises(BadPayload, match=said):
        read_envelope(body)


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"null", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}", b"\xff\xfe"]
)
def test_a_body_that_is_no_event_is_bad_payload_and_never_a_crash(body):
    with pytest.raises(BadPayload):
        by_name("sentry").parse(body, {}, project="shop", received_at=NOW)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = [
    "exception",
    "request",
    "user",
    "tags",
    "breadcrumbs",
    "logentry",
    "message",
    "contexts",
    "timestamp",
    "_meta",
    "threads",
    "fingerprint",
    "sdk",
    "extra",
    "level",
    "event_id",
    "modules",
    "release",
]


@given(st.dictionaries(st.sampled_from(_FIELDS), _ANY))
def test_no_field_of_an_event_can_be_so_wrong_that_reading_fails(sent):
    event = event_of(sent, project="shop", received_at=NOW)
    assert len(event.event_id) == 32
    event.model_dump_json()


def test_a_thousand_frames_are_kept_as_fifty_a_mark_and_fifty():
    frames = [{"function": f"f{number}", "lineno": number} for number in range(1000)]
    sent = {"exception": {"values": [{"type": "RecursionError", "stacktrace": {"frames": frames}}]}}
    kept = event_of(sent, project="shop", received_at=NOW).exceptions[0].frames
    assert [len(kept), kept[49].function, kept[50].function, kept[51].function] == [
        101, "f49", "[900 frames left out]", "f950",
    ]  # fmt: skip


def test_locals_and_breadcrumbs_are_bounded():
    local = {"big": "x" * 300_000, "many": list(range(5000)), "deep": json.loads("[" * 50 + "]" * 50)}
    sent = {
        "exception": [{"type": "E", "stacktrace": {"frames": [{"vars": local}]}}],
        "breadcrumbs": [{"message": str(number)} for number in range(500)],
    }
    event = event_of(sent, project="shop", received_at=NOW)
    kept = event.exceptions[0].frames[0].vars
    assert len(kept["big"]) == 1 << 18
    assert kept["big"].endswith("…")
    assert len(kept["many"]) == 100
    assert "…" in json.dumps(kept["deep"], ensure_ascii=False)
    assert [event.breadcrumbs[0].message, event.breadcrumbs[-1].message] == ["400", "499"]


def test_a_log_entry_keeps_its_text_and_its_template():
    sent = {"logentry": {"message": "no handler for %s", "params": ["archive"]}}
    event = event_of(sent, project="shop", received_at=NOW)
    assert event.message == "no handler for archive"
    assert event.contexts["logentry"] == {"template": "no handler for %s"}


def test_a_frozen_module_is_not_own_code_whatever_the_sdk_says():
    frames = [
        {"abs_path": "/app/<frozen runpy>", "in_app": True},
        {"abs_path": "/app/shop.py", "in_app": True},
    ]
    sent = {"platform": "python", "exception": {"values": [{"type": "E", "stacktrace": {"frames": frames}}]}}
    kept = event_of(sent, project="shop", received_at=NOW).exceptions[0].frames
    assert [frame.in_app for frame in kept] == [False, True]


def test_characters_that_no_database_takes_are_replaced():
    event = event_of({"message": "a\x00b\ud800c"}, project="shop", received_at=NOW)
    assert event.message == "a\ufffdb?c"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T12:00:00+02:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00.123456789Z", datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)),
        (1795168800.0, datetime(2026, 11, 20, 10, tzinfo=UTC)),
        (1e300, NOW),
        ("yesterday", NOW),
        (None, NOW),
        (True, NOW),
    ],
)
def test_a_moment_is_read_from_text_and_numbers_or_is_when_it_arrived(sent, read):
    assert moment(sent, NOW) == read


def test_our_json_gives_an_event_with_request_logs_and_traceback():
    body = json.dumps(
        {
            "traceback": (CORPUS / "traces/python-main.txt").read_text(),
            "level": "ERROR",
            "release": "shop@1",
            "request": {"method": "post", "url": "/checkout", "headers": {"Host": "shop"}},
            "logs": [
                "starting",
                {"message": "failed", "level": "error", "timestamp": "2026-11-20T10:00:00Z"},
            ],
        }
    ).encode()
    reader = detect(body, {})
    (event,) = reader.parse(body, {}, project="shop", received_at=NOW)
    assert reader.name == "json"
    assert [raised.type for raised in event.exceptions] == ["KeyError", "PaymentError"]
    assert (event.level, event.release) == ("error", "shop@1")
    assert event.request is not None
    assert event.request.method == "POST"
    assert [crumb.message for crumb in event.breadcrumbs] == ["starting", "failed"]


def test_our_json_without_traceback_and_message_is_refused():
    with pytest.raises(BadPayload, match="neither"):
        by_name("json").parse(b'{"level": "error"}', {}, project="shop", received_at=NOW)


def test_each_format_is_recognised_by_its_body():
    samples = {
        "sentry": (CORPUS / "wire/node.envelope").read_bytes(),
        "json": b'{"message": "it broke", "level": "error"}',
        "traceback": (CORPUS / "traces/rawlog-docker-jsonfile.txt").read_bytes(),
    }
    assert {name: detect(body, {}).name for name, body in samples.items()} == {name: name for name in samples}
    assert detect(json.dumps(corpus_json("events/flask-type-error.json")).encode(), {}).name == "sentry"
    with pytest.raises(BadPayload, match="none of the known formats"):
        detect(b"GIF89a", {})


@pytest.mark.parametrize(
    "path",
    sorted(path for path in (CORPUS / "traces").glob("rawlog-*") if "expected" not in path.name),
    ids=lambda path: path.stem,
)
def test_a_traceback_comes_out_of_every_platforms_wrapping_unchanged(path):
    (event,) = by_name("traceback").parse(path.read_bytes(), {}, project="shop", received_at=NOW)
    clean = (CORPUS / "traces/python-main.txt").read_bytes()
    (expected,) = by_name("traceback").parse(clean, {}, project="shop", received_at=NOW)
    assert event.exceptions == expected.exceptions


def test_interleaved_writers_are_told_apart():
    lines = [
        "web-1  | Traceback (most recent call last):",
        "job-1  | hello",
        'web-1  |   File "/a.py", line 1, in f',
    ]
    found = {stream.writer: stream.lines for stream in streams("\n".join(lines))}
    assert found == {
        "web-1": ["Traceback (most recent call last):", '  File "/a.py", line 1, in f'],
        "job-1": ["hello"],
    }


def test_parts_of_one_line_are_put_together():
    stamp = "2026-11-20T10:00:00.000000000Z stderr"
    (stream,) = streams(f"{stamp} P half a \n{stamp} F line")
    assert stream.lines == ["half a line"]


def test_text_without_a_traceback_is_refused():
    body = (CORPUS / "traces/fluent-arbitrary_text.txt").read_bytes()
    with pytest.raises(BadPayload, match="no traceback"):
        by_name("traceback").parse(body, {}, project="shop", received_at=NOW)
