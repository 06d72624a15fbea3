"""Is this the same failure? Type, own frame and message; never line numbers, addresses or values."""

from __future__ import annotations

import pytest

from fixloop.reproduce.same import Signature, normal_message, signature
from fixloop.running.runner import Outcome, Raised
from tests.unit.triage_samples import event, frame, raised

LINE = 'return COUPONS[order["coupon"]]'


def thrown(
    kind: str = "KeyError", message: str = "'coupon'", function: str = "reduction", text: str = LINE
) -> Raised:
    place = {"path": "/src/shop/quotes.py", "module": "quotes", "function": function, "line": 9, "text": text}
    return Raised(kind, "builtins", message, (place,), place)


@pytest.fixture
def wanted() -> Signature:
    told = event(raised("KeyError", "'coupon'", frame("/app/quotes.py", 24, "reduction", f"    {LINE}")))
    made = signature(told, told.exceptions[0].frames)
    assert made is not None
    return made


def test_the_same_type_message_and_line_is_the_same_failure_wherever_it_stands(wanted: Signature) -> None:
    assert wanted.is_it(thrown())
    assert wanted.is_it(thrown(text=f"\t{LINE}  "))
    assert wanted.is_it(thrown(function="Shop.reduction"))


@pytest.mark.parametrize(
    "other",
    [thrown(kind="IndexError"), thrown(message="'sku'"), thrown(function="quote"), thrown(text="return 1"),
     Raised("KeyError", "builtins", "'coupon'", ())],
    ids=["type", "message", "function", "line", "no own frame"],
)  # fmt: skip
def test_another_type_message_function_or_line_is_another_failure(wanted: Signature, other: Raised) -> None:
    assert not wanted.is_it(other)


def test_an_error_that_the_application_caught_is_seen_as_well(wanted: Signature) -> None:
    assert wanted.matches(Outcome("ok", raised=(thrown(kind="ValueError"), thrown())))
    assert wanted.matches(Outcome("raised", exception=thrown()))
    assert not wanted.matches(Outcome("died"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 17 at 0x7f12ab has 3 items", "order 4 at 0xdeadbeef has 12 items"),
        ("no user 'a b@c!'", "no user 'x&y'"),
        ("id 0123456789abcdef", "id fedcba9876543210"),
        ("first line\nsecond", "first line\nother"),
    ],
)
def test_numbers_addresses_and_quoted_values_do_not_matter(one: str, other: str) -> None:
    assert normal_message(one) == normal_message(other)


@pytest.mark.parametrize(
    ("one", "other"), [("'coupon'", "'sku'"), ("no attribute 'a'", "no attribute 'b'"), ("a", "b")]
)
def test_quoted_names_do_matter(one: str, other: str) -> None:
    assert normal_message(one) != normal_message(other)


def test_an_event_without_an_exception_has_no_signature() -> None:
    assert signature(event(), ()) is None
