"""Events over HTTP: from the wire to a row on disk, and what a sender is told when it goes wrong."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from server.app import make_app
from server.house import House
from store import journal, queries
from store.event import Trust

EVENT: dict[str, Any] = {
    "event_id": "ab" * 16,
    "platform": "python",
    "timestamp": "2026-11-20T10:00:00Z",
    "exception": {
        "values": [
            {
                "type": "KeyError",
                "value": "'carrier'",
                "stacktrace": {
                    "frames": [
                        {
                            "function": "quote",
                            "module": "shop.rates",
                            "filename": "shop/rates.py",
                            "lineno": 12,
                            "in_app": True,
                        }
                    ]
                },
            }
        ]
    },
}


def envelope(event: dict[str, Any] = EVENT, **header: str) -> bytes:
    """An envelope as SDKs frame it."""
    lines = [{"event_id": event["event_id"], **header}, {"type": "event"}, event]
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"


def secret(house: House, project: str = "default") -> str:
    """The key in use of a project."""
    return queries.keys(house.database, project)[-1].key


def auth(house: House) -> dict[str, str]:
    return {"X-Sentry-Auth": f"Sentry sentry_version=7, sentry_key={secret(house)}"}


@asynccontextmanager
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """The application without a socket; its background work is not started."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as opened:
        yield opened


@contextmanager
def serving(house: House) -> Iterator[tuple[str, Starlette]]:
    """The application behind a real socket on a free port."""
    app = make_app(house)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", proxy_headers=False, ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert server.started
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", app
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["header", "query", "envelope"])
@pytest.mark.parametrize("project", ["1", "default"])
async def test_an_envelope_is_kept_wherever_the_sender_puts_its_key(
    house: House, where: str, project: str
) -> None:
    key = secret(house)
    headers = auth(house) if where == "header" else {}
    body = envelope(dsn=f"http://{key}@127.0.0.1:8731/1") if where == "envelope" else envelope()
    query = {"sentry_key": key} if where == "query" else {}
    async with client(make_app(house)) as http:
        answer = await http.post(f"/api/{project}/envelope/", content=body, headers=headers, params=query)
    assert (answer.status_code, answer.json()) == (200, {"id": EVENT["event_id"]})
    kept = queries.event(house.database, EVENT["event_id"])
    assert kept is not None
    assert kept.exceptions[0].type == "KeyError"
    assert kept.trust is Trust.SIGNED


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda b: zlib.compress(b, wbits=-15)),
        ("identity", bytes),
    ],
)
async def test_a_body_is_read_in_every_encoding_that_senders_use(
    house: House, encoding: str, pack: Any
) -> None:
    async with client(make_app(house)) as http:
        headers = {**auth(house), "Content-Encoding": encoding}
        answer = await http.post("/api/1/store/", content=pack(json.dumps(EVENT).encode()), headers=headers)
    assert answer.status_code == 200
    assert queries.event(house.database, EVENT["event_id"]) is not None


BOMB = gzip.compress(b" " * (60 << 20))
REFUSED: list[tuple[str, int, str, bytes, dict[str, str]]] = [
    ("broken JSON", 400, "not JSON", b"{nope", {}),
    ("a cut envelope", 400, "cut off", b'{}\n{"type":"event","length":900}\n{}', {}),
    ("nesting without end", 400, "", b"[" * 200_000, {}),
    ("a gzip bomb", 413, "once inflated", BOMB, {"Content-Encoding": "gzip"}),
    ("half a gzip", 400, "too early", gzip.compress(envelope())[:-9], {"Content-Encoding": "gzip"}),
    ("no gzip at all", 400, "not valid gzip", envelope(), {"Content-Encoding": "gzip"}),
    ("an encoding nobody knows", 400, "not supported", envelope(), {"Content-Encoding": "lzma"}),
    ("a huge body", 413, "larger than", b" " * (21 << 20), {}),
    ("a wrong key", 403, "not known", envelope(), {"X-Sentry-Auth": "Sentry sentry_key=" + "0" * 32}),
    ("no key", 401, "No key", envelope(), {"X-Sentry-Auth": ""}),
]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "said", "body", "headers"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
async def test_what_cannot_be_taken_is_refused_with_one_sentence_and_leaves_nothing_behind(
    house: House, status: int, said: str, body: bytes, headers: dict[str, str]
) -> None:
    async with client(make_app(house)) as http:
        answer = await http.post("/api/1/envelope/", content=body, headers={**auth(house), **headers})
    assert answer.status_code == status
    sentence = answer.json()["detail"]
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert queries.incidents(house.database) == []
    assert not list(house.artifacts.folder.rglob("*")) or not any(
        path.is_file() for path in house.artifacts.folder.rglob("*")
    )


@pytest.mark.anyio
async def test_a_valid_key_opens_its_own_project_only(house: House) -> None:
    journal.add_project(house.database, "other")
    async with client(make_app(house)) as http:
        foreign = await http.post("/api/other/envelope/", content=envelope(), headers=auth(house))
        unknown = await http.post("/api/77/envelope/", content=envelope(), headers=auth(house))
    assert (foreign.status_code, unknown.status_code) == (403, 404)
    assert "77" in unknown.json()["detail"]
    assert queries.incidents(house.database) == []


@pytest.mark.anyio
async def test_a_revoked_key_is_refused_from_the_next_event_on(house: House) -> None:
    async with client(make_app(house)) as http:
        headers = auth(house)
        assert (await http.post("/api/1/envelope/", content=envelope(), headers=headers)).status_code == 200
        journal.revoke_key(house.database, secret(house))
        assert (await http.post("/api/1/envelope/", content=envelope(), headers=headers)).status_code == 403


@pytest.mark.anyio
async def test_an_event_by_a_public_key_is_marked_as_not_trusted(house: House) -> None:
    key = journal.add_key(house.database, "default", public=True).key
    async with client(make_app(house)) as http:
        answer = await http.post("/api/1/envelope/", content=envelope(), params={"sentry_key": key})
    assert answer.status_code == 200
    kept = queries.event(house.database, EVENT["event_id"])
    assert kept is not None
    assert kept.trust is Trust.PUBLIC


@pytest.mark.anyio
async def test_a_recursion_with_a_thousand_frames_is_kept(house: House) -> None:
    frame = {
        "function": "walk",
        "module": "shop.tree",
        "filename": "shop/tree.py",
        "lineno": 8,
        "in_app": True,
        "vars": {"n": "x" * 500},
    }
    deep = {
        "type": "RecursionError",
        "value": "maximum recursion depth exceeded",
        "stacktrace": {"frames": [frame] * 1000},
    }
    async with client(make_app(house)) as http:
        body = envelope({**EVENT, "exception": {"values": [deep]}})
        answer = await http.post("/api/1/envelope/", content=body, headers=auth(house))
        page = await http.get("/incidents/INC-1")
    assert answer.status_code == 200
    assert [incident.event_count for incident in queries.incidents(house.database)] == [1]
    assert page.status_code == 200


@pytest.mark.anyio
async def test_an_envelope_without_an_event_is_no_error_and_makes_no_incident(house: House) -> None:
    body = b'{"sent_at":"2026-11-20T10:00:00Z"}\n{"type":"session"}\n{"sid":"1"}\n'
    async with client(make_app(house)) as http:
        answer = await http.post("/api/1/envelope/", content=body, headers=auth(house))
    assert answer.status_code == 200
    assert queries.incidents(house.database) == []


@pytest.mark.anyio
async def test_a_full_house_tells_the_sender_when_to_come_back(tmp_path: Path, house: House) -> None:
    house.config = house.config.model_copy(update={"max_waiting": 0})
    async with client(make_app(house)) as http:
        answer = await http.post("/api/1/envelope/", content=envelope(), headers=auth(house))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["X-Sentry-Rate-Limits"].endswith(":error:organization")


TRACE = 'Traceback (most recent call last):\n  File "/app/rates.py", line 12, in quote\n    x\nKeyError: 1\n'
OWN = {"traceback": TRACE, "release": "1.4"}


@pytest.mark.anyio
async def test_an_applications_own_handler_posts_json_or_text_with_a_bearer_key(house: House) -> None:
    headers = {"Authorization": f"Bearer {secret(house)}"}
    async with client(make_app(house)) as http:
        as_json = await http.post("/ingest/default", json=OWN, headers=headers)
        text = {**headers, "Content-Type": "text/plain"}
        as_text = await http.post("/ingest/default", content=TRACE, headers=text)
        nothing = await http.post("/ingest/default", content="all is well", headers=text)
    assert (as_json.status_code, as_text.status_code, nothing.status_code) == (200, 200, 400)
    kept = queries.event(house.database, as_json.json()["id"])
    assert kept is not None
    assert (kept.release, kept.exceptions[0].type) == ("1.4", "KeyError")


def signature(key: str, body: bytes, at: float) -> dict[str, str]:
    signed = hmac.new(key.encode(), f"{int(at)}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Nightdesk-Signature": f"t={int(at)},v1={signed}", "Content-Type": "application/json"}


@pytest.mark.anyio
async def test_a_signature_is_taken_when_it_fits_the_body_and_is_fresh(house: House) -> None:
    body, key, now = json.dumps(OWN).encode(), secret(house), time.time()
    async with client(make_app(house)) as http:
        good = await http.post("/ingest/1", content=body, headers=signature(key, body, now))
        other_body = await http.post("/ingest/1", content=body + b" ", headers=signature(key, body, now))
        stale = await http.post("/ingest/1", content=body, headers=signature(key, body, now - 301))
        other_key = await http.post("/ingest/1", content=body, headers=signature("f" * 32, body, now))
        garbled = await http.post("/ingest/1", content=body, headers={"X-Nightdesk-Signature": b"v1=\xe9;"})
    refused = [other_body, stale, other_key, garbled]
    assert [good.status_code, *(answer.status_code for answer in refused)] == [200, 403, 403, 403, 403]
    assert [incident.event_count for incident in queries.incidents(house.database)] == [1]


PROGRAM = """
import sys, sentry_sdk
sentry_sdk.init(dsn=sys.argv[1], release="1.4.2", environment="production", auto_enabling_integrations=False)
def quote(order):
    return order["carrier"]
quote({"sku": "A-1"})
"""


def test_the_real_sdk_sends_a_crash_and_the_incident_is_triaged_and_shown(
    house: House, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(PROGRAM)
    with serving(house) as (address, app):
        argv = [sys.executable, "shop.py", f"http://{secret(house)}@{address}/1"]
        crashed = subprocess.run(argv, cwd=tmp_path, timeout=60, capture_output=True, text=True, check=False)
        assert "KeyError" in crashed.stderr
        assert app.state.worker.wait_until_idle(30)
        (incident,) = queries.incidents(house.database)
        page = httpx.get(f"http://{address}/incidents/{incident.id}")
    (event,) = queries.events(house.database, incident.id)
    assert (event.release, event.environment) == ("1.4.2", "production")
    assert event.exceptions[-1].frames[-1].function == "quote"
    assert incident.title.startswith("KeyError")
    assert incident.verdict is not None
    assert page.status_code == 200
    assert "KeyError" in page.text


def test_two_hundred_events_at_once_are_all_on_disk_once_they_are_answered(house: House) -> None:
    with serving(house) as (address, _), httpx.Client(base_url=f"http://{address}") as http:
        ids = [uuid.uuid4().hex for _ in range(200)]
        answered: list[int] = []

        def send(part: list[str]) -> None:
            for event_id in part:
                answer = http.post(
                    "/api/1/envelope/", content=envelope({**EVENT, "event_id": event_id}), headers=auth(house)
                )
                answered.append(answer.status_code)

        threads = [threading.Thread(target=send, args=(ids[start::8],)) for start in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert answered == [200] * 200
    assert [incident.event_count for incident in queries.incidents(house.database)] == [200]


def test_an_answer_reaches_a_sender_whose_body_is_too_large_over_a_real_socket(house: House) -> None:
    with serving(house) as (address, _):
        answer = httpx.post(
            f"http://{address}/api/1/envelope/", content=b" " * (21 << 20), headers=auth(house), timeout=30
        )
    assert answer.status_code == 413


def test_captured_requests_of_real_senders_are_answered_with_success(house: House, shared: Path) -> None:
    with (
        serving(house) as (address, _),
        httpx.Client(base_url=f"http://{address}", headers=auth(house)) as http,
    ):
        captured = sorted((shared / "wire" / "sentry-sdk").rglob("*.envelope"))
        captured += sorted((shared / "wire" / "other-clients" / "raven-legacy-store").glob("*.bin"))
        answers = {path.name: http.post("/api/1/envelope/", content=path.read_bytes()) for path in captured}
    assert captured
    assert {name: answer.text for name, answer in answers.items() if answer.status_code != 200} == {}
    assert queries.incidents(house.database)


@pytest.mark.anyio
async def test_a_sender_over_the_quota_is_refused_before_its_event_is_kept(house: House) -> None:
    house.config = house.config.model_copy(update={"quota": 1})
    async with client(make_app(house)) as http:
        first = await http.post("/api/1/envelope/", content=envelope(), headers=auth(house))
        second = await http.post(
            "/api/1/envelope/", content=envelope(EVENT | {"event_id": "cd" * 16}), headers=auth(house)
        )
        otlp = await http.post("/v1/logs", content=b"{}", headers={"x-nightdesk-key": secret(house)})

    assert (first.status_code, second.status_code, otlp.status_code) == (200, 429, 503)
    assert 0 < int(second.headers["Retry-After"]) <= 60
    assert second.headers["X-Sentry-Rate-Limits"] == f"{second.headers['Retry-After']}:error:project"
    assert int(otlp.headers["Retry-After"]) > 0
    assert queries.event(house.database, "cd" * 16) is None


@pytest.mark.anyio
async def test_a_nearly_full_disk_refuses_instead_of_losing(house: House) -> None:
    house.config = house.config.model_copy(update={"min_free": 1 << 60})
    async with client(make_app(house)) as http:
        answer = await http.post("/api/1/envelope/", content=envelope(), headers=auth(house))

    assert answer.status_code == 503
    assert answer.headers["X-Sentry-Rate-Limits"].endswith(":error:organization")
    assert "MiB are free" in answer.json()["detail"]
    assert queries.event(house.database, EVENT["event_id"]) is None
