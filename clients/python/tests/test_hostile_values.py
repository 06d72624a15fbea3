"""Values that do harm when they are looked at: they are not looked at."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
import sys
import threading
import time
import weakref
from typing import Any, Dict

import pytest

from nightdesk_capture.capsule import build
from nightdesk_capture.encode import Encoder
from nightdesk_capture.limits import LEVELS
from nightdesk_capture.rules.capsule_walk import CapsuleRedactor
from nightdesk_capture.settings import Settings, settings

REDACTOR = CapsuleRedactor(b"key")


class Touched(Exception):
    """Raised by whatever must not be run."""


class Boobytrap:
    """Everything that Python could ask of an object raises."""

    def __init__(self) -> None:
        object.__setattr__(self, "kept", 1)

    def _no(self, *args: Any) -> Any:
        raise Touched

    __getattribute__ = __getattr__ = __repr__ = __str__ = __iter__ = __len__ = __eq__ = __bool__ = (
        __call__
    ) = _no
    __hash__ = __reduce__ = __reduce_ex__ = __dir__ = __format__ = __getitem__ = __contains__ = _no
    __class__ = property(_no)  # type: ignore[assignment]


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in ("__mro__", "__dict__", "__module__", "__qualname__", "__name__"):
            raise Touched
        return super().__getattribute__(name)

    def __instancecheck__(cls, other: Any) -> bool:
        raise Touched

    __subclasscheck__ = __instancecheck__


class OfMeta(metaclass=Meta):
    def __init__(self) -> None:
        self.kept = 2


class HidesItsDict:
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise Touched


class LyingDict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise Touched

    __iter__ = __len__ = keys = values = __getitem__ = copy = items  # type: ignore[assignment]


class LyingText(str):
    def __str__(self) -> str:
        raise Touched

    __len__ = __getitem__ = __eq__ = __hash__ = encode = __str__  # type: ignore[assignment]


class Lazy:
    """As Django's query sets: asked for its items, its length or its text, it goes to the database."""

    def __init__(self, asked: Any) -> None:
        self._asked = asked

    def _query(self, *args: Any) -> Any:
        object.__getattribute__(self, "_asked").append(1)
        return iter(())

    __iter__ = __len__ = __repr__ = __bool__ = __getitem__ = _query


class Blocks:
    @property
    def slow(self) -> Any:
        time.sleep(60)
        return None


def capsule(**values: Any) -> Dict[str, Any]:
    """The content of the capsule of an error in a function with these variables."""

    def fail(value: Any) -> None:
        raise ValueError

    try:
        fail(values)
    except ValueError as error:
        trace = error.__traceback__.tb_next  # type: ignore[union-attr]
    packed = build(trace, {}, Settings(seconds=5), REDACTOR)
    content: Dict[str, Any] = json.loads(gzip.decompress(packed))
    assert len(packed) <= Settings().budget
    assert "failed" not in content
    return content


def node(value: Any) -> Any:
    return capsule(it=value)["frames"][0]["vars"]["value"]["it"]


def test_nothing_of_an_object_is_run_when_it_is_read() -> None:
    assert node(Boobytrap())["state"] == {"kept": 1}
    assert node(OfMeta())["state"] == {"kept": 2}
    assert node(OfMeta)["$"] == "class"
    assert node(HidesItsDict())["state"] == {}


def test_containers_and_texts_that_lie_are_read_behind_their_back() -> None:
    assert node(LyingDict(a=1))["items"] == {"a": 1}
    assert node(LyingText("true"))["items"] == "true"


def test_a_lazy_query_is_never_asked() -> None:
    asked: list = []  # type: ignore[type-arg]
    assert node(Lazy(asked))["state"] == {"_asked": []}
    assert asked == []


def test_a_property_that_blocks_is_not_asked() -> None:
    before = time.monotonic()
    assert node(Blocks())["state"] == {}
    assert time.monotonic() - before < 20


def test_a_text_of_a_gigabyte_is_not_copied() -> None:
    text = "x" * (1 << 30)
    before = time.monotonic()
    found = node(text)
    assert found["size"] == 1 << 30
    assert len(found["of"]) <= LEVELS[0].text
    assert time.monotonic() - before < 20


def test_circles_and_deep_nestings_end() -> None:
    circle: Dict[str, Any] = {}
    circle["me"] = circle
    assert node(circle)["of"][0][1] == {"$": "same", "id": 1}
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert any(why == "depth" for why in capsule(it=deep)["cut"].values())


def test_what_belongs_to_the_machine_is_only_named() -> None:
    class Own:
        pass

    own = Own()
    with socket.socket() as open_socket:
        for value in (open_socket, threading.Lock(), threading.RLock(), weakref.proxy(own), weakref.ref(own),
                      (n for n in range(3)), sys.stdout, sys, asyncio.new_event_loop):  # fmt: skip
            assert node(value)["$"] in ("opaque", "function", "call"), value


def test_a_generator_is_not_moved_on() -> None:
    numbers = (number for number in range(3))
    assert node(numbers)["$"] == "opaque"
    assert list(numbers) == [0, 1, 2]


def test_an_iterator_gives_the_same_afterwards() -> None:
    letters = iter(["a", "b"])
    assert node(letters)["args"] == [["a", "b"]]
    assert list(letters) == ["a", "b"]


def test_a_class_that_pretends_to_be_a_librarys_is_not_believed() -> None:
    class Decimal:
        def __str__(self) -> str:
            raise Touched

    Decimal.__module__, Decimal.__qualname__ = "decimal", "Decimal"
    assert node(Decimal())["$"] in ("object", "opaque")


def test_a_mapping_that_changes_while_it_is_read_costs_only_itself() -> None:
    class Grows(dict):  # type: ignore[type-arg]
        pass

    changing = {number: [number] for number in range(1500)}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            changing[-number] = [number]
            changing.pop(-number)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        found = [capsule(it=changing, other=1)["frames"][0]["vars"]["value"] for _ in range(5)]
    finally:
        stop.set()
        thread.join(10)
    assert all(one["other"] == 1 for one in found)


def test_more_than_the_budget_is_cut_and_said() -> None:
    noise = {str(number): "".join(random.choices("abcdefghij", k=300)) for number in range(3000)}  # noqa: S311
    found = capsule(it=noise, other=7)
    assert found["cut"]
    assert found["frames"][0]["function"] == "fail"


def test_a_smaller_budget_gives_a_smaller_capsule() -> None:
    def fail(rows: Any) -> None:
        raise ValueError

    try:
        fail([{"number": number, "text": str(number) * 20} for number in range(3000)])
    except ValueError as error:
        trace = error.__traceback__
    chosen = settings(2048, 5, (), (), None)
    packed = build(trace, {}, chosen, REDACTOR)
    content = json.loads(gzip.decompress(packed))
    assert len(packed) <= 2048
    assert any("items" in why or why == "size" for why in content["cut"].values())


def test_the_clock_ends_what_would_take_too_long() -> None:
    encoder = Encoder(LEVELS[0], time.monotonic() - 1)
    encoder.value([[number] for number in range(5000)], "/it")
    assert "time" in encoder.cut.values()


def test_a_secret_is_not_cut_in_half() -> None:
    key = "sk_live_" + "a1B2" * 8
    text = "x " * 49_140 + key + " the end" * 20_000
    found = node(text)
    assert "sk_live" not in json.dumps(found)


@pytest.mark.parametrize("depth", [50, 900])
def test_an_error_of_too_deep_recursion_has_a_capsule(depth: int) -> None:
    def down(level: int) -> int:
        return down(level + 1)

    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(_stack()) + depth)
        down(0)
    except RecursionError as error:
        trace = error.__traceback__
    finally:
        sys.setrecursionlimit(limit)
    content = json.loads(gzip.decompress(build(trace, {}, Settings(seconds=5), REDACTOR)))
    levels = [frame["vars"].get("level") for frame in content["frames"]]
    assert 0 in levels
    assert len(levels) <= LEVELS[0].frames


def _stack() -> list:  # type: ignore[type-arg]
    found, frame = [], sys._getframe()
    while frame is not None:
        found.append(frame)
        frame = frame.f_back  # type: ignore[assignment]
    return found
