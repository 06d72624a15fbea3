"""What a request meets is noted while it runs and sent with its error; and nothing of the noting is ever in the way."""

from __future__ import annotations

import asyncio
import gzip
import json
import linecache
import os
import random
import sqlite3
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any, Callable, Dict, List

import pytest
import sentry_sdk
import urllib3
from sentry_sdk.worker import BackgroundWorker

from nightdesk_capture import (
    NightdeskSpans,
    ambient,
    asked,
    exchanges,
    hooks,
    rows,
    surroundings,
)
from nightdesk_capture import trail as trails
from nightdesk_capture.trail import Trail, current

requests = pytest.importorskip("requests")
httpx = pytest.importorskip("httpx")
sqlalchemy = pytest.importorskip("sqlalchemy")


CapsuleOf = Callable[..., Dict[str, Any]]


def ask_with_httpx(address: str) -> None:
    httpx.get(address, follow_redirects=True)


def ask_with_requests(address: str) -> None:
    requests.get(address, timeout=10)


def ask_with_urllib3(address: str) -> None:
    urllib3.PoolManager().request("GET", address)


def ask_with_urllib(address: str) -> None:
    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - our own
        assert answer.read()


CLIENTS = [ask_with_httpx, ask_with_requests, ask_with_urllib3, ask_with_urllib]


@pytest.mark.parametrize("ask", CLIENTS)
def test_an_answer_of_another_service_comes_once_and_redacted(
    ask: Any, service: str, capsule_of: CapsuleOf
) -> None:
    (one,) = capsule_of(lambda: ask(f"{service}/stock"))["exchanges"]
    assert (one["method"], one["url"], one["status"]) == ("GET", f"{service}/stock", 200)
    body = json.loads(one["body"])
    assert (body["sku"], body["left"]) == ("A-7", None)
    assert body["password"].startswith("redacted-")
    assert set(one) >= {"request", "headers", "at"}


def test_each_redirect_is_an_exchange_of_its_own(service: str, capsule_of: CapsuleOf) -> None:
    found = capsule_of(lambda: ask_with_httpx(f"{service}/moved"))["exchanges"]
    assert [(one["status"], one["url"].rpartition("/")[2]) for one in found] == [
        (302, "moved"),
        (200, "stock"),
    ]


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_call_that_fails_brings_its_error_and_raises_as_before(ask: Any, capsule_of: CapsuleOf) -> None:
    def failing() -> None:
        with pytest.raises(Exception, match=r"."):
            ask("http://127.0.0.1:9/nobody")

    (one,) = capsule_of(failing)["exchanges"]
    assert one["status"] is None
    assert one["error"]["class"].partition(".")[0] in ("httpx", "requests", "urllib3", "urllib")


def test_an_answer_that_urllib_makes_an_error_of_is_an_answer(service: str, capsule_of: CapsuleOf) -> None:
    def work(reads: bool) -> None:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{service}/stock", data=b"x")  # noqa: S310 - our own
        if reads:
            caught.value.read()
        caught.value.close()

    for reads in (False, True):
        (one,) = capsule_of(lambda: work(reads))["exchanges"]  # noqa: B023 - called at once
        assert (one["method"], one["status"], bool(one["body"])) == ("POST", 501, reads)


def test_a_large_answer_is_only_named(service: str, capsule_of: CapsuleOf) -> None:
    content = capsule_of(lambda: ask_with_httpx(f"{service}/large"))
    assert (content["exchanges"][0]["body"], content["exchanges"][0]["size"]) == (None, 600_000)
    assert content["cut"] == {"/exchanges/0/body": "600000 bytes"}


def test_an_answer_that_was_read_as_a_stream_has_its_body_where_all_of_it_was_read(
    service: str, capsule_of: CapsuleOf
) -> None:
    alive: List[Any] = []

    def work() -> None:
        with httpx.stream("GET", f"{service}/stock") as answer:
            alive.append(answer)
            assert answer.read()
        with requests.get(f"{service}/stock", stream=True, timeout=30) as reply:
            alive.append(reply)
            assert reply.content
        with httpx.stream("GET", f"{service}/stock") as piece:
            alive.append(piece)
            assert next(piece.iter_bytes())
        with httpx.stream("GET", f"{service}/large") as large:
            alive.append(large)
            assert large.read()

    one, other, unread, large = capsule_of(work)["exchanges"]
    assert json.loads(one["body"])["sku"] == json.loads(other["body"])["sku"] == "A-7"
    assert (unread["body"], large["body"], large["size"]) == (None, None, 600_000)


def test_the_thread_in_which_the_sdk_sends_is_known() -> None:
    worker, seen = BackgroundWorker(), []
    worker.submit(lambda: seen.append(trails.is_sending()))
    worker.flush(30)
    worker.kill()
    assert seen == [True]
    assert not trails.is_sending()


def test_a_thread_that_a_request_starts_writes_into_the_request_s_trail(
    service: str, capsule_of: CapsuleOf
) -> None:
    def work() -> None:
        sentry_sdk.get_client().integrations  # noqa: B018 - the scope is there
        scope = sentry_sdk.get_isolation_scope()
        current()
        made = scope.fork()
        trails.hand_on(scope, made)

        def inside() -> None:
            with sentry_sdk.scope.use_isolation_scope(made):
                ask_with_httpx(f"{service}/stock")

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join(30)

    assert len(capsule_of(work)["exchanges"]) == 1


def test_rows_of_sqlite_come_in_order_and_a_secret_by_its_column(capsule_of: CapsuleOf) -> None:
    def work() -> None:
        with sqlite3.connect(":memory:") as database:
            database.execute("create table person (id integer, mail text, password text)")
            database.execute("insert into person values (1, 'bob@acme.com', 'hunter2x'), (2, null, null)")
            assert len(list(database.execute("select * from person"))) == 2
            assert database.execute("select id from person where id = ?", (2,)).fetchone() == (2,)

    first, second = capsule_of(work)["statements"]
    assert first["columns"] == ["id", "mail", "password"]
    assert [row[0] for row in first["rows"]] == [1, 2]
    assert "acme" not in json.dumps(first)
    assert "hunter2x" not in json.dumps(first)
    assert (second["sql"], second["rows"]) == ("select id from person where id = ?", [[2]])


def test_the_same_statement_asked_again_is_another_one(capsule_of: CapsuleOf) -> None:
    def work() -> None:
        with sqlite3.connect(":memory:") as database:
            cursor = database.cursor()
            for number in (1, 2):
                assert database.execute("select ?", (number,)).fetchone() == (number,)
            for number in (3, 4):
                assert list(cursor.execute("select ?", (number,))) == [(number,)]

    assert [one["rows"] for one in capsule_of(work)["statements"]] == [[[1]], [[2]], [[3]], [[4]]]


def test_rows_that_were_read_and_not_kept_are_counted(capsule_of: CapsuleOf) -> None:
    def work() -> None:
        with sqlite3.connect(":memory:") as database:
            numbers = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 150) select x from n"
            assert len(list(database.execute(numbers))) == 150
            assert len(database.execute(numbers).fetchall()) == 150

    for one in capsule_of(work)["statements"]:
        assert (len(one["rows"]), one["size"]) == (trails.ROWS, 150)


def test_rows_of_sqlalchemy_come_once_whichever_driver_is_below(capsule_of: CapsuleOf) -> None:
    def work() -> None:
        with sqlalchemy.create_engine("sqlite://").connect() as connection:
            text = sqlalchemy.text("select 1 as one union select 2")
            assert [tuple(row) for row in connection.execute(text)] == [(1,), (2,)]

    (one,) = capsule_of(work)["statements"]
    assert (one["by"], one["columns"], one["rows"]) == ("sqlalchemy", ["one"], [[1], [2]])


def test_numbers_that_were_drawn_come_in_order_and_whoever_draws_many_is_left_alone(
    capsule_of: CapsuleOf,
) -> None:
    drawn: List[Any] = []
    content = capsule_of(lambda: drawn.append((random.random(), random.randrange(1000))))  # noqa: S311
    kinds = [kind for kind, _ in content["draws"]]
    assert (kinds[0], set(kinds[1:])) == ("random", {"getrandbits"})
    assert (content["draws"][0][1], content["draws"][-1][1]) == drawn[0]
    many = capsule_of(lambda: [random.random() for _ in range(2_000)])  # noqa: S311
    assert "draws" not in many
    assert type(vars(random)["_inst"]) is random.Random


def test_a_small_file_comes_with_what_is_in_it_and_a_large_one_without(
    tmp_path: Any, capsule_of: CapsuleOf
) -> None:
    (tmp_path / "rates.json").write_text('{"standard": 20}')
    (tmp_path / "large.csv").write_text("1,2\n" * 50_000)

    def work() -> None:
        for name in ("rates.json", "large.csv", "rates.json"):
            with open(tmp_path / name) as file:
                file.read(5)
        assert (tmp_path / "rates.json").read_text()
        linecache.getlines(random.__file__)

    small, large = capsule_of(work)["files"]
    assert (small["content"], small["size"]) == ('{"standard": 20}', 16)
    assert "content" not in large


def test_only_variables_that_the_failing_code_names_come_along(
    monkeypatch: pytest.MonkeyPatch, capsule_of: CapsuleOf
) -> None:
    monkeypatch.setenv("NIGHTDESK_TEST_MODE", "strict")
    monkeypatch.setenv("NIGHTDESK_TEST_TOKEN", "abcdefgh12345678")
    monkeypatch.setenv("NIGHTDESK_TEST_UNNAMED", "never")

    def work() -> None:
        os.environ.get("NIGHTDESK_TEST_MODE")
        os.getenv("NIGHTDESK_TEST_TOKEN")
        raise LookupError("for one of them")

    found = capsule_of(work)["environment"]
    assert found["NIGHTDESK_TEST_MODE"] == "strict"
    assert "abcdefgh" not in found["NIGHTDESK_TEST_TOKEN"]
    assert "never" not in found.values()


def test_a_part_that_is_off_is_neither_hooked_nor_sent(service: str, capsule_of: CapsuleOf) -> None:
    hooks.remove()
    before = httpx.Client.send, sqlite3.connect
    content = capsule_of(
        lambda: ask_with_httpx(f"{service}/stock"), off=["exchanges", "statements", "environment"]
    )
    assert (httpx.Client.send, sqlite3.connect) == before
    assert not {"exchanges", "statements", "environment"}.intersection(content)


def test_requests_do_not_see_each_other_s_notes(service: str, capsule_of: CapsuleOf) -> None:
    capsule_of(lambda: ask_with_httpx(f"{service}/stock"))
    assert "exchanges" not in capsule_of(lambda: None)


def test_a_trail_goes_with_its_scope(hooked: Callable[..., Any]) -> None:
    before = len(trails._OF_SCOPES)
    for _ in range(50):
        with sentry_sdk.isolation_scope():
            current()
    assert len(trails._OF_SCOPES) <= before + 1


def test_a_trail_is_bounded_in_notes_bodies_and_rows() -> None:
    trail = Trail()
    for number in range(500):
        trail.answered({"n": number, "body": b"x" * 100_000})
        trails.rows_read(trail.reading("test", f"select {number}", ()), [(1,)] * 1_000)
    assert len(trail.notes["exchanges"]) == trails.MOST["exchanges"]
    assert sum(len(one["body"] or b"") for one in trail.notes["exchanges"]) <= trails.BODIES + 100_000
    assert len(trail.notes["statements"]) == trails.MOST["statements"]
    assert sum(len(one) - trails.FIRST for one in trail.notes["statements"]) <= trails.ROWS_IN_ALL


POINTS = [
    (exchanges, "current"), (exchanges, "_of_httpx"), (exchanges, "time"), (rows, "current"),
    (rows, "row_read"), (rows, "rows_read"), (rows, "sys"), (trails, "time"), (trails, "Trail"), (ambient, "current"), (ambient, "is_library_file"), (surroundings, "_names"),
    (exchanges, "_of_urllib3"), (exchanges, "_of_requests"), (exchanges, "_asked_of_urllib"), (exchanges, "_whole"),
    (surroundings, "platform"), (ambient, "told_files"), (rows, "told"), (exchanges, "told"), (trails, "_keep"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name"), POINTS, ids=lambda part: getattr(part, "__name__", part))
def test_a_fault_at_any_hook_changes_nothing_for_the_application(
    module: Any,
    name: str,
    service: str,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsule_of: CapsuleOf,
) -> None:
    (tmp_path / "note").write_text("text")
    seen: List[Any] = []

    def faulty(*args: Any, **words: Any) -> Any:
        raise ValueError("of ours")

    async def later() -> None:
        async with httpx.AsyncClient() as client:
            seen.append((await client.get(f"{service}/stock")).status_code)

    def work() -> None:
        monkeypatch.setattr(module, name, faulty)
        seen.append(httpx.get(f"{service}/stock").status_code)
        seen.append(requests.get(f"{service}/stock", timeout=30).status_code)
        seen.append(urllib3.PoolManager().request("GET", f"{service}/stock").status)
        ask_with_urllib(f"{service}/stock")
        with pytest.raises(urllib.error.URLError):
            ask_with_urllib("http://127.0.0.1:9/nobody")
        asyncio.run(later())
        with sqlalchemy.create_engine("sqlite://").connect() as connection:
            seen.append(connection.execute(sqlalchemy.text("select 1")).scalar())
        with sqlite3.connect(":memory:") as database:
            seen.append(database.execute("select 1").fetchall())
        with open(tmp_path / "note") as file:
            seen.append(file.read())
        seen.append(type(random.random()))  # noqa: S311

    try:
        capsule_of(work)
    finally:
        monkeypatch.undo()
    assert seen == [200, 200, 200, 200, 1, [(1,)], "text", float]


def test_an_answer_that_asks_for_more_is_heard_and_any_other_answer_is_none() -> None:
    class Answered:
        def __init__(self, headers: Any) -> None:
            self.headers = headers

    class Http:
        def __init__(self) -> None:
            self.seen: List[Any] = []

        def _update_rate_limits(self, response: Any) -> None:
            self.seen.append(response)

    listening, transport = asked.Asked(), Http()
    listening.listen(transport)
    listening.listen(transport)
    transport._update_rate_limits(Answered({}))
    transport._update_rate_limits(object())
    assert not listening.more
    transport._update_rate_limits(Answered({"X-Nightdesk-Capture": "more"}))
    assert listening.more
    assert len(transport.seen) == 3


@pytest.mark.parametrize(("hint", "count"), [("off", 0), ("more", 1), ("seed=4", 1)])
def test_a_hint_of_the_span_is_honoured(hint: str, count: int, hooked: Callable[..., Any]) -> None:
    transport = hooked(sampled=1.0)
    with sentry_sdk.start_transaction(name="a request") as span:
        span.set_data("debug-replay-hint", hint)
        try:
            raise LookupError
        except LookupError:
            sentry_sdk.capture_exception()
    assert [one["hints"] for one in transport.capsules()] == [{"debug-replay-hint": hint}] * count


def test_the_surroundings_say_what_it_ran_on_and_who_else_ran(capsule_of: CapsuleOf) -> None:
    ready, done = threading.Event(), threading.Event()

    def waits() -> None:
        ready.set()
        done.wait(30)

    other = threading.Thread(target=waits, name="the other")
    other.start()
    ready.wait(30)
    content = capsule_of(lambda: None)
    done.set()
    other.join(30)
    assert {"implementation", "platform", "hash_seed"} <= set(content["manifest"])
    assert abs(content["clock"]["now"] - time.time()) < 60
    where = dict(content["together"]["threads"])["the other"]
    assert "waits" in where


@pytest.mark.skipif(sys.version_info < (3, 10), reason="opentelemetry-sdk needs a newer Python")
def test_a_span_s_exception_brings_the_same_capsule(service: str, hooked: Callable[..., Any]) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    provider = sdk.TracerProvider()
    provider.add_span_processor(NightdeskSpans(seconds=10))
    tracer = provider.get_tracer("test")
    said = {
        "http.request.method": "GET",
        "url.full": "http://shop.example/a",
        "decision.layout": "grid",
    }
    spans = []

    def served() -> None:
        with tracer.start_as_current_span("GET /a", attributes=said) as span:
            spans.append(span)
            ask_with_httpx(f"{service}/stock")
            raise LookupError("in a span")

    with pytest.raises(LookupError):
        served()
    (span,) = spans
    (event,) = [one for one in span.events if one.name == "exception"]
    import base64  # noqa: PLC0415

    content = json.loads(gzip.decompress(base64.b64decode(event.attributes["nightdesk.capsule"])))
    assert content["entry"]["url"] == "http://shop.example/a"
    assert len(content["exchanges"]) == 1
    assert content["hints"] == {"decision.layout": "grid"}
    assert content["frames"]


def test_a_fork_has_hooks_and_notes_of_its_own(capsule_of: CapsuleOf) -> None:
    capsule_of(lambda: None)
    child = os.fork()
    if child == 0:
        with sqlite3.connect(":memory:") as database:
            found = database.execute("select 1").fetchall()
        os._exit(0 if found == [(1,)] and current().notes["statements"] else 1)
    assert os.waitpid(child, 0)[1] == 0
