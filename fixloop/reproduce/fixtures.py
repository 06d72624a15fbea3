"""Fixtures of a repository's `conftest.py` files that may serve a request: its client, or its application.

They are read from the base commit by their syntax and tried by running: a test that takes one is kept only if it fails
for the same reason as the test that makes everything itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from fixloop.bench import Bench
from fixloop.reproduce.lines import Taken
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.styles import Style
from fixloop.reproduce.syntax import parse

SERVED = frozenset(
    {"flask", "starlette", "django"}
)  # by frameworks whose clients are called as a fixture's are
MOST = 4  # fixtures that are tried
_CLIENT = re.compile(r"\btest_client\(|\w*Client\(")
_APPLICATION = re.compile(r"\bcreate_app\(|\b(?:Flask|FastAPI|Starlette)\(|\bapp\b")
_MARK, _FIXTURE = "pytest.mark.django_db", re.compile(r"def test\w*\([^)]*\bdb\b")


def takings(recipe: Recipe, style: Style, bench: Bench) -> Iterator[Taken]:
    """What a request's test may take, the whole client before an application."""
    if (
        recipe.entry != "http"
        or recipe.schedule
        or recipe.framework not in SERVED
        or "world" in recipe.inputs
    ):
        return
    if style.django and recipe.framework == "django":
        yield Taken(client="self.client", base="django.test.TestCase")
    if style.framework != "pytest" or style.cases:
        return
    commit, mirror = bench.layout.repo(recipe.repo).commit, bench.repositories.get(recipe.repo)
    places = {"conftest.py", f"{style.folder}/conftest.py"}
    paths = [path for path in mirror.paths(commit) if path in places]
    found = [
        pair
        for text in mirror.blobs(commit, paths).values()
        for pair in fixtures((text or b"").decode("utf-8", "replace"))
    ]
    clients = [name for name, text in found if _is(name, "client") or _CLIENT.search(text)]
    if recipe.framework == "django":
        tests = _speaking(recipe.repo, bench, style.folder)
        if "django" not in tests:
            return
        mark, further = (_MARK, ()) if _MARK in tests or not _FIXTURE.search(tests) else (None, ("db",))
        for name in [*clients, "client"][:MOST]:
            yield Taken(client=name, parameters=(name, *further), mark=mark)
        return
    for name in sorted(clients, key=lambda name: name != "client")[:MOST]:
        yield Taken(client=name, parameters=(name,))
    for name, text in found:
        if name not in clients and (_is(name, "app") or name == "application" or _APPLICATION.search(text)):
            yield Taken(app=name, parameters=(name,))


def fixtures(text: str) -> Iterator[tuple[str, str]]:
    """(name, text) of each fixture that a file defines; asynchronous ones are left out."""
    tree = parse(text)
    for node in tree.body if tree else ():
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called).rpartition(".")[2] == "fixture":
                words = decorator.keywords if isinstance(decorator, ast.Call) else []
                given = [word.value for word in words if word.arg == "name"]
                name = given[0].value if given and isinstance(given[0], ast.Constant) else node.name
                yield str(name), ast.get_source_segment(text, node) or ""


def _is(name: str, word: str) -> bool:
    return name == word or name.endswith("_" + word)


def _speaking(repo: str, bench: Bench, folder: str) -> str:
    """The tests and what pytest is told, as one text: whether Django's plugin is used, and how."""
    commit, mirror = bench.layout.repo(repo).commit, bench.repositories.get(repo)
    paths = [
        path for path in mirror.paths(commit)
        if path in ("pytest.ini", "setup.cfg", "tox.ini", "pyproject.toml")
        or (path.startswith(folder + "/") and path.endswith(".py"))
    ]  # fmt: skip
    return "\n".join(
        (text or b"").decode("utf-8", "replace") for text in mirror.blobs(commit, paths[:60]).values()
    )
