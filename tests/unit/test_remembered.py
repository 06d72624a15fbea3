"""What comes again is read and redacted once, and comes out as if it were read anew."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.ingest.keyring import Keyring
from server.ingest.line import Line
from store import journal, queries
from store.database import Database
from store.errors import BadPayload, NotAllowed
from triage.formats.sentry import receive
from triage.formats.sentry_event import event_of
from triage.formats.sentry_glimpse import glimpse_of
from triage.formats.sentry_json import read_event
from triage.outline import outline, sketched
from triage.redact import Redactor
from triage.trace_context import with_trace_context

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
WIRE = Path(__file__).resolve().parents[1] / "corpus" / "wire"
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FRAME: Any = JSON | st.fixed_dictionaries({}, optional={"function": JSON, "vars": JSON, "lineno": JSON})
STACK: Any = JSON | st.fixed_dictionaries({"frames": st.lists(FRAME, max_size=4) | JSON})
RAISED: Any = JSON | st.fixed_dictionaries({"type": JSON, "stacktrace": STACK})
EXCEPTION: Any = (
    JSON | st.lists(RAISED, max_size=3) | st.fixed_dictionaries({"values": st.lists(RAISED) | JSON})
)
TEXT: Any = st.none() | st.text(max_size=12)
PLAIN: Any = st.fixed_dictionaries(  # as SDKs send them
    {
        "values": st.lists(
            st.fixed_dictionaries(
                {"type": TEXT, "value": TEXT},
                optional={
                    "module": TEXT,
                    "mechanism": JSON,
                    "stacktrace": st.fixed_dictionaries(
                        {
                            "frames": st.lists(
                                st.fixed_dictionaries(
                                    {"function": TEXT},
                                    optional={
                                        "module": TEXT,
                                        "abs_path": TEXT,
                                        "in_app": st.booleans(),
                                        "vars": JSON,
                                    },
                                ),
                                max_size=3,
                            )
                        }
                    ),
                },
            ),
            min_size=1,
            max_size=3,
        )
    }
)


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {"event_id": st.just("a" * 32), "exception": EXCEPTION, "modules": JSON, "sdk": JSON}
    )
)
def test_an_event_is_the_same_whether_its_parts_are_remembered_or_not(sent: dict[str, Any]) -> None:
    body = json.dumps(sent).encode()

    plain = event_of(json.loads(body), project="p", received_at=NOW)

    for _ in range(2):
        assert event_of(read_event(body, "event"), project="p", received_at=NOW) == plain


@settings(max_examples=120, deadline=None)
@given(
    st.fixed_dictionaries(
        {"event_id": st.just("a" * 32), "exception": EXCEPTION | PLAIN},
        optional={
            "platform": JSON,
            "user": st.fixed_dictionaries({}, optional={"id": JSON, "email": JSON}),
            "contexts": st.fixed_dictionaries({}, optional={"trace": JSON, "database": JSON, "os": JSON}),
            "tags": st.fixed_dictionaries({}, optional={"service": JSON, "x": JSON}),
            "request": st.fixed_dictionaries({}, optional={"headers": JSON, "url": JSON}),
            "message": JSON,
            "extra": JSON,
        },
    )
)
def test_a_glimpse_is_outlined_as_all_of_the_event_is(sent: dict[str, Any]) -> None:
    body = json.dumps(sent).encode()
    whole = with_trace_context(event_of(json.loads(body), project="p", received_at=NOW))

    seen = glimpse_of(body, project="p", received_at=NOW, rages=lambda sketch: True)

    short = whole if seen is None else with_trace_context(seen)
    assert sketched(short) == sketched(whole)
    assert outline(short).model_copy(update={"redactions": ()}) == outline(whole).model_copy(
        update={"redactions": ()}
    )


@pytest.mark.parametrize("capture", ["py-flask", "py-group", "node"])
def test_of_what_sdks_send_a_glimpse_is_enough(capture: str) -> None:
    body = (WIRE / f"{capture}.envelope").read_bytes()
    whole = receive(body, project="p", received_at=NOW).events[0]

    found = receive(body, project="p", received_at=NOW, rages=lambda sketch: sketch == sketched(whole))

    assert found.glimpse is not None
    assert found.glimpse.whole() == whole
    assert outline(found.glimpse.event) == outline(whole).model_copy(update={"redactions": ()})
    assert receive(body, project="p", received_at=NOW, rages=lambda sketch: False).events == (whole,)


def test_frames_that_are_no_list_are_none_even_where_the_sender_remarked_on_them() -> None:
    sent = {
        "exception": [{"type": "E", "stacktrace": {"frames": 1}}],
        "_meta": {"level": {"": {"rem": [["cut", "x"]]}}},
    }
    event = event_of(sent, project="p", received_at=NOW)
    assert event.exceptions[0].frames == ()
    assert [row.pointer for row in event.redactions] == ["/level"]


@pytest.mark.parametrize("body", [b"{", b'{"exception": [}', b"\xff\xfe", b'{"a": "\xff"}', b"[" * 100_000])
def test_what_is_no_json_is_still_refused_in_words(body: bytes) -> None:
    with pytest.raises(BadPayload):
        read_event(body, "event")


@pytest.mark.parametrize("name", ["py-flask.envelope", "py-group.envelope", "node.envelope"])
def test_a_crash_that_comes_again_is_redacted_alike_with_the_same_audit(name: str) -> None:
    body = (WIRE / name).read_bytes()
    redactor, fresh = Redactor(b"k"), Redactor(b"k")
    first = redactor.redact(receive(body, project="p", received_at=NOW).events[0])

    again = redactor.redact(receive(body, project="p", received_at=NOW).events[0])
    anew = fresh.redact(receive(body, project="p", received_at=NOW).events[0])

    assert again == first == anew
    assert sorted(row.pointer for row in again.redactions) == sorted(row.pointer for row in anew.redactions)


def test_who_waits_in_a_line_is_taken_together_and_each_is_told_its_own() -> None:
    gate, batches = threading.Event(), []

    def work(numbers: Sequence[int]) -> list[int | BaseException]:
        assert gate.wait(20)
        batches.append(len(numbers))
        return [ValueError(number) if number % 2 else number for number in numbers]

    async def run() -> list[int | BaseException]:
        line: Line[int, int] = Line(work, threads=1, at_once=4)
        waiting = [asyncio.ensure_future(line.through(number)) for number in range(10)]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(gate.set)
        return await asyncio.gather(*waiting, return_exceptions=True)

    answers = asyncio.run(asyncio.wait_for(run(), 30))

    assert [repr(answer) for answer in answers] == [
        f"ValueError({n})" if n % 2 else str(n) for n in range(10)
    ]
    assert sum(batches) == 10
    assert len(batches) <= 4


def test_work_waits_a_moment_for_as_many_as_it_had_before() -> None:
    batches: list[int] = []

    def work(numbers: Sequence[int]) -> list[int | BaseException]:
        batches.append(len(numbers))
        return list(numbers)

    async def run() -> None:
        line: Line[int, int] = Line(work, threads=2, at_once=8)

        async def sender(number: int) -> None:
            for _ in range(20):
                assert await line.through(number) == number

        await asyncio.gather(*map(sender, range(6)))
        await line.through(1)  # the others have gone: it does not wait for them for ever

    asyncio.run(asyncio.wait_for(run(), 30))

    assert sum(batches) == 121
    assert len(batches) < 40  # of six, nearly each; of one and five in turns they would be forty
    assert batches[-1] == 1


def test_a_mistake_in_the_work_is_told_to_everybody_who_waited() -> None:
    def work(numbers: Sequence[int]) -> list[int | BaseException]:
        raise RuntimeError("ours")

    async def run() -> int:
        return await Line[int, int](work, threads=1, at_once=4).through(1)

    with pytest.raises(RuntimeError, match="ours"):
        asyncio.run(asyncio.wait_for(run(), 30))


def test_a_key_is_remembered_and_what_this_process_writes_is_known_at_once(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'nightdesk.sqlite'}")
    keyring, own = Keyring(database), queries.keys(database, "default")[0]
    assert keyring.key(own.key) == own
    assert keyring.at_hand()

    fresh = journal.add_key(database, "default")
    assert not keyring.at_hand()
    assert keyring.key(fresh.key) == fresh
    assert keyring.project("1").name == keyring.project("default").name == "default"

    journal.revoke_key(database, own.key)
    with pytest.raises(NotAllowed, match="not known here or was revoked"):
        keyring.key(own.key)
    database.close()


def test_a_key_that_another_process_revokes_is_refused_with_the_next_batch(database_url: str) -> None:
    ours, theirs = Database.open(database_url), Database.open(database_url)
    keyring, own = Keyring(ours), queries.keys(ours, "default")[0]
    assert keyring.key(own.key) == own
    keyring.make_sure()
    assert keyring.at_hand()

    journal.revoke_key(theirs, own.key)

    keyring.make_sure()
    with pytest.raises(NotAllowed, match="not known here or was revoked"):
        keyring.key(own.key)
    ours.close()
    theirs.close()


def test_a_key_that_another_process_makes_opens_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nightdesk.sqlite'}"
    ours, theirs = Database.open(url), Database.open(url)
    keyring = Keyring(ours)
    with pytest.raises(NotAllowed):
        keyring.key("nobody's")

    made = journal.add_key(theirs, "default")

    for _ in range(200):  # at most a twentieth of a second
        try:
            assert keyring.key(made.key) == made
            break
        except NotAllowed:
            threading.Event().wait(0.01)
    assert keyring.key(made.key) == made
    ours.close()
    theirs.close()
