"""How a written test is called where no test runner is around it: as a function, as a method, or by pytest.

What a person would run is what is run here. A test that takes fixtures is collected by pytest once, beside the
`conftest.py` files of its repository, and then run in each fork; what counts is the exception that it ended with.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TypeGuard

from fixloop.reproduce.layout import quoted
from fixloop.reproduce.syntax import parse
from fixloop.running.worlds import SOURCES
from store.repair import Reproducer

# The plug-in of pytest that keeps what a test ended with; for templates, so without braces.
KEPT = """
class Kept:
    error, ran = None, 0

    def pytest_runtest_makereport(self, item, call):
        self.ran += call.when == "call"
        if call.excinfo is not None and self.error is None and not call.excinfo.errisinstance(pytest.skip.Exception):
            self.error = call.excinfo.value
"""

# The sources are read-only, so the test lies in a folder that shows what lies around its place: the files beside it and
# the settings above it. Modules of the application are loaded from where they are.
_UNDER_PYTEST = (
    KEPT
    + """
import os, tempfile
import pytest
from _pytest.config import _prepareconfig  # up to the first test as `pytest.main`, which cannot be left there

def placed(root, path, text):
    here, parts = tempfile.mkdtemp(), path.split("/")
    for depth in range(len(parts)):
        inside = os.path.join(*parts[:depth]) if depth else ""
        os.makedirs(os.path.join(here, inside), exist_ok=True)
        beside = os.path.join(root, inside)
        for name in os.listdir(beside) if os.path.isdir(beside) else ():
            whole = os.path.join(beside, name)
            is_code = os.path.isdir(whole) or (name.endswith(".py") and name != "conftest.py")
            if name != parts[depth] and (depth or not is_code):
                os.symlink(whole, os.path.join(here, inside, name))
    with open(os.path.join(here, path), "w") as file:
        file.write(text)
    return here

def collected(here, path):
    options = ["-q", "--capture=no", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "--rootdir", here]
    config = _prepareconfig([*options, os.path.join(here, path)], [kept])
    config._do_configure()
    session = pytest.Session.from_config(config)
    config.hook.pytest_sessionstart(session=session)
    session.perform_collect()
    return session.items

kept = Kept()
items = collected(placed({root!r}, {path!r}, {text!r}), {path!r})

def call():
    for item in items:
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
    if kept.error is not None:
        raise kept.error
    if not kept.ran:
        raise RuntimeError("no test was run")
"""
)
_AS_CASE = """

def call():
    import unittest

    unittest.TestSuite([{name}({method!r})]).debug()
"""
_DJANGO_HEAD = """
import os
import django
os.environ.setdefault("DJANGO_SETTINGS_MODULE", {settings})
django.setup()
"""
_DJANGO_TAIL = """

def setUpModule():
    from django.conf import settings
    from django.test.utils import get_runner, setup_test_environment

    setup_test_environment()
    get_runner(settings)(verbosity=0, interactive=False).setup_databases()
"""


@dataclass(frozen=True)
class Written:
    """The parts of a test's text that say how it is called. `case`: the class that it is a method of."""

    name: str
    case: str | None
    takes: bool  # fixtures, or marks: pytest has to run it


def written(source: str) -> Written | None:
    """The first test of a text."""
    tree = parse(source)
    for node in tree.body if tree else ():
        if _is_test(node):
            return Written(node.name, None, bool(node.args.args or node.decorator_list))
        if isinstance(node, ast.ClassDef):
            for part in filter(_is_test, node.body):
                return Written(part.name, node.name, takes=False)
    return None


def _is_test(node: ast.stmt) -> TypeGuard[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


def called(test: Reproducer, name: str | None = None) -> tuple[str, str]:
    """The text to execute, and the function of it that runs the test and raises what it ended with. `name`: what the
    test is called instead ("test_…"). Raises ValueError for a text without a test."""
    text, found = test.source, written(test.source)
    if found is None:
        raise ValueError(f"there is no test in {test.test_path}")
    if name is not None:
        text, found = re.sub(rf"\b{re.escape(found.name)}\b", name, text), replace(found, name=name)
    if found.takes:
        path = f"{test.test_path.rpartition('/')[0]}/{found.name}.py".lstrip("/")
        return _UNDER_PYTEST.format(root=f"{SOURCES}/{test.repo}", path=path, text=text), "call"
    if found.case is None:
        return text, found.name
    text += _AS_CASE.format(name=found.case, method=found.name)
    settings = (test.recipe.get("target") or {}).get("settings")
    if settings and "setUpModule" not in text:  # Django's own runner makes the database
        text = _DJANGO_HEAD.format(settings=quoted(settings)) + text + _DJANGO_TAIL
    return text, "call"
