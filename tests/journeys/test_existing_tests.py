"""`flake-scan` and `minimize`, as a person types them, for tests that a repository has already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fixloop.sandboxes import best
from server.cli import cli
from tests.sandbox.histories import History, write

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

CART = '''"""Carts."""

import random


def total(order):
    return sum(item["qty"] * item["price"] for item in order["items"])


def lucky():
    return random.SystemRandom().random() < 0.5
'''
TESTS = '''import pytest

from shop.cart import lucky, total


@pytest.fixture
def order():
    return {"items": []}


def test_total(order):
    """A price is missing."""
    print("hello")
    order["items"] = [{"qty": 1, "price": 2}, {"qty": 3}, {"qty": 5, "price": 1, "name": "a long name of a thing"}]
    order["who"] = "somebody with a name"
    assert total(order) == 7


class TestLuck:
    def test_lucky(self):
        assert lucky()


def test_nothing(order):
    assert total(order) == 0
'''


def nightdesk(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    """The data folder, and the test file of a connected repository."""
    if not best().self_test().ok:
        pytest.skip(best().self_test().said)
    files = {"shop/__init__.py": "", "shop/cart.py": CART, "tests/test_cart.py": TESTS,
             "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\n'}  # fmt: skip
    write(tmp_path / "shop", History("shop", [("Start", "2024-01-01", files)]))
    added = nightdesk("repo", "add", "shop", tmp_path / "shop", "--data", tmp_path / "data")
    assert added.exit_code == 0, added.output
    return tmp_path / "data", tmp_path / "shop/tests/test_cart.py"


FLAKY = {
    "draws": "import secrets\n\ndef test_it():\n    assert secrets.randbelow(2)\n",
    "order": "def test_it():\n    assert list({'a', 'b', 'c', 'd', 'e'})[0] == 'd'\n",
}


@pytest.mark.heavy
def test_a_scan_names_the_hash_seed_behind_a_failure(place: tuple[Path, Path]) -> None:
    data, file = place
    file.write_text(FLAKY["order"])
    done = nightdesk("flake-scan", f"{file}::test_it", "--runs", "5", "--data", data)
    assert done.exit_code == 3, done.output
    assert "quarantine: the order of hashes decides" in done.stdout


@pytest.mark.heavy
def test_a_scan_names_the_draws_behind_a_failure(place: tuple[Path, Path]) -> None:
    data, file = place
    file.write_text(FLAKY["draws"])
    done = nightdesk("flake-scan", f"{file}::test_it", "--runs", "40", "--data", data, "--json")
    assert json.loads(done.stdout)["behind"] == "draws"


@pytest.mark.heavy
def test_a_scan_tells_always_never_and_sometimes_apart(place: tuple[Path, Path]) -> None:
    data, file = place
    verdicts = {}
    for name in ("test_total", "test_nothing", "TestLuck::test_lucky"):
        done = nightdesk("flake-scan", f"{file}::{name}", "--runs", "40", "--data", data, "--json")
        verdicts[name] = (json.loads(done.stdout)["verdict"], done.exit_code)
    assert verdicts == {
        "test_total": ("always", 0),
        "test_nothing": ("never", 0),
        "TestLuck::test_lucky": ("sometimes", 3),
    }


@pytest.mark.heavy
def test_a_scan_says_what_the_failures_were_and_refuses_a_test_that_is_not_there(
    place: tuple[Path, Path],
) -> None:
    data, file = place
    done = nightdesk("flake-scan", f"{file}::test_total", "--runs", "5", "--data", data)
    assert done.stdout.startswith("always: 5 of 5 runs failed, 3 of 3 cold")
    assert "12x KeyError: 'price'" in done.stdout
    gone = nightdesk("flake-scan", f"{file}::test_gone", "--runs", "2", "--data", data)
    assert gone.exit_code == 1
    assert "no test was run" in gone.stderr


def test_a_failing_test_becomes_smaller_and_fails_for_the_same_reason(place: tuple[Path, Path]) -> None:
    data, file = place
    out = file.with_name("test_smaller.py")
    done = nightdesk("minimize", f"{file}::test_total", "--data", data, "-o", out, "--json")
    told = json.loads(done.stdout)
    assert told["reason"] == "KeyError: 'price'"
    assert told["size_after"] < told["size_before"]
    smaller = out.read_text("utf-8")
    assert "order[\"items\"] = [{'qty': 3}]" in smaller
    assert "hello" not in smaller
    assert smaller.startswith("import pytest\n")
    assert file.read_text("utf-8") == TESTS


def test_a_test_that_passes_is_not_made_smaller(place: tuple[Path, Path]) -> None:
    data, file = place
    done = nightdesk("minimize", f"{file}::test_nothing", "--data", data)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "does not fail here" in done.stderr
