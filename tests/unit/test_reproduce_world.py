"""What a capsule has of a call's world is given back to the code by the test that is written; what is no world is not."""

from __future__ import annotations

import importlib.machinery
import random
import sys
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.served import REDIS
from fixloop.reproduce.world import served, zone_of
from fixloop.reproduce.write import call_source
from store.event import Capsule, Event

SHOP = '''
import os
import random
import sqlite3

import httpx
import requests
import sqlalchemy
import urllib.error
import urllib.request
import urllib3

MODE = os.environ.get("SHOP_MODE", "plain")


def asked():
    """Each client, and one answer asked twice."""
    with httpx.Client(base_url="http://stock.internal") as client:
        first = client.get("/a", params={"q": 1}).json()
    second = requests.get("http://stock.internal/b", timeout=5).json()
    third = urllib3.PoolManager().request("GET", "http://stock.internal/c").data.decode()
    with urllib.request.urlopen("http://stock.internal/d") as answer:
        fourth = [answer.status, answer.read().decode()]
    try:
        urllib.request.urlopen("http://stock.internal/e")
    except urllib.error.HTTPError as error:
        fifth = [error.code, error.read().decode()]
    return [first, second, third, fourth, fifth]


def timed_out():
    try:
        httpx.get("http://slow.internal/")
    except httpx.ConnectTimeout as error:
        return str(error)


def read():
    database = sqlite3.connect("/nowhere/shop.db")
    one = database.execute("select  state from ticket where id = ?", (3,)).fetchone()
    engine = sqlalchemy.create_engine("sqlite:////nowhere/shop.db")
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("select a, b from t")).all()
    return [one, [tuple(row) for row in rows]]


def drawn():
    return [random.random(), random.randrange(1000)]


def opened():
    with open("/etc/shop/rates.json") as file:
        return file.read()


def mode():
    return MODE
'''
AT = datetime(2026, 3, 1, tzinfo=UTC)


def event_of(**parts: Any) -> Event:
    content = {"version": 1, "entry": {}, "frames": [], "cut": {}, "redacted": [], **parts}
    return Event(
        event_id="e" * 32, project="p", received_at=AT, timestamp=AT, capsule=Capsule(content=content)
    )


def recipe_of(name: str) -> Recipe:
    target = {"module": "nightdesk_world_shop", "qualname": name, "receiver": None, "wrap": None}
    return Recipe(entry="frame", repo="r", target=target, inputs={"args": [], "kwargs": {}})


CATALOGUE = Catalogue(lambda: {"nightdesk_world_shop": SHOP})


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The application, importable, and not imported yet."""

    class Finder:
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
            if name != "nightdesk_world_shop":
                return None
            return importlib.machinery.ModuleSpec(name, self)  # type: ignore[arg-type]

        def create_module(self, spec: Any) -> Any:
            return types.ModuleType(spec.name)

        def exec_module(self, module: types.ModuleType) -> None:
            exec(compile(SHOP, "shop.py", "exec"), module.__dict__)  # noqa: S102 - our own text

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    yield
    sys.modules.pop("nightdesk_world_shop", None)


def run(name: str, event: Event) -> Any:
    """What the call gives in the world of the event."""
    namespace: dict[str, Any] = {"__name__": "job"}
    exec(compile(call_source(served(recipe_of(name), event, CATALOGUE)), "job", "exec"), namespace)  # noqa: S102
    return namespace["call"]()


def exchange(client: str, url: str, body: Any, **more: Any) -> dict[str, Any]:
    return {"client": client, "method": "GET", "url": url, "status": 200, "body": body, "at": 1.0,
            "request": {"headers": {}, "body": None}, "headers": {"Content-Type": "application/json", "Content-Encoding": "gzip"}, **more}  # fmt: skip


def test_every_client_gets_the_answer_that_was_recorded_for_it(shop: None) -> None:
    event = event_of(exchanges=[
        exchange("httpx", "http://stock.internal/other", '{"n": 0}'), exchange("httpx", "http://stock.internal/a?q=1", '{"n": 1}'),
        exchange("requests", "http://stock.internal/b", '{"n": 2}'), exchange("urllib3", "http://stock.internal/c", {"b64": "bg=="}),
        exchange("urllib", "http://stock.internal/d", "d"), exchange("urllib", "http://stock.internal/e", "e", status=503),
    ])  # fmt: skip
    assert run("asked", event) == [{"n": 1}, {"n": 2}, "n", [200, "d"], [503, "e"]]


def test_a_call_that_failed_fails_again_with_its_own_error(shop: None) -> None:
    error = {"class": "httpx.ConnectTimeout", "message": "timed out"}
    event = event_of(exchanges=[exchange("httpx", "http://slow.internal/", None, status=None, error=error)])
    assert run("timed_out", event) == "timed out"


def test_rows_are_read_again_without_a_database(shop: None) -> None:
    event = event_of(statements=[
        {"by": "sqlite3", "sql": "select state from ticket where id = ?", "columns": ["state"], "rows": [["parked"]]},
        {"by": "sqlalchemy", "sql": "select a, b from t", "columns": ["a", "b"], "rows": [[1, None], [2, "x"]]},
    ])  # fmt: skip
    assert run("read", event) == [("parked",), [(1, None), (2, "x")]]


def test_reads_of_redis_give_what_they_gave_and_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    class Redis:
        """As much of the client as a test stands on: every command goes through here."""

        def execute_command(self, *args: Any) -> Any:
            raise AssertionError("no server was asked before")

    redis = types.ModuleType("redis")
    redis.Redis, redis.asyncio = Redis, types.SimpleNamespace(Redis=type("Redis", (Redis,), {}))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "redis", redis)
    given = [
        (("GET", "seen:7"), b"[1]"),
        (("HGETALL", "user-token"), {b"a": b"1"}),
        (("GET", "seen:7"), b"[2]"),
    ]
    scope: dict[str, Any] = {}
    exec("import contextlib, redis\nfrom unittest import mock\n" + REDIS, scope)  # noqa: S102 - our own text
    with scope["recorded_redis"](*given):
        client = Redis()
        assert client.execute_command("SET", "seen:7", "x") is None
        assert client.execute_command("get", "seen:7") == b"[1]"
        assert client.execute_command("HGETALL", "user:7") == {b"a": b"1"}
        assert [client.execute_command("GET", "seen:7") for _ in range(2)] == [b"[2]", b"[2]"]
    with pytest.raises(AssertionError):
        Redis().execute_command("GET", "seen:7")


def test_random_numbers_come_again_and_then_chance_goes_on(shop: None) -> None:
    kind = type(vars(random)["_inst"])
    event = event_of(draws=[["random", 0.25], ["getrandbits", 57]])
    assert run("drawn", event) == [0.25, 57]
    assert type(vars(random)["_inst"]) is kind


def test_a_file_says_what_it_said_and_a_variable_is_set_before_the_import(
    shop: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_MODE", raising=False)
    assert (
        run("opened", event_of(files=[{"path": "/etc/shop/rates.json", "size": 2, "content": "{}"}])) == "{}"
    )
    sys.modules.pop("nightdesk_world_shop", None)
    assert run("mode", event_of(environment={"SHOP_MODE": "strict"})) == "strict"


def test_a_value_that_two_places_share_is_written_where_it_is_needed() -> None:
    event = event_of(
        frames=[{"function": "f", "line": 1, "vars": {"basket": {"$": "list", "id": 1, "of": ["A"]}}}],
        cache=[{"store": "django:default", "name": ["basket:9"], "value": {"$": "same", "id": 1}, "at": 1.0}],
    )
    found = served(recipe_of("mode"), event, CATALOGUE).inputs["world"]["cache"]
    assert found == [{"store": "django:default", "name": ["basket:9"], "value": ["A"]}]


HOSTILE: list[dict[str, Any]] = [
    {
        "exchanges": [
            1,
            {},
            {"client": "os", "method": "GET", "url": "x", "status": 200, "headers": {}, "body": ""},
        ]
    },
    {"exchanges": {"a": 1}},
    {"statements": [{"by": "sqlite3", "sql": 1, "columns": 2, "rows": 3}]},
    {"environment": {"PATH": "/evil", "LD_PRELOAD": "/evil.so", "a\nb": "c", "PYTHONPATH": "x"}},
    {"environment": [1]},
    {"files": ["a"], "cache": 3, "draws": "abc", "flags": [{}]},
    {"cache": [{"store": "redis", "name": ["k"], "value": {"$": "same", "id": 7}}]},
]


@pytest.mark.parametrize("parts", HOSTILE, ids=range(len(HOSTILE)))
def test_a_part_that_is_none_is_left_out(parts: dict[str, Any]) -> None:
    assert "world" not in served(recipe_of("mode"), event_of(**parts), CATALOGUE).inputs


def test_text_of_a_capsule_stays_text_in_the_test() -> None:
    evil = "'''\"); raise SystemExit('run')  # \\"
    event = event_of(
        exchanges=[exchange("httpx", evil, evil), exchange("httpx", "x", None, error={"class": "httpx.os; x", "message": evil})],
        environment={"SHOP_MODE": evil}, files=[{"path": evil, "content": evil}],
        statements=[{"by": "sqlite3", "sql": evil, "columns": [evil], "rows": [[evil]]}],
    )  # fmt: skip
    found = served(recipe_of("mode"), event, CATALOGUE)
    assert set(found.inputs["world"]) == {"environment", "files", "statements"}  # one exchange names no error
    compile(call_source(found), "job", "exec")
    event = event_of(exchanges=[exchange("httpx", evil, evil)])
    compile(call_source(served(recipe_of("mode"), event, CATALOGUE)), "job", "exec")


@pytest.mark.parametrize(
    ("clock", "zone"),
    [({"tz": "Europe/Vienna"}, "Europe/Vienna"), ({"tz": None, "offset": -28800}, "LCL+8:00"), ({"offset": 0}, None),
     ({"tz": "a b; rm"}, None), (3, None)],
)  # fmt: skip
def test_the_zone_of_the_process_is_known_from_its_clock(clock: Any, zone: str | None) -> None:
    assert zone_of(event_of(clock=clock)) == zone


def test_flags_that_the_sdk_saw_looked_up_are_given_back_where_the_code_asks_openfeature_for_them() -> None:
    asks = "from openfeature import api\n\n\ndef mode():\n    return api.get_client().get_boolean_value('new', False)\n"
    values = [
        {"flag": "new", "result": False},
        {"flag": "new", "result": True},
        {"flag": 3, "result": True},
        "x",
    ]
    event = event_of().model_copy(update={"capsule": None, "contexts": {"flags": {"values": values}}})

    found = served(recipe_of("mode"), event, Catalogue(lambda: {"shop": asks}))

    assert found.inputs["world"] == {"flags": {"new": True}}
    assert "InMemoryFlag('then', {'then': True})" in call_source(found)
    assert "world" not in served(recipe_of("mode"), event, CATALOGUE).inputs  # its code asks nobody for flags
