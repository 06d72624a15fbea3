"""What a team has written for whoever looks into a failure: what the service is, how code is written, what CI runs, and
runbooks. Read from each repository at the head of its default branch, never from what is being judged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from server.knowing.repository_part import RepositoryPart
from store.errors import NightdeskError
from store.mirrors import Mirror
from triage.runbooks import Runbook
from triage.runbooks import read as read_runbook
from triage.surroundings import Guide

_RUNBOOKS = 200
_FILES = 3  # of each sort
_LINES = 4  # of each
_COMMANDS = 10
_LONGEST = 240  # characters of a line
_CI = re.compile(
    r"^(?:\.github/workflows/[^/]+\.ya?ml|\.gitlab-ci\.yml|\.circleci/config\.yml|azure-pipelines\.yml|Jenkinsfile|\.ci/run)$"
)
_RUNS = re.compile(
    r"^\s*(?:-\s*)?(?:run|script|command)\s*:\s*(?P<one>[^|>\s].*)$|^\s*-\s+(?P<step>[^:]{3,}|\S+::.*)$"
    r"|^\s{6,}(?P<block>[a-z][\w./-]+ .*)$"
)
_TOOLS = re.compile(
    r"\b(?:pytest|tox|nox|ruff|flake8|mypy|pyright|black|pylint|eslint|jest|vitest|npm|pnpm|yarn|go|cargo|mvn|gradlew?"
    r"|rspec|rubocop|phpunit|dotnet|make|just|pre-commit)\b"
)


@dataclass(frozen=True)
class Guidance:
    """Of one repository."""

    guide: Guide
    runbooks: tuple[Runbook, ...] = ()


def guidance(mirror: Mirror, part: RepositoryPart) -> Guidance:
    """What a repository tells. Nothing where it cannot be read."""
    try:
        return _read(mirror.name, mirror.folder, mirror.head(), part.model_dump_json())
    except NightdeskError:
        return Guidance(Guide(mirror.name))


@lru_cache(maxsize=32)
def _read(name: str, folder: Path, head: str, told: str) -> Guidance:
    """Remembered by the commit: it cannot change."""
    mirror = Mirror(name, folder)
    part = RepositoryPart.model_validate_json(told)
    paths = mirror.paths(head)
    books = _globbed(part.runbooks, paths)[:_RUNBOOKS]
    workflows = [path for path in paths if _CI.match(path)][:_FILES]
    texts = {
        path: content.decode("utf-8", "replace")
        for path, content in mirror.blobs(
            head, [*books, *workflows, *_globbed(part.context, paths), *_globbed(part.conventions, paths)]
        ).items()
        if content is not None
    }
    guide = Guide(
        repo=name,
        service=tuple(_beginning(_globbed(part.context, paths), texts)),
        conventions=tuple(_beginning(_globbed(part.conventions, paths), texts)),
        ci=tuple(_ci(part, workflows, texts))[:_COMMANDS],
    )
    return Guidance(guide, tuple(read_runbook(name, path, texts[path]) for path in books if path in texts))


def _globbed(wanted: Sequence[str], paths: Sequence[str]) -> list[str]:
    return [path for path in paths if any(fnmatchcase(path, glob.removeprefix("./")) for glob in wanted)]


def _beginning(files: Sequence[str], texts: dict[str, str]) -> Iterator[str]:
    """Of each file its path and its first lines of prose."""
    for path in files[:_FILES]:
        lines = [line.strip() for line in texts.get(path, "").splitlines()]
        prose = [
            line for line in lines if line and not line.startswith(("#", "!", "[", "<", "|", "```", "---"))
        ]
        if prose:
            yield f"{path}: {prose[0][:_LONGEST]}"
            yield from (f"  {line[:_LONGEST]}" for line in prose[1:_LINES])


def _ci(part: RepositoryPart, workflows: Sequence[str], texts: dict[str, str]) -> Iterator[str]:
    """What is run before a change is let in: as it is configured (or detected), and as CI's own files say."""
    for name in ("install", "lint", "types", "test"):
        if value := getattr(part, name):
            yield f"{name}: {value}"
    for path in workflows:
        commands = dict.fromkeys(_commands(texts.get(path, "")))
        for command in list(commands)[:_COMMANDS]:
            yield f"{path}: {command[:_LONGEST]}"


def _commands(text: str) -> Iterator[str]:
    for line in text.splitlines()[:2000]:
        found = _RUNS.match(line)
        command = next((part for part in (found.groups() if found else ()) if part), "").strip().strip("'\"")
        if command and _TOOLS.search(command):
            yield command
