"""Which files of tests are run first: those that name what a patch changes, or are called after it."""

from __future__ import annotations

import pytest

from fixloop.blocks import parse, unified
from fixloop.judging.affected import reaching

PRICES = '''"""Prices."""

LIMIT = 3


def price(order):
    return order["price"]


class Basket:
    def total(self):
        return 1

    def __len__(self):
        return 2
'''
TESTS = {
    "tests/test_prices.py": "import shop\n",
    "tests/test_orders.py": "from shop.prices import price\n\n\ndef test_price():\n    assert price({}) is None\n",
    "tests/test_baskets.py": "from shop import (\n    Basket,\n    other,\n)\n\n\ndef test_it():\n    assert Basket()\n",
    "tests/test_words.py": "import words\n\n\ndef test_price_of_words():\n    assert words.price\n",
    "tests/test_whole.py": "import shop.prices\n\n\ndef test_all():\n    assert shop.prices\n",
}


def found(old: str, new: str, path: str = "src/shop/prices.py") -> tuple[str, ...]:
    before, after = {path: PRICES}, {path: PRICES.replace(old, new)}
    return reaching(TESTS, parse(unified(before, after, context=0)), before, after)


def test_tests_of_a_changed_function_come_before_those_called_after_its_file() -> None:
    assert found('order["price"]', 'order.get("price")') == ("tests/test_orders.py", "tests/test_prices.py")


@pytest.mark.parametrize(("old", "new"), [("return 1", "return 3"), ("return 2", "return 4")])
def test_a_changed_method_is_looked_for_by_its_class(old: str, new: str) -> None:
    assert found(old, new) == ("tests/test_prices.py", "tests/test_baskets.py")


def test_a_line_outside_functions_is_reached_by_what_is_called_after_its_file() -> None:
    assert found("LIMIT = 3", "LIMIT = 4") == ("tests/test_prices.py",)


def test_without_such_a_file_those_that_import_the_module_are_taken() -> None:
    tests = {path: text for path, text in TESTS.items() if path != "tests/test_prices.py"}
    before, after = {"shop/prices.py": PRICES}, {"shop/prices.py": PRICES.replace("LIMIT = 3", "LIMIT = 4")}
    blocks = parse(unified(before, after, context=0))
    assert set(reaching(tests, blocks, before, after)) == {"tests/test_orders.py", "tests/test_whole.py"}


def test_a_change_that_no_test_names_has_no_tests_of_its_own() -> None:
    before, after = {"tools/other.py": "A = 1\n"}, {"tools/other.py": "A = 2\n"}
    assert reaching(TESTS, parse(unified(before, after, context=0)), before, after) == ()


def test_a_module_is_known_by_its_name_below_the_folder_on_the_import_path() -> None:
    before, after = (
        {"services/api/shop/prices.py": PRICES},
        {"services/api/shop/prices.py": PRICES.replace('["price"]', "")},
    )
    blocks = parse(unified(before, after, context=0))
    tests = {"services/api/tests/test_orders.py": TESTS["tests/test_orders.py"]}
    assert reaching(tests, blocks, before, after) == ()
    assert reaching(tests, blocks, before, after, ("services/api",)) == tuple(tests)
