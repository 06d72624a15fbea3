"""What other services answered, variables and flags: out of a capsule, into the text of a call that is run here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fixloop.reproduce.ambient import with_ambient
from fixloop.reproduce.answers import answers_of, asked_with, with_answers
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.write import call_source
from store.event import Capsule, Event

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ASKING = {
    "httpx": "import httpx\n\n\ndef ask(url):\n    return httpx.get(url).json()['rate']\n",
    "requests": "import requests\n\n\ndef ask(url):\n    return requests.get(url, timeout=1).json()['rate']\n",
    "urllib3": "import urllib3\n\n\ndef ask(url):\n    return urllib3.PoolManager().request('GET', url).json()['rate']\n",
}
READING = "import os\n\nLIMIT = int(os.environ['SHOP_LIMIT'])\n\n\ndef ask(url):\n    return LIMIT\n"


def event_of(**content: Any) -> Event:
    capsule = Capsule(content={"version": 1, "entry": {}, "frames": [], "cut": {}, "redacted": [], **content})
    return Event(event_id="1", project="p", received_at=NOW, timestamp=NOW, capsule=capsule)


def exchange(body: Any, url: str = "https://rates.example/eur", status: int = 200) -> dict[str, Any]:
    asked: dict[str, Any] = {"headers": {}, "body": None}
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    return {
        "method": "GET",
        "url": url,
        "request": asked,
        "status": status,
        "headers": headers,
        "body": body,
        "at": 1.0,
    }


def asking(module: str, url: str = "https://rates.example/eur") -> Recipe:
    target = {"framework": "python", "module": module, "qualname": "ask", "receiver": None, "wrap": None}
    return Recipe(entry="frame", repo="app", target=target, inputs={"args": [url], "kwargs": {}})


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Makes a module of the application that can be imported while the test runs."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def module(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        made.append(name)
        return name

    yield module
    for name in made:
        sys.modules.pop(name, None)


def called(recipe: Recipe) -> Any:
    space: dict[str, Any] = {"__name__": "reproducer"}
    exec(compile(call_source(recipe), "reproducer.py", "exec"), space)  # noqa: S102 - what a sandbox would run
    return space["call"]()


@pytest.mark.parametrize("library", list(ASKING))
def test_a_library_gets_the_answer_that_was_recorded(library: str, given: Callable[[str, str], str]) -> None:
    module = given(f"asking_by_{library}", ASKING[library])
    event = event_of(exchanges=[exchange('{"rate": 1.25, "day": "mon"}')])
    recipe = with_answers(asking(module), event, asked_with([ASKING[library]]))
    assert recipe.target["asks"] == [library]
    assert called(recipe) == 1.25


def test_several_answers_to_one_address_come_in_their_order(given: Callable[[str, str], str]) -> None:
    module = given("asking_twice", ASKING["httpx"].replace("return ", "httpx.get(url)\n    return "))
    event = event_of(exchanges=[exchange('{"rate": 1}'), exchange('{"rate": 2}')])
    assert called(with_answers(asking(module), event, ["httpx"])) == 2


def test_a_request_that_was_not_recorded_is_refused(given: Callable[[str, str], str]) -> None:
    module = given("asking_elsewhere", ASKING["requests"])
    recipe = with_answers(
        asking(module, "https://other.example/"), event_of(exchanges=[exchange("{}")]), ["requests"]
    )
    with pytest.raises(ConnectionError, match="was recorded"):
        called(recipe)


def test_an_address_whose_query_was_redacted_has_its_answer(given: Callable[[str, str], str]) -> None:
    module = given("asking_with_key", ASKING["requests"])
    told = exchange('{"rate": 3}', "https://rates.example:443/eur?key=[Filtered]")
    recipe = with_answers(
        asking(module, "https://rates.example/eur?key=k1"), event_of(exchanges=[told]), ["requests"]
    )
    assert called(recipe) == 3


def test_what_is_no_whole_answer_is_left_out() -> None:
    failed = {"method": "GET", "url": "https://a.example/", "status": None, "error": "timeout"}
    spoiled = [
        failed,
        7,
        {"status": 200},
        exchange({"b64": "///"}),
        exchange({"b64": "AP8="}),
        exchange("x" * 300_000),
    ]
    found = answers_of(event_of(exchanges=spoiled))
    assert [one.get("body") for one in found] == [None, {"$repr": r"b'\x00\xff'"}, None]
    assert all("content-encoding" not in one["headers"] for one in found)
    assert answers_of(event_of(exchanges={"not": "a list"})) == []


def test_a_variable_that_the_code_reads_is_there_before_it_is_imported(
    given: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_LIMIT", "1")
    module = given("reading_limit", READING)
    told = {"SHOP_LIMIT": "40", "UNREAD": "x", "PYTHONPATH": "/evil", "HOME": "/evil", "not a name": "x"}
    recipe = with_ambient(
        asking(module), event_of(environment=told), {module: READING + "# 'PYTHONPATH' 'HOME'\n"}
    )
    assert recipe.inputs["env"] == {"SHOP_LIMIT": "40"}
    assert module not in recipe.preload
    assert called(recipe) == 40


def test_flags_are_set_where_the_code_looks_them_up() -> None:
    event = event_of(flags=[{"flag": "checkout", "result": True}, {"flag": "x", "result": [1]}, "none"])
    event = event.model_copy(update={"contexts": {"flags": {"values": [{"flag": "old", "result": "b"}]}}})
    assert "flags" not in with_ambient(asking("app"), event, {"app": "import os\n"}).inputs
    recipe = with_ambient(asking("app"), event, {"app": "from openfeature import api\n"})
    assert recipe.inputs["flags"] == {"old": "b", "checkout": True}
    assert "InMemoryProvider" in call_source(recipe)
