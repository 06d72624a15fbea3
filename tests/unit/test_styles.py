"""The style of a repository's tests, read from its settings and from what most of its tests do."""

from __future__ import annotations

import ast

import pytest

from fixloop.reproduce.calling import called, written
from fixloop.reproduce.fixtures import fixtures
from fixloop.reproduce.lines import NOTHING
from fixloop.reproduce.shape import in_style, shaped
from fixloop.reproduce.styles import Style, _kind, _single, _width
from store.repair import Oracle, Reproducer

WIDTHS = {
    "ruff": ({"pyproject.toml": "[tool.ruff]\nline-length = 110\n"}, 110),
    "black": ({"pyproject.toml": "[tool.black]\nline-length = 79\n"}, 79),
    "ruff.toml": ({"ruff.toml": "line-length = 100\n"}, 100),
    "flake8": ({"setup.cfg": "[flake8]\nmax-line-length = 99\n"}, 99),
    "its own file": ({".flake8": "[flake8]\nmax-line-length=120 \n"}, 120),
    "the formatter before the linter": (
        {"pyproject.toml": "[tool.black]\nline-length = 90\n", "tox.ini": "[flake8]\nmax-line-length = 140\n"}, 90,
    ),
    "nothing": ({}, 88),
    "no TOML, no number": ({"pyproject.toml": "[tool", "tox.ini": "[flake8]\nmax-line-length = many\n"}, 88),
    "no limit at all": ({"setup.cfg": "[flake8]\nmax-line-length = 9999\n"}, 88),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDTHS)
def test_the_width_is_what_the_formatter_or_the_linter_is_told(name: str) -> None:
    settings, width = WIDTHS[name]
    assert _width(settings) == width


def test_quotes_are_those_of_the_formatter_else_of_most_texts() -> None:
    single, double = ["f('a', 'b', 'c', \"d\")"], ['f("a", "b", \'c\')']
    assert _single({"pyproject.toml": "[tool.ruff.format]\nquote-style = 'single'\n"}, double)
    assert not _single({"pyproject.toml": "[tool.black]\n"}, single)
    assert _single({"pyproject.toml": "[tool.black]\nskip-string-normalization = true\n"}, single)
    assert _single({}, single)
    assert not _single({}, double)
    assert not _single({}, ["x = 1"])


def test_classes_are_written_where_most_test_files_have_them() -> None:
    case, function = "class TestIt(unittest.TestCase):\n    pass\n", "def test_it():\n    pass\n"
    assert _kind([case, case, function], ["import pytest"], is_project=False)["cases"]
    assert not _kind([case, function, function], [], is_project=False)["cases"]
    assert _kind([case], [], is_project=False)["framework"] == "unittest"
    assert _kind([case], ["[tool.pytest]"], is_project=False)["framework"] == "pytest"
    django = "from django.test import TestCase\n\n\nclass A(TestCase):\n    pass\n"
    assert _kind([django], [], is_project=True)["django"]
    assert not _kind([django], [], is_project=False)["django"]


def test_a_method_asserts_as_unittest_does() -> None:
    style = Style("unittest")
    assert style.asserted("x", "==", "[1]") == "self.assertEqual(x, [1])"
    assert style.asserted("x", "is", "None") == "self.assertIsNone(x)"
    assert style.asserted("keeps(a, b)", "", "", "b") == "self.assertTrue(keeps(a, b), b)"
    assert style.asserted("status", "<", "500", "body") == "self.assertLess(status, 500, body)"


def test_single_quotes_mean_the_same_and_docstrings_stay() -> None:
    source = '"""Doc."""\n\nx = f("a", "it\'s", b"c", "\\"", "d")\n'
    text = in_style(source, Style(single=True))
    assert text == '"""Doc."""\n\nx = f(\'a\', "it\'s", b\'c\', "\\"", \'d\')\n'
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(source))


def test_imports_and_statements_that_are_too_long_are_broken() -> None:
    names = ", ".join(f"a_long_name_{n}" for n in range(6))
    text = in_style(f"from package.module import {names}\n\nx = f({names})\n", Style(width=60))
    assert max(map(len, text.splitlines())) <= 60


def test_fixtures_are_found_by_their_decorators_and_go_by_the_names_they_are_given() -> None:
    text = (
        "import pytest\nfrom pytest import fixture\n\n\n@pytest.fixture\ndef client():\n    return 1\n\n\n"
        "@fixture(name='app', scope='session')\ndef made():\n    return 2\n\n\n@pytest.fixture\nasync def late():\n    return 3\n\n\n"
        "def helper():\n    return 4\n"
    )
    assert [name for name, _ in fixtures(text)] == ["client", "app"]
    assert list(fixtures("def (")) == []


def reproducer(source: str, settings: str | None = None) -> Reproducer:
    return Reproducer(
        repo="app", framework="pytest", test_path="tests/test_inc_1.py", source=source, command="", entry="http",
        oracle=Oracle.NO_CRASH, recipe={"target": {"settings": settings}},
    )  # fmt: skip


def test_a_method_is_called_by_its_own_class_and_fails_as_a_function_does() -> None:
    text = shaped("test_inc_1", ["self.assertEqual(1, 2)"], Style("unittest"), NOTHING).source
    source, function = called(reproducer("import unittest\n\n\n" + text), "test_abc")
    assert written(source) is not None
    assert "test_inc_1" not in source
    names: dict[str, object] = {}
    exec(source, names)  # noqa: S102 - a text of our own
    with pytest.raises(AssertionError, match="1 != 2"):
        names[function]()  # type: ignore[operator]


def test_what_takes_fixtures_is_run_by_pytest_and_a_text_without_a_test_by_nobody() -> None:
    source, function = called(reproducer("def test_inc_1(client):\n    pass\n"), "test_abc")
    assert function == "call"
    assert "tests/test_abc.py" in source
    with pytest.raises(ValueError, match="no test"):
        called(reproducer("x = 1\n"))
