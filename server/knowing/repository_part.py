"""A repository's own part of the configuration: `.nightdesk.toml` at its root, or a file named by `--config`.

Whatever is absent is detected from the files that are there. Policy (`drafts`, `draft_cap`,
`protected_paths`) is only ever read from the server's side or the default branch, never from the tree that is
being judged: callers hand in the text of the right one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.config import BadConfiguration, DraftPolicy, first_problem, refuse_unknown

FILE = ".nightdesk.toml"
_GUIDES = ("AGENTS.md", "CLAUDE.md", "CONTRIBUTING.md")


class RepositoryPart(BaseModel):
    """How one repository is installed, tested and read, and what may be changed in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str | None = Field(default=None, description="Python version, such as `3.11`.")
    requirements: tuple[str, ...] = Field(default=(), description="Requirement files, relative to the root.")
    pins: tuple[str, ...] = Field(
        default=(),
        description="All that production has installed, as `name==version` (what `pip freeze` prints): taken "
        "as it is, instead of the requirement files.",
    )
    install: str | None = Field(default=None, description="Command that installs what the files do not say.")
    source_roots: tuple[str, ...] = Field(default=(), description="Folders that go on the import path.")
    env: dict[str, str] = Field(
        default_factory=dict, description="Environment of the application when it is run."
    )
    test: str | None = Field(default=None, description="Command that runs the test suite.")
    lint: str | None = Field(
        default=None, description="Command that checks style; only new complaints count."
    )
    types: str | None = Field(
        default=None, description="Command that checks types; only new complaints count."
    )
    security: str | None = Field(
        default=None, description="Command that scans for security faults; only new complaints count."
    )
    path_map: dict[str, str] = Field(
        default_factory=dict, description='Path in production to folder of the repository: {"/app" = "."}.'
    )
    context: tuple[str, ...] = Field(default=(), description="Files that explain the application.")
    conventions: tuple[str, ...] = Field(default=(), description="Files that say how code is written here.")
    runbooks: tuple[str, ...] = Field(
        default=(), description="Markdown files or globs with operating knowledge."
    )
    critical_paths: tuple[str, ...] = Field(
        default=(),
        description="Globs of what must not fail: of files (`billing/**`) or, with `/` before them, of addresses "
        "(`/checkout/*`). What falls under one is more urgent.",
    )
    drafts: DraftPolicy | None = Field(
        default=None, description="When a draft opens by itself, in this repository."
    )
    draft_cap: int | None = Field(
        default=None, ge=0, description="Open drafts at the same time, in this repository."
    )
    protected_paths: tuple[str, ...] = Field(default=(), description="Globs that no patch may touch.")
    stub_metadata: tuple[str, ...] = Field(
        default=(),
        description="`name==version` of packages that read their own version when they are imported.",
    )


def parse(text: str, where: str = FILE) -> RepositoryPart:
    """A repository's part from TOML text. Raises BadConfiguration with one sentence."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadConfiguration(f"{where} cannot be read as TOML: {error}.") from error
    return validate(values, where)


def validate(values: Mapping[str, Any], where: str = FILE) -> RepositoryPart:
    """A repository's part from a dictionary. Raises BadConfiguration with one sentence."""
    refuse_unknown(values, RepositoryPart.model_fields, where)
    try:
        return RepositoryPart.model_validate(values)
    except ValidationError as error:
        raise BadConfiguration(first_problem(error, dict.fromkeys(values, where))) from error


def detect(paths: Sequence[str], text: Callable[[str], str | None], given: RepositoryPart) -> RepositoryPart:
    """`given` with what it leaves open filled in from the files of the repository.

    `paths` are all files at the commit; `text` reads one of them (None where it is absent or not text).
    """
    present = set(paths)
    project = _project_table(text) if "pyproject.toml" in present else {}
    found: dict[str, Any] = {
        "python": _python(present, text, project),
        "requirements": tuple(
            sorted(path for path in present if re.fullmatch(r"requirements[\w.-]*\.txt", path))
        ),
        "source_roots": _source_roots(paths),
        "test": _test(present, project),
        "lint": _lint(present, project),
        "types": _types(present, project),
        "security": _security(present, project),
        "conventions": tuple(path for path in _GUIDES if path in present),
        "context": tuple(
            sorted(path for path in present if path.lower() in {"readme.md", "docs/architecture.md"})
        ),
        "runbooks": tuple(sorted(path for path in present if re.fullmatch(r"docs/runbooks/.+\.md", path))),
    }
    open_fields = {name: value for name, value in found.items() if value and not getattr(given, name)}
    return given.model_copy(update=open_fields)


def _project_table(text: Callable[[str], str | None]) -> dict[str, Any]:
    try:
        return tomllib.loads(text("pyproject.toml") or "")
    except tomllib.TOMLDecodeError:  # the team's file, not ours to judge: as if it were not there
        return {}


def _python(present: set[str], text: Callable[[str], str | None], project: Mapping[str, Any]) -> str | None:
    """The version from `.python-version`, else the lower bound of `requires-python`."""
    pinned = text(".python-version") if ".python-version" in present else None
    wanted = pinned or str(project.get("project", {}).get("requires-python", ""))
    version = re.search(r"3\.\d+", wanted)
    return version.group() if version else None


def _source_roots(paths: Sequence[str]) -> tuple[str, ...]:
    """`src` where Python files lie in it, and the root where any lie outside."""
    python = [PurePosixPath(path) for path in paths if path.endswith(".py")]
    in_src = any(path.parts[0] == "src" for path in python)
    elsewhere = any(
        path.parts[0] not in {"src", "tests", "test", "docs"} and path.name != "setup.py" for path in python
    )
    return tuple(root for root, there in (("src", in_src), (".", elsewhere or not in_src)) if there)


def _test(present: set[str], project: Mapping[str, Any]) -> str | None:
    """pytest where it is configured or where there are tests."""
    tests = any(re.search(r"(^|/)(test_[^/]*|[^/]*_test)\.py$", path) for path in present)
    configured = "pytest" in project.get("tool", {}) or present & {"pytest.ini", "conftest.py", "tox.ini"}
    return "python -m pytest -q" if tests or configured else None


def _lint(present: set[str], project: Mapping[str, Any]) -> str | None:
    if "ruff" in project.get("tool", {}) or present & {"ruff.toml", ".ruff.toml"}:
        return "ruff check"
    return "flake8" if ".flake8" in present else None


def _types(present: set[str], project: Mapping[str, Any]) -> str | None:
    if "mypy" in project.get("tool", {}) or present & {"mypy.ini", ".mypy.ini"}:
        return "mypy ."
    return "pyright" if "pyrightconfig.json" in present else None


def _security(present: set[str], project: Mapping[str, Any]) -> str | None:
    """bandit where it is configured; what asks a server for its rules cannot run in a sandbox."""
    if "bandit" in project.get("tool", {}):
        return "bandit -q -r . -c pyproject.toml -f custom"
    return "bandit -q -r . -f custom" if present & {".bandit", "bandit.yaml", "bandit.yml"} else None
