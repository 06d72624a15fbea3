"""docs/architecture.md says what is there: names exist, every module has one line, words are the code's."""

from __future__ import annotations

import ast
import re
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from store import errors, event, incident, people, repair

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "architecture.md"
PACKAGES = ("store", "triage", "fixloop", "server")
DECIDING: tuple[type[StrEnum], ...] = (
    incident.Kind,
    incident.Lane,
    incident.Status,
    event.Trust,
    people.Role,
    people.Scope,
    repair.Oracle,
    repair.ChangeVerdict,
    repair.ValidationVerdict,
    repair.Ended,
)


def prose() -> str:
    """The page without its drawings."""
    return re.sub(r"^```.*?^```", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def section(title: str) -> str:
    """The text below a heading, up to the next heading of the same or a higher level."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,3}} |\Z)", prose(), re.DOTALL | re.MULTILINE)
    assert found, f"no section {title!r}"
    return found.group(2)


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the tables in a text, without heads."""
    bodies = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    lines = [line for body in bodies for line in body.splitlines()]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def modules(package: str) -> set[str]:
    """Every module of a package, relative to it, without the `__init__` files."""
    folder = REPOSITORY / package
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}
    return {name for name in found if not name.endswith("__init__.py")}


@cache
def known_words() -> frozenset[str]:
    """Every name and every short text that occurs in the code, and every word of pyproject.toml."""
    found = set(re.findall(r"\w+", (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")))
    sources = [path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")]
    for path in (*sources, REPOSITORY / "nightdesk.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                    found.add(name)
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(name)
                case ast.Constant(value=str(text)) if len(text) < 60:
                    found.update(re.findall(r"\w+", text))
    return frozenset(found)


def exists(span: str) -> bool:
    """Whether what stands in backticks is a path of the repository or made of names that the code has."""
    places = [REPOSITORY, *(REPOSITORY / package for package in PACKAGES)]
    if span.endswith((".py", ".md", "/")) or span in PACKAGES:
        return any((place / span).exists() for place in places)
    words = re.findall(r"[A-Za-z_]\w*", span)
    return bool(words) and all(word in known_words() for word in words)


def test_every_name_on_the_page_exists_in_the_repository() -> None:
    spans = set(code_spans(prose()))
    assert len(spans) > 100
    assert {span for span in spans if not exists(span)} == set()


def test_a_name_that_nothing_has_would_be_noticed() -> None:
    assert not exists("store/nowhere.py")
    assert not exists("House.levitate")
    assert exists("House.open")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_of_a_package_has_exactly_one_line_on_the_page(package: str) -> None:
    listed = [code_spans(row[0])[0] for row in rows(section(package))]
    covered: list[str] = []
    for name in listed:
        if name.endswith("/"):
            assert (REPOSITORY / package / name).is_dir(), name
            covered += [module for module in modules(package) if module.startswith(name)]
        else:
            covered.append(name)
    assert sorted(covered) == sorted(modules(package))


def test_the_words_that_decide_are_the_words_of_the_code() -> None:
    told = {code_spans(row[0])[0]: code_spans(row[1]) for row in rows(section("Words")) if len(row) == 2}
    assert told == {kind.__name__: [member.value for member in kind] for kind in DECIDING}


def test_every_oracle_and_verdict_has_its_paragraph_under_what_counts_as_proven() -> None:
    explained = set(code_spans(section("What counts as proven")))
    wanted = {*repair.Oracle, *list(repair.ChangeVerdict)[:4], repair.ValidationVerdict.WEAK}
    assert {word.value for word in wanted} <= explained


def test_each_type_stands_in_the_module_that_the_page_names() -> None:
    for names, module, _ in (row for row in rows(section("Words")) if len(row) == 3):
        source = (REPOSITORY / code_spans(module)[0]).read_text(encoding="utf-8")
        for name in code_spans(names):
            assert f"\nclass {name}(" in source, f"{name} is not in {module}"


def test_every_error_of_the_house_is_on_the_page() -> None:
    own = {name for name, found in vars(errors).items() if isinstance(found, type)}
    assert own <= set(code_spans(section("Words")))
