"""The hooks of libraries that are no part of the project, on the real ones; each is skipped where it is not installed.

    uv run --with aiohttp --with redis --with openfeature-sdk --with aiosqlite --with gevent --with celery --with rq \
        pytest -n 0 clients/python/tests/test_real_libraries.py

Redis is the server on the path, PostgreSQL that of the tests' own wheel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterator

import pytest

from nightdesk_capture import ambient, exchanges, rows

CapsuleOf = Callable[..., Dict[str, Any]]
PATIENCE = 30.0  # seconds that a server may take to answer


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A redis server of our own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("There is no redis-server on the path.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = str(tmp_path_factory.mktemp("redis"))
    running = subprocess.Popen([program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
                               stdout=subprocess.DEVNULL)  # fmt: skip
    until = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        assert time.monotonic() < until
    yield port
    running.terminate()
    running.wait(PATIENCE)


def test_an_answer_that_aiohttp_has_read_is_an_exchange(service: str, capsule_of: CapsuleOf) -> None:
    aiohttp = pytest.importorskip("aiohttp")

    async def ask() -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{service}/stock") as response:
            assert (await response.json())["sku"] == "A-7"
            assert (await response.json())["sku"] == "A-7"

    (one,) = capsule_of(lambda: asyncio.run(ask()))["exchanges"]
    assert (one["client"], one["method"], one["url"], one["status"]) == (
        "aiohttp",
        "GET",
        f"{service}/stock",
        200,
    )
    assert json.loads(one["body"])["password"].startswith("redacted-")


def test_a_call_of_aiohttp_that_fails_brings_its_error(capsule_of: CapsuleOf) -> None:
    aiohttp = pytest.importorskip("aiohttp")

    async def ask() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get("http://127.0.0.1:9/nobody")

    (one,) = capsule_of(lambda: asyncio.run(ask()))["exchanges"]
    assert one["status"] is None
    assert one["error"]["class"].startswith("aiohttp.")


def test_reads_of_redis_come_with_their_values(redis_port: int, capsule_of: CapsuleOf) -> None:
    redis = pytest.importorskip("redis")

    def work() -> None:
        with redis.Redis(port=redis_port, decode_responses=True) as client:
            client.set("basket:9", "[1, 2]")
            client.hset("user:7", mapping={"name": "Bo", "password": "hunter2x"})
            assert client.get("basket:9") == "[1, 2]"
            assert client.hgetall("user:7")["name"] == "Bo"

    found = capsule_of(work)["cache"]
    assert [one["name"] for one in found] == [["GET", "basket:9"], ["HGETALL", "user:7"]]
    assert found[0]["value"] == "[1, 2]"
    assert "hunter2x" not in json.dumps(found)


def test_reads_of_asynchronous_redis_come_with_their_values(redis_port: int, capsule_of: CapsuleOf) -> None:
    redis = pytest.importorskip("redis.asyncio")

    async def ask() -> None:
        client = redis.Redis(port=redis_port)
        await client.set("stock:1", "4")
        assert await client.get("stock:1") == b"4"
        await client.aclose()

    (one,) = capsule_of(lambda: asyncio.run(ask()))["cache"]
    assert one["name"] == ["GET", "stock:1"]


def test_a_fault_at_the_hooks_of_these_changes_nothing(
    service: str, redis_port: int, monkeypatch: pytest.MonkeyPatch, hooked: Callable[..., Any]
) -> None:
    aiohttp, redis = pytest.importorskip("aiohttp"), pytest.importorskip("redis")
    api = pytest.importorskip("openfeature.api")
    memory = pytest.importorskip("openfeature.provider.in_memory_provider")
    transport = hooked()

    def faulty(*args: Any, **words: Any) -> Any:
        raise ValueError("of ours")

    for module in (ambient, exchanges, rows):
        monkeypatch.setattr(module, "current", faulty)
    monkeypatch.setattr(exchanges, "_of_aiohttp", faulty)

    async def ask() -> Any:
        client = redis.asyncio.Redis(port=redis_port)
        async with aiohttp.ClientSession() as session, session.get(f"{service}/stock") as response:
            found = [(await response.json())["sku"], await client.get("nobody")]
        await client.aclose()
        return found

    assert asyncio.run(ask()) == ["A-7", None]
    with redis.Redis(port=redis_port) as client:
        assert client.get("nobody") is None
    api.set_provider(memory.InMemoryProvider({"layout": memory.InMemoryFlag("on", {"on": "grid"})}))
    assert api.get_client().get_string_value("layout", "list") == "grid"
    assert transport.envelopes == []


def test_rows_of_psycopg_come_with_their_columns(capsule_of: CapsuleOf) -> None:
    psycopg = pytest.importorskip("psycopg")
    servers = pytest.importorskip("bench.postgres_server")
    try:
        with servers.PostgresServer.start() as server:
            url = server.new_database().replace("+psycopg", "")
            content = capsule_of(lambda: _psycopg_work(psycopg, url))
    except servers.NoServer as reason:
        pytest.skip(str(reason))
    first, second, third = content["statements"]
    assert (first["by"], first["columns"], first["rows"]) == (
        "psycopg",
        ["id", "cents"],
        [[1, 100], [2, None]],
    )
    assert second["rows"] == [[2]]
    assert third["rows"] == [[1], [2]]


def _psycopg_work(psycopg: Any, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("create table line (id integer, cents integer)")
        connection.execute("insert into line values (1, 100), (2, null)")
        assert len(connection.execute("select id, cents from line order by id").fetchall()) == 2
        with connection.cursor() as cursor:
            cursor.execute("select id from line where id = %s", (2,))
            assert cursor.fetchone() == (2,)
        assert [number for (number,) in connection.execute("select id from line order by id")] == [1, 2]


def test_rows_of_asynchronous_sqlalchemy_come_once(capsule_of: CapsuleOf) -> None:
    pytest.importorskip("aiosqlite")
    sqlalchemy = pytest.importorskip("sqlalchemy.ext.asyncio")
    text = pytest.importorskip("sqlalchemy").text

    async def ask() -> None:
        engine = sqlalchemy.create_async_engine("sqlite+aiosqlite://")
        async with engine.connect() as connection:
            found = await connection.execute(text("select 1 as one union select 2"))
            assert [tuple(row) for row in found] == [(1,), (2,)]
        await engine.dispose()

    (one,) = capsule_of(lambda: asyncio.run(ask()))["statements"]
    assert (one["by"], one["columns"], one["rows"]) == ("sqlalchemy", ["one"], [[1], [2]])


def test_a_flag_that_openfeature_was_asked_is_noted(capsule_of: CapsuleOf) -> None:
    api = pytest.importorskip("openfeature.api")
    memory = pytest.importorskip("openfeature.provider.in_memory_provider")
    api.set_provider(memory.InMemoryProvider({"layout": memory.InMemoryFlag("on", {"on": "grid"})}))
    (one,) = capsule_of(lambda: api.get_client().get_string_value("layout", "list"))["flags"]
    assert (one["flag"], one["result"]) == ("layout", "grid")


def test_a_task_of_celery_brings_its_arguments_and_what_it_met(
    service: str, hooked: Callable[..., Any]
) -> None:
    celery = pytest.importorskip("celery")
    requests = pytest.importorskip("requests")
    from sentry_sdk.integrations.celery import CeleryIntegration  # noqa: PLC0415

    app = celery.Celery("shop", broker="memory://", backend="cache+memory://")
    transport = hooked(CeleryIntegration())

    @app.task(name="shop.ship")
    def ship(order: Dict[str, Any]) -> int:
        requests.get(f"{service}/stock", timeout=PATIENCE)
        return int(order["lines"] / 0)

    assert ship.apply(args=[{"lines": 3}]).failed()
    (content,) = transport.capsules()
    assert content["entry"]["kind"] == "celery"
    assert content["entry"]["job"]["args"] == [{"$": "dict", "of": [["lines", 3]], "id": 1}]
    assert [one["status"] for one in content["exchanges"]] == [200]


def test_a_job_of_rq_brings_its_arguments(redis_port: int, hooked: Callable[..., Any]) -> None:
    rq = pytest.importorskip("rq")
    redis = pytest.importorskip("redis")
    from sentry_sdk.integrations.rq import RqIntegration  # noqa: PLC0415

    transport = hooked(RqIntegration())
    connection = redis.Redis(port=redis_port)
    queue = rq.Queue(connection=connection)
    queue.enqueue(json.loads, "{broken")
    rq.SimpleWorker([queue], connection=connection).work(burst=True)
    (content,) = transport.capsules()
    assert (content["entry"]["kind"], content["entry"]["job"]["args"]) == ("rq", ["{broken"])
    connection.close()


def test_greenlets_have_notes_of_their_own(service: str) -> None:
    pytest.importorskip("gevent")
    program = f'''
from gevent import monkey
monkey.patch_all()
import gzip, json, gevent, sentry_sdk, requests
from sentry_sdk.transport import Transport
from nightdesk_capture import NightdeskCapture
class Kept(Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            if item.type == "attachment":
                content = json.loads(gzip.decompress(item.payload.get_bytes()))
                print(json.dumps([one["url"] for one in content.get("exchanges", [])]))
sentry_sdk.init(dsn="http://key@localhost/1", transport=Kept, integrations=[NightdeskCapture(seconds=10)])
def request(number):
    with sentry_sdk.isolation_scope():
        try:
            requests.get(f"{service}/{{number}}", timeout=30)
            raise LookupError(number)
        except LookupError:
            sentry_sdk.capture_exception()
gevent.joinall([gevent.spawn(request, number) for number in range(4)], raise_error=True, timeout=30)
'''
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120,
                          check=False, env={**os.environ, "PYTHONPATH": path})  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = sorted(json.loads(line) for line in done.stdout.splitlines())
    assert found == [[f"{service}/{number}"] for number in range(4)]
