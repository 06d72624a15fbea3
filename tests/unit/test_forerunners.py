"""Where the names of a call stood at an older commit: moved modules, renamed functions, and what was not there at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixloop.forerunners import Forerunner, forerunners, put_there, wanted
from fixloop.reproduce.yesterday import how_old
from store.mirrors import Mirrors
from tests.sandbox.histories import Files, History, write

PRICE = '''def price(order):
    """What is asked."""
    found = order.get("price")
    if found is None:
        return 0
    return found * order["count"]
'''
OTHER = "def tax(order):\n    rate = order['rate']\n    return rate / 100\n"


def found(tmp_path: Path, before: Files, after: Files, module: str, name: str) -> list[Forerunner]:
    parent, change = write(
        tmp_path / "origin", History("shop", [("One", "2024-01-01", before), ("Two", "2024-02-01", after)])
    )
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.add("shop", str(tmp_path / "origin"))
    repository = mirrors.get("shop")
    modules = [
        {path.removesuffix(".py").replace("/", "."): path for path in repository.paths(commit)}
        for commit in (parent, change)
    ]
    return forerunners([(module, name)], repository, parent, change, *modules)


def test_a_function_that_was_moved_is_found_where_it_stood(tmp_path: Path) -> None:
    before = {"shop.py": PRICE + OTHER}
    after = {"shop.py": None, "orders/prices.py": PRICE, "orders/taxes.py": OTHER}
    assert found(tmp_path, before, after, "orders.prices", "price") == [
        Forerunner("orders.prices", "price", "shop", "price")
    ]


def test_a_function_that_was_renamed_is_known_by_its_body(tmp_path: Path) -> None:
    renamed = PRICE.replace("def price", "def price_of").replace("return 0", "return None")
    assert found(tmp_path, {"shop.py": PRICE + OTHER}, {"shop.py": renamed + OTHER}, "shop", "price_of") == [
        Forerunner("shop", "price_of", "shop", "price")
    ]


def test_a_function_beside_another_that_stays_is_new(tmp_path: Path) -> None:
    copied = PRICE + PRICE.replace("def price", "def price_of")
    assert found(tmp_path, {"shop.py": PRICE}, {"shop.py": copied}, "shop", "price_of") == []


def test_of_several_functions_of_that_name_none_is_taken_that_reads_otherwise(tmp_path: Path) -> None:
    strangers = {f"{name}.py": "def price():\n    return 1\n" for name in ("one", "two")}
    assert found(tmp_path, strangers, {"shop.py": PRICE}, "shop", "price") == []


def test_a_call_wants_the_names_that_it_imports_and_those_of_modules() -> None:
    source = "import shop.orders\nfrom shop.names import label, title\n\n\ndef call():\n    return shop.orders.total(label(1))\n"
    assert wanted(source) == [
        ("shop.names", "label"), ("shop.names", "title"), ("shop.orders", "total"),
    ]  # fmt: skip


def test_what_stands_before_a_call_gives_a_module_its_older_names() -> None:
    place = Forerunner("nightdesk_test_newer", "rebuilt", "json", "loads")
    made: dict[str, object] = {}
    exec(put_there([place]) + "from nightdesk_test_newer import rebuilt\n", made)  # noqa: S102 - our own text
    assert made["rebuilt"]("[1]") == [1]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("error", "message", "age"),
    [
        ("ImportError", "cannot import name 'Mapping' from 'collections'", 1),
        ("ModuleNotFoundError", "No module named 'imp'", 1),
        ("NameError", "name 'unicode' is not defined", 2),
        ("AttributeError", "module 'operator' has no attribute 'div'", 2),
        ("ModuleNotFoundError", "No module named 'strutils'", 2),
        ("NameError", "name 'total' is not defined", 0),
        ("ModuleNotFoundError", "No module named 'shop.orders'", 0),
        ("TypeError", "'unicode' is not right", 0),
    ],
)
def test_an_error_says_how_old_the_names_are_that_it_misses(error: str, message: str, age: int) -> None:
    assert how_old(error, message) == age
