"""Capsules through the doors: what a client sends is kept redacted, shown, and gone when its event goes."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sentry_sdk
from nightdesk_capture import NightdeskCapture
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from server.app import make_app
from server.house import House
from server.incidents.view import incident_view
from server.intake.parsing import sentry_events
from server.repairs.workbench import choose
from store import purging, queries
from store.event import Event
from store.rows_out import referred
from tests.journeys.mcp_client import answer, connect
from triage.formats.capsule import CONTENT_TYPE, capsule_of


def crash(order: dict[str, Any]) -> int:
    total = 0
    for line in order["lines"]:
        total += line["price"]
    return total


def sent() -> bytes:
    """The envelope of a crash, as the real SDK and the client make it."""
    kept: list[Envelope] = []

    class Keep(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            kept.append(envelope)

    sentry_sdk.init(dsn="http://k@localhost/1", transport=Keep, integrations=[NightdeskCapture(seconds=10)],
                    default_integrations=False, auto_enabling_integrations=False)  # fmt: skip
    try:
        crash(
            {
                "lines": [{"price": number} for number in range(14)] + [{}],
                "mail": "bob@acme.com",
                "password": "hunter2x",
            }
        )
    except KeyError:
        sentry_sdk.capture_exception()
    sentry_sdk.get_client().close()
    sentry_sdk.init(default_integrations=False, auto_enabling_integrations=False)
    return kept[0].serialize()


@pytest.fixture(scope="module")
def body() -> bytes:
    return sent()


async def delivered(house: House, body: bytes) -> Event:
    """The event as it is kept after it came in by HTTP."""
    key = queries.keys(house.database, "default")[-1].key
    headers = {"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={key}", "Content-Encoding": "gzip"}
    transport = httpx.ASGITransport(app=make_app(house), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.post("/api/1/envelope/", content=gzip.compress(body), headers=headers)
    assert answer.status_code == 200
    return queries.events(house.database, "INC-1", limit=1)[0]


@pytest.mark.anyio
async def test_a_capsule_is_kept_as_an_artifact_and_never_with_its_secrets(house: House, body: bytes) -> None:
    event = await delivered(house, body)
    capsule = event.capsule
    assert capsule is not None
    assert capsule.artifact is not None
    assert capsule.content is None
    text = house.artifacts.get(capsule.artifact).decode()
    order = json.loads(text)["frames"][0]["vars"]["order"]
    assert len(order["lines"]) == 15
    assert "bob@acme" not in text
    assert "hunter2x" not in text
    assert {pointer.rpartition("/")[2] for pointer in capsule.redacted} == {"mail", "password"}


@pytest.mark.anyio
async def test_the_tokens_of_a_process_are_not_those_that_are_kept(house: House, body: bytes) -> None:
    event = await delivered(house, body)
    events = sentry_events(body, {}, project="default", received_at=datetime.now(UTC)).events
    first = events[0].capsule
    assert first is not None
    assert event.capsule is not None
    assert event.capsule.artifact is not None
    before, after = json.dumps(first.content), house.artifacts.get(event.capsule.artifact).decode()
    tokens = [
        word for word in before.replace('"', " ").split() if "redacted-" in word or "@redacted." in word
    ]
    assert len(tokens) == 2
    assert all(token.split("@")[0] not in after for token in tokens)


@pytest.mark.anyio
async def test_an_assistant_sees_what_is_in_a_capsule(house: House, body: bytes) -> None:
    await delivered(house, body)
    async with connect(house) as client:
        page = await answer(client, "get_evidence", id="INC-1", kind="capsule")
    assert "crash" in page
    assert 'order = {"lines": [{"price": 0}, {"price": 1}' in page
    assert "redacted /frames/0/vars/order/mail: email" in page
    shown = incident_view(house, queries.incident(house.database, "INC-1")).event
    assert shown is not None
    assert shown.capsule is not None
    assert shown.capsule.content is not None


@pytest.mark.anyio
async def test_a_capsule_goes_when_its_event_goes(
    house: House, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await delivered(house, body)
    assert event.capsule is not None
    digest = event.capsule.artifact
    assert digest in referred(event.model_dump_json().encode())
    monkeypatch.setattr(purging, "SETTLED", -1.0)
    nothing = purging.purge(house.database, house.artifacts, purging.of_user("nobody"), "test", "test")
    assert nothing.artifacts == 0
    purging.purge(house.database, house.artifacts, purging.older_than(datetime.now(UTC)), "test", "test")
    assert not house.artifacts.has(str(digest))


@pytest.mark.anyio
async def test_a_repair_goes_by_the_capsule_that_is_kept(house: House, body: bytes) -> None:
    event = await delivered(house, body)
    with pytest.raises(Exception, match="has no repository"):
        choose(house, "INC-1")
    assert event.capsule is not None
    assert "content" not in event.model_dump()["capsule"]


WRONG = [
    b"", b"no gzip", gzip.compress(b"no json"), gzip.compress(b"[]"), gzip.compress(b'{"version": 2}'),
    gzip.compress(b'{"version":1,"frames":' + b"[" * 5000 + b"]" * 5000 + b"}"), gzip.compress(b'{"version":1,"frames":[' + b"1," * 300_000 + b"1]}"),
    gzip.compress(b" " * (64 << 20)),
]  # fmt: skip


@pytest.mark.parametrize("payload", WRONG, ids=range(len(WRONG)))
def test_a_capsule_that_is_none_costs_its_event_nothing(payload: bytes) -> None:
    assert capsule_of(payload) is None
    header = {"type": "attachment", "length": len(payload), "content_type": CONTENT_TYPE}
    event = {"event_id": "ab" * 16, "exception": {"values": [{"type": "KeyError"}]}}
    envelope = b"\n".join(
        [b"{}", b'{"type":"event"}', json.dumps(event).encode(), json.dumps(header).encode(), payload, b""]
    )
    events = sentry_events(envelope, {}, project="default", received_at=datetime.now(UTC)).events
    assert [(one.event_id, one.capsule) for one in events] == [("ab" * 16, None)]


def test_frames_of_a_capsule_that_are_none_are_left_out(tmp_path: Path) -> None:
    frames = [
        1,
        {"vars": []},
        {"function": "f", "line": "x", "vars": {}},
        {"function": "f", "line": 3, "vars": {"a": "\0b\ud800"}},
    ]
    capsule = capsule_of(
        gzip.compress(json.dumps({"version": 1, "frames": frames, "redacted": [1], "cut": []}).encode())
    )
    assert capsule is not None
    assert capsule.content is not None
    assert [frame["function"] for frame in capsule.content["frames"]] == ["f"]
    assert "\0" not in capsule.content["frames"][0]["vars"]["a"]
    assert (capsule.content["redacted"], capsule.content["cut"]) == ([], {})


@pytest.mark.anyio
async def test_the_incident_s_page_says_what_its_capsule_has(house: House, body: bytes) -> None:
    await delivered(house, body)
    transport = httpx.ASGITransport(app=make_app(house), client=("127.0.0.1", 5))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        page = await client.get("/incidents/INC-1")
    assert page.status_code == 200
    assert '<section id="capsule"' in page.text
    assert "<dt>frames</dt>" in page.text
