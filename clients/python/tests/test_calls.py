"""Arguments as they were at the call: of functions that failed before, once more is asked for, on Python 3.12 and newer."""

from __future__ import annotations

import sys
import threading
from typing import Any, Callable, Dict, Iterator, List

import pytest
import sentry_sdk

from nightdesk_capture import calls
from nightdesk_capture.calls import CALLS_OF_THE_PROCESS, VALUES, alike, copied

needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12"
)


class Van:
    """Something with a state."""

    def __init__(self) -> None:
        self.load: List[int] = []

    def fill(self, parcels: List[int], limit: int, names: Any = None) -> None:
        """Changes its object and its argument in place, and fails."""
        limit = limit * 2
        while parcels:
            self.load.append(parcels.pop())
        raise LookupError(next(names, "none"))


def untouched(value: int) -> int:
    """A function that never fails."""
    return value + 1


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nobody is listened to before and after."""
    CALLS_OF_THE_PROCESS.end()
    CALLS_OF_THE_PROCESS._names.clear()
    CALLS_OF_THE_PROCESS._spent = 0.0
    yield
    CALLS_OF_THE_PROCESS.end()
    CALLS_OF_THE_PROCESS._names.clear()


def crash() -> None:
    with sentry_sdk.isolation_scope():
        try:
            Van().fill([3, 1, 2], 5, iter(["a", "b"]))
        except LookupError:
            sentry_sdk.capture_exception()


def called(content: Dict[str, Any]) -> Any:
    """What the frame of `fill` says of its call."""
    (frame,) = [frame for frame in content["frames"] if frame["function"] == "fill"]
    return frame.get("called")


@needs_monitoring
def test_after_more_was_asked_for_a_failure_brings_changed_arguments_as_they_were(
    hooked: Callable[..., Any],
) -> None:
    transport = hooked()
    crash()
    CALLS_OF_THE_PROCESS.watch(60)
    crash()
    first, second = transport.capsules()
    assert called(first) is None
    found = called(second)
    assert (found["parcels"], found["limit"]) == ([3, 1, 2], 5)
    assert found["self"]["state"] == {"load": []}
    assert found["names"]["args"] == [["a", "b"]]


@needs_monitoring
def test_an_application_that_asks_for_more_itself_has_them_from_the_second_failure_on(
    hooked: Callable[..., Any],
) -> None:
    transport = hooked(more=True)
    crash()
    crash()
    assert [called(content) is not None for content in transport.capsules()] == [False, True]


@needs_monitoring
def test_a_secret_among_the_arguments_of_a_call_is_redacted(hooked: Callable[..., Any]) -> None:
    transport = hooked(more=True)

    def login(form: Dict[str, str]) -> None:
        form.pop("password")
        raise LookupError

    for _ in range(2):
        try:
            login({"password": "hunter2x", "name": "Bo"})
        except LookupError:
            sentry_sdk.capture_exception()
    (frame,) = [one for one in transport.capsules()[1]["frames"] if one["function"] == "login"]
    assert frame["called"]["form"]["name"] == "Bo"
    assert frame["called"]["form"]["password"].startswith("redacted-")


@needs_monitoring
def test_only_functions_that_failed_are_listened_to_and_only_so_long(
    hooked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked(more=True)
    crash()
    listened: Any = getattr(sys, "monitoring")  # noqa: B009 - not on all Pythons
    assert listened.get_local_events(calls._TOOL, Van.fill.__code__) != 0
    assert listened.get_local_events(calls._TOOL, untouched.__code__) == 0
    monkeypatch.setattr(CALLS_OF_THE_PROCESS, "_until", 0.0)
    crash_without_report()
    assert listened.get_local_events(calls._TOOL, Van.fill.__code__) == 0
    assert not CALLS_OF_THE_PROCESS._kept


def crash_without_report() -> None:
    with pytest.raises(LookupError):
        Van().fill([1], 2, iter(()))


@needs_monitoring
def test_a_function_that_is_called_often_is_left_alone(
    hooked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "CALLS", 10)
    hooked(more=True)
    crash()
    for _ in range(12):
        crash_without_report()
    assert Van.fill.__code__ not in CALLS_OF_THE_PROCESS._left
    assert len(CALLS_OF_THE_PROCESS._kept) <= calls.KEPT


@needs_monitoring
def test_copying_takes_so_much_of_ten_minutes_and_no_more(
    hooked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked(more=True)
    crash()
    monkeypatch.setattr(CALLS_OF_THE_PROCESS, "_spent", calls.SECONDS)
    crash_without_report()
    assert not CALLS_OF_THE_PROCESS._left
    CALLS_OF_THE_PROCESS.watch(60)
    assert not CALLS_OF_THE_PROCESS._left
    monkeypatch.setattr(CALLS_OF_THE_PROCESS, "_since", -calls.PERIOD)
    CALLS_OF_THE_PROCESS.watch(60)
    assert CALLS_OF_THE_PROCESS._left


@needs_monitoring
@pytest.mark.parametrize("name", ["copied", "alike", "arguments"])
def test_a_fault_while_calls_are_noted_changes_nothing(
    name: str, hooked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = hooked(more=True)
    crash()

    def faulty(*args: Any) -> Any:
        raise ValueError("of ours")

    monkeypatch.setattr(calls, name, faulty)
    crash()
    crash_without_report()
    assert len(transport.capsules()) == 2
    assert all("failed" not in content for content in transport.capsules())


class Counted:
    """Counts what is run of it."""

    ran = 0

    def __del__(self) -> None:
        Counted.ran += 1

    def __copy__(self) -> Any:
        Counted.ran += 1

    @property
    def load(self) -> Any:
        Counted.ran += 1
        return None


class Settings(Dict[str, Any]):
    """A mapping that says what it likes, under a class with a state of its own."""

    def copy(self) -> Any:
        Counted.ran += 1

    def items(self) -> Any:
        Counted.ran += 1


class Guarded:
    """Lets nobody see or set an attribute of its own."""

    def __getattribute__(self, name: str) -> Any:
        Counted.ran += 1
        raise LookupError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        Counted.ran += 1


def test_what_cannot_be_copied_without_asking_it_stays_what_it_is() -> None:
    settings, guarded, lock = Settings(a=1), Guarded(), threading.Lock()
    made = copied([settings, guarded, lock, Van, copied, {"of": lock}], 0, [VALUES], {})
    assert made[0] is settings
    assert type(made[1]) is Guarded
    assert made[2] is lock
    assert made[3:5] == [Van, copied]
    assert made[5]["of"] is lock
    assert Counted.ran == 0


def test_copying_runs_nothing_of_the_application_and_ends() -> None:
    one = Counted()
    circle: List[Any] = [one, {"of": None}]
    circle[1]["of"] = circle
    wide = [[number] for number in range(2 * VALUES)]
    large = list(range(calls.ITEMS + 1))
    made = copied({"circle": circle, "wide": wide, "large": large}, 0, [VALUES], {})
    assert made["large"] is large
    assert made["circle"][0] is one
    assert made["circle"][1]["of"] is made["circle"]
    assert made["wide"][0] is not wide[0]
    assert made["wide"][-1] is wide[-1]
    assert Counted.ran == 0


@pytest.mark.parametrize("value", [[1, [2]], {"a": {1}}, (1, [2]), iter([1, 2]), bytearray(b"ab"), Van()])
def test_a_copy_is_alike_until_the_value_is_changed(value: Any) -> None:
    made = copied(value, 0, [VALUES], {})
    assert alike(made, value, 0, [VALUES])
    if isinstance(value, (list, bytearray)):
        value.pop()
    elif isinstance(value, dict):
        value["a"].add(2)
    elif isinstance(value, tuple):
        value[1].append(3)
    elif isinstance(value, Van):
        value.load.append(1)
    else:
        next(value)
    assert not alike(made, value, 0, [VALUES])
