"""The rules of the house as code: sizes, imports, ignores, tests, what never stands in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from server.plugins import PROTOCOLS

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("server", "fixloop", "triage", "store")
LONGEST = 600  # lines of a module

# What each room's `__init__` has to say of it, and which modules of the house it may import at run time.
PROMISES = {
    "store": ("words", set()),
    "triage": ("no database", set()),
    "fixloop": ("protocols", {"store.commits"}),
    "server": ("doors", set()),
}


@cache
def kept() -> tuple[str, ...]:
    """Every file under version control, and those that are new; skips outside a clone."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        pytest.skip("this is not a clone: git does not know which files belong to it")
    names = done.stdout.decode().split("\0")
    return tuple(name for name in names if name and (REPOSITORY / name).is_file())


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def named(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


# --- modules --------------------------------------------------------------------------------------


def test_no_module_is_longer_than_the_house_allows() -> None:
    lengths = {
        named(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources(*PACKAGES, "tests", "bench", "docs")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_the_median_module_is_about_a_hundred_lines_long() -> None:
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in sources(*PACKAGES))
    assert lengths[len(lengths) // 2] <= 130


def test_every_ignored_type_error_says_which_one_it_is() -> None:
    bare = re.compile(r"#\s*type:\s*ignore(?!\[)")
    found = [
        f"{named(path)}:{number}"
        for path in sources(*PACKAGES, "tests", "bench", "docs")
        if "corpus" not in path.parts and path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []


def test_every_silenced_lint_says_which_rule_it_is() -> None:
    bare = re.compile(r"#\s*noqa(?!:)")
    found = [
        f"{named(path)}:{number}"
        for path in sources(*PACKAGES, "bench", "docs")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]
    assert found == []


def test_every_module_begins_with_a_sentence_that_says_what_it_is_for() -> None:
    silent = [named(path) for path in sources(*PACKAGES) if not ast.get_docstring(tree_of(path))]
    assert silent == []


def test_the_launcher_imports_nothing_that_a_users_folder_could_shadow() -> None:
    imported = set()
    for node in ast.walk(tree_of(REPOSITORY / "nightdesk.py")):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert imported == {"os", "sys"}


# --- packages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed_and_says_what_it_promises(package: str) -> None:
    assert (REPOSITORY / package / "py.typed").is_file()
    said = ast.get_docstring(tree_of(REPOSITORY / package / "__init__.py")) or ""
    assert said.startswith(f"{package}: ")
    assert PROMISES[package][0] in said


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_front_page_pulls_in_no_other_room(package: str) -> None:
    tree = tree_of(REPOSITORY / package / "__init__.py")
    imported = {
        str(node.module)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
    }
    own = {name for name in imported if name.partition(".")[0] in PACKAGES}
    assert own == PROMISES[package][1]


@pytest.mark.parametrize("package", ["triage", "fixloop"])
def test_a_protocol_on_a_front_page_is_a_promise_and_not_code(package: str) -> None:
    tree = tree_of(REPOSITORY / package / "__init__.py")
    protocols = [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    ]
    assert protocols
    for protocol in protocols:
        assert ast.get_docstring(protocol), protocol.name
        for method in (node for node in protocol.body if isinstance(node, ast.FunctionDef)):
            statements = method.body[1:] if ast.get_docstring(method) else method.body
            assert [ast.unparse(node) for node in statements] == ["..."], f"{protocol.name}.{method.name}"


@pytest.mark.parametrize("group", PROTOCOLS)
def test_a_built_in_part_is_registered_under_its_own_name(group: str) -> None:
    registered = entry_points(group=f"nightdesk.{group}")
    assert len(registered) > 0
    for entry in registered:
        assert entry.load().name.partition("@")[0] == entry.name


# --- tests ----------------------------------------------------------------------------------------


def cases_in(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The test functions of a module, those of classes included."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def asserts(node: ast.AST, checkers: set[str]) -> bool:
    """Whether a function asserts: with `assert`, `pytest.raises` and its like, or a checker of its module."""
    for part in ast.walk(node):
        if isinstance(part, ast.Assert):
            return True
        if isinstance(part, ast.Call):
            called = ast.unparse(part.func)
            if called in {"pytest.raises", "pytest.warns", "pytest.fail"} or called in checkers:
                return True
    return False


def test_every_test_name_is_a_sentence_of_at_least_four_words() -> None:
    short = [
        f"{named(path)}: {test.name}"
        for path in sources("tests")
        for test in cases_in(path)
        if len(test.name.removeprefix("test_").split("_")) < 4
    ]
    assert short == []


def test_every_test_asserts_something_of_its_own() -> None:
    hollow = []
    for path in sources("tests"):
        functions = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)]
        checkers = {
            node.name for node in functions if asserts(node, set()) and not node.name.startswith("test_")
        }
        hollow += [f"{named(path)}: {test.name}" for test in cases_in(path) if not asserts(test, checkers)]
    assert hollow == []


def test_no_test_waits_by_sleeping() -> None:
    sleeps = [
        f"{named(path)}:{node.lineno}"
        for path in sources("tests")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"time.sleep", "sleep", "anyio.sleep"}
    ]
    assert sleeps == []


# --- what never stands in the repository ----------------------------------------------------------

# Written in parts, so that this file does not contain what it looks for.
FOREIGN = {
    "a path of somebody's machine": re.compile("/" + r"(?:work|home/[a-z]+|Users/[A-Za-z]+|tmp/nd)/"),
    "the name of a package registry's host": re.compile(
        r"\b(?:" + "|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(?:org|com)"]) + ")"
    ),
}
EXEMPT = ("uv.lock", "tests/corpus/")  # written by uv; what real senders sent


@pytest.mark.parametrize("what", FOREIGN)
def test_the_repository_does_not_contain(what: str) -> None:
    found = []
    for name in kept():
        if not name.startswith(EXEMPT):
            text = (REPOSITORY / name).read_bytes().decode("utf-8", "replace")
            found += [f"{name}: {match.group()}" for match in FOREIGN[what].finditer(text)]
    assert found == []


def test_what_never_stands_in_the_repository_would_be_noticed() -> None:
    path, host = FOREIGN.values()
    assert path.search("/" + "work/somewhere/else")
    assert path.search("see /" + "home/ada/src")
    assert host.search("https://py" + "pi.org/simple")


def test_the_ci_script_runs_the_test_command_of_the_readme() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^pip install uv && (uv run pytest.*)$", readme, re.MULTILINE)
    assert commands
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert f'section "tests" 2400 {commands[0]}\n' in script
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o111
