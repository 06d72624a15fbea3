"""The style of a repository's own tests: what runs them, functions or classes, their width and quotes.

Read from the base commit and never from a patched tree; settings first, what most tests do where there are none.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fixloop.bench import Bench
from fixloop.reproduce.layout import WIDTH

LOOKED_AT = 60  # test files that are asked what they are written for
SPEAKING = frozenset({"pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml", "conftest.py"})
NARROW, WIDE = 60, 160  # widths outside of these are not meant for code
MOSTLY = 0.7  # the share of texts in single quotes from which they are the style
_METHODS = {"==": "assertEqual", "<": "assertLess", "is": "assertIs"}
_SECTIONS = {".flake8": "flake8", "setup.cfg": "flake8", "tox.ini": "flake8"}
_CASE = re.compile(r"^class \w+\((?:[\w.]+, *)*[\w.]*TestCase\b", re.MULTILINE)
_FUNCTION = re.compile(r"^(?:async )?def test", re.MULTILINE)
_TEXT = re.compile(r"""(?<![\w'"\\])(?:'[^'"\\\n]*'|"[^'"\\\n]*")(?!['"])""")


@dataclass(frozen=True)
class Style:
    """How a test is written and run. `framework`: "pytest" or "unittest"; `cases`: as a method of a `TestCase`;
    `single`: in single quotes. `django`: its own runner and its `TestCase` are used."""

    framework: str = "pytest"
    folder: str = "tests"
    cases: bool = False
    width: int = WIDTH
    single: bool = False
    django: bool = False

    @property
    def is_case(self) -> bool:
        """Whether a test is a method: unittest finds no functions."""
        return self.cases or self.framework == "unittest"

    def asserted(self, left: str, operator: str, right: str, said: str = "") -> str:
        """One assertion; without an operator that `left` is true. `said`: what is shown where it does not hold."""
        more = f", {said}" if said else ""
        if not self.is_case:
            return f"assert {left} {operator} {right}{more}" if operator else f"assert {left}{more}"
        if not operator:
            return f"self.assertTrue({left}{more})"
        if (operator, right) == ("is", "None"):
            return f"self.assertIsNone({left}{more})"
        return f"self.{_METHODS[operator]}({left}, {right}{more})"

    def command(self, path: str) -> str:
        """How a person runs the test."""
        if self.django:
            return f"python manage.py test {path.removesuffix('.py').replace('/', '.')}"
        return f"python -m {self.framework} {path}"


def style_of(repo: str, bench: Bench) -> Style:
    """The style of the tests in a repository, at the commit that runs."""
    commit, mirror = bench.layout.repo(repo).commit, bench.repositories.get(repo)
    paths = mirror.paths(commit)
    tests = [path for path in paths if is_test_file(path)][:LOOKED_AT]
    speaking = [path for path in paths if path.rpartition("/")[2] in SPEAKING][:LOOKED_AT]
    settings = [path for path in paths if path in {*_SECTIONS, "pyproject.toml", "ruff.toml", ".ruff.toml"}]
    blobs = mirror.blobs(commit, list(dict.fromkeys([*tests, *speaking, *settings])))
    texts = {path: (text or b"").decode("utf-8", "replace") for path, text in blobs.items()}
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    bodies = [texts.get(path, "") for path in tests]
    told = {path: texts.get(path, "") for path in settings}
    return Style(
        folder=next((folder for folder in ("tests", "test") if folder in tops), "tests"),
        width=_width(told),
        single=_single(told, bodies),
        **_kind(
            bodies, [texts.get(path, "") for path in (*tests, *speaking)], is_project="manage.py" in paths
        ),
    )


def _kind(bodies: Iterable[str], texts: Iterable[str], *, is_project: bool) -> dict[str, Any]:
    """What runs the tests, and whether most of their files have classes."""
    bodies = list(bodies)
    cases = sum(bool(_CASE.search(text)) for text in bodies)
    functions = sum(bool(_FUNCTION.search(text)) and not _CASE.search(text) for text in bodies)
    speaks = any("pytest" in text for text in texts)
    django = any("from django.test import" in text and "TestCase" in text for text in bodies)
    framework = "unittest" if cases and not speaks else "pytest"
    return {
        "framework": framework,
        "cases": cases > functions,
        "django": framework == "unittest" and django and is_project,
    }


def is_test_file(path: str) -> bool:
    """Whether a path is a test's, by its name."""
    name = path.rpartition("/")[2]
    return name.endswith(".py") and (name.startswith("test") or name.endswith("_test.py"))


# --- settings ---------------------------------------------------------------------------------------------------


def _width(settings: Mapping[str, str]) -> int:
    """The width that a formatter or a linter is told."""
    tools = _tools(settings)
    found = [_under(tools, name, "line-length") for name in ("ruff", "black")]
    found += [_under(tools, "ruff", "pycodestyle", "max-line-length")]
    for path, section in _SECTIONS.items():
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(settings.get(path, ""))
            found.append(parser.get(section, "max-line-length", fallback=None))
        except configparser.Error:
            continue
    widths = (int(str(value)) for value in found if str(value).isdigit())
    return next((width for width in widths if NARROW <= width <= WIDE), WIDTH)


def _single(settings: Mapping[str, str], bodies: Iterable[str]) -> bool:
    """Whether texts stand in single quotes: by the formatter's setting, else by what most of the tests' texts do."""
    tools = _tools(settings)
    told = _under(tools, "ruff", "format", "quote-style")
    if told in ("single", "double"):
        return bool(told == "single")
    kept = told == "preserve" or _under(tools, "black", "skip-string-normalization") is True
    if not kept and (_under(tools, "black") is not None or _under(tools, "ruff", "format") is not None):
        return False
    found = [text[0] for body in bodies for text in _TEXT.findall(body)]
    return bool(found) and found.count("'") >= MOSTLY * len(found)


def _tools(settings: Mapping[str, str]) -> dict[str, Any]:
    """The tables of tools; a file that is no TOML says nothing."""
    tools: dict[str, Any] = {}
    for path in ("pyproject.toml", "ruff.toml", ".ruff.toml"):
        try:
            told = tomllib.loads(settings.get(path, ""))
        except tomllib.TOMLDecodeError:
            continue
        more = told.get("tool", {}) if path == "pyproject.toml" else {"ruff": told} if told else {}
        tools |= more if isinstance(more, dict) else {}
    return tools


def _under(tools: Any, *names: str) -> Any:
    for name in names:
        tools = tools.get(name) if isinstance(tools, dict) else None
    return tools
