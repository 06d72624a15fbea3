"""A written test is in the style of the repository's own: its runner, its classes, its fixtures, its layout."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from fixloop.reproduce.calling import called
from store.event import Request
from store.repair import Reproducer
from tests.sandbox.histories import History, crash, frame, run_loop
from tests.sandbox.test_races import DJANGO, PROJECT

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

WEB = '''"""Prices."""

from flask import Flask, jsonify, request


def create_app(prices):
    app = Flask(__name__)

    @app.post("/price")
    def price():
        """The price of an amount."""
        item = request.get_json()
        return jsonify(total=prices[item["sku"]] * item["n"])

    return app


app = create_app({"b": 2})
'''
CONFTEST = """import pytest

from shop.web import create_app
from tests.prices import PRICES


@pytest.fixture
def empty_client():
    return create_app({}).test_client()


@pytest.fixture(name="client")
def made_client():
    return create_app(PRICES).test_client()
"""
FUNCTIONS = {
    "shop/__init__.py": "",
    "shop/web.py": WEB,
    "tests/__init__.py": "",
    "tests/prices.py": "PRICES = {'b': 5}\n",
    "tests/conftest.py": CONFTEST,
    "tests/test_web.py": "def test_no_price(client):\n    assert client.get('/price').status_code == 405\n",
}
PINS = "\n".join(f"{name}=={version(name)}" for name in ("flask", "pytest"))


def written(
    tmp_path: Path, files: dict[str, str], path: str, function: str, line: str, **more: object
) -> Reproducer:
    """The test of a crash with KeyError 'n'."""
    history = History("app", [("Start", "2024-01-01", files)])
    own = frame(files[path], path, function, line, **more.pop("kept", {}))  # type: ignore[arg-type]
    event = crash(
        str(more.pop("kind", "KeyError")), str(more.pop("message", "'n'")), own, request=more.get("request")
    )  # type: ignore[arg-type]
    attempt = run_loop(tmp_path, [history], event, requirements=str(more.get("pins", PINS))).attempt
    assert attempt.reproducer is not None, attempt.said
    assert attempt.reproducer.failures == attempt.reproducer.runs == 20
    return attempt.reproducer


POSTED = Request(
    method="POST", url="http://shop.example/price", headers={"Content-Type": "application/json"}, data={"sku": "b"},
)  # fmt: skip


def test_a_request_takes_the_client_of_the_conftest_with_which_it_fails_for_the_same_reason(
    tmp_path: Path,
) -> None:
    line = 'return jsonify(total=prices[item["sku"]] * item["n"])'
    test = written(tmp_path, FUNCTIONS, "shop/web.py", "price", line, request=POSTED)
    assert "def test_inc_1(client):" in test.source
    assert "test_client" not in test.source
    assert "shop.web" not in test.source
    assert test.command == "python -m pytest tests/test_inc_1.py"
    assert "_prepareconfig" in called(test)[0]


@pytest.mark.heavy
def test_a_fixture_with_which_it_does_not_fail_so_is_not_taken(tmp_path: Path) -> None:
    files = {**FUNCTIONS, "tests/prices.py": "PRICES = {}\n"}  # no such price: another failure
    line = 'return jsonify(total=prices[item["sku"]] * item["n"])'
    test = written(tmp_path, files, "shop/web.py", "price", line, request=POSTED)
    assert "def test_inc_1():" in test.source
    assert "client = app.test_client()" in test.source


TOTALS = '''"""Totals."""


def total(items):
    result = 0
    for item in items:
        result += item['n']
    return result
'''
CASES = {
    "shop/__init__.py": "",
    "shop/totals.py": TOTALS,
    "setup.cfg": "[flake8]\nmax-line-length = 79\n",
    "tests/__init__.py": "",
    "tests/test_totals.py": "import unittest\n\nfrom shop.totals import total\n\n\nclass TestTotals(unittest.TestCase):\n"
    "    def test_nothing(self):\n        self.assertEqual(total([]), 0, 'none')\n",
}


def test_where_classes_are_used_it_is_a_method_in_single_quotes_and_their_width(tmp_path: Path) -> None:
    items = [{"sku": "an article that nobody has ever bought", "k": 1}]
    test = written(
        tmp_path / "made",
        CASES,
        "shop/totals.py",
        "total",
        "result += item['n']",
        kept={"items": repr(items)},
    )
    assert test.framework == "unittest"
    assert "class TestInc1(unittest.TestCase):\n    def test_inc_1(self):\n" in test.source
    assert max(map(len, test.source.partition("class TestInc1")[2].splitlines())) <= 79
    assert '"' not in test.source.partition("class TestInc1")[2]
    folder = tmp_path / "seen"
    for path, text in {**CASES, test.test_path: test.source}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    command = [sys.executable, *test.command.split()[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "KeyError: 'n'" in done.stderr
    assert "Ran 1 test" in done.stderr


@pytest.mark.heavy
def test_where_django_s_own_cases_are_used_its_client_and_database_are_taken(tmp_path: Path) -> None:
    view = 'return JsonResponse({"job": found.pk, "by": request.GET["by"]}, status=201)'
    views = PROJECT["jobs/views.py"].replace('return JsonResponse({"job": found.pk}, status=201)', view)
    tests = "from django.test import TestCase\n\n\nclass JobTests(TestCase):\n    def test_none(self):\n        pass\n"
    manage = (
        PROJECT["manage.py"]
        + "from django.core.management import execute_from_command_line\nimport sys\nexecute_from_command_line(sys.argv)\n"
    )
    files = {
        **PROJECT,
        "manage.py": manage,
        "jobs/views.py": views,
        "tests/__init__.py": "",
        "tests/test_jobs.py": tests,
    }
    request = Request(method="POST", url="http://jobs.example/jobs/7/complete")
    test = written(
        tmp_path / "made", files, "jobs/views.py", "complete", view, request=request, pins=DJANGO,
        kind="MultiValueDictKeyError", message="'by'", kept={"job": "7"},
    )  # fmt: skip
    assert "class TestInc1(TestCase):" in test.source
    assert "self.client.post(" in test.source
    assert "setUpModule" not in test.source
    assert test.command == "python manage.py test tests.test_inc_1"
    folder = tmp_path / "seen"
    for path, text in {**files, test.test_path: test.source}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    command = [sys.executable, *test.command.split()[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "MultiValueDictKeyError: 'by'" in done.stderr
