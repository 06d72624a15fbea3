"""Labelled changes: of each case what may be asked, and apart from it the answer.

A question is made from an explicit list of keys. The world of a case is what its `incident_sha` reaches; the lines and
the commit of the fix, and its message, are never read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fixloop.changes.clues import Clues, Spot, clues_of
from fixloop.changes.model import FUNCTIONS, TRACE
from fixloop.running.worlds import Layout, RepoLayout
from fixloop.situation import ReleaseSources, Situation
from store.errors import BadPayload, NotFound
from store.event import Event
from store.mirrors import Mirror
from triage.formats.traceback_text import TracebackText

_HEAD = "Traceback (most recent call last):\n"


@dataclass(frozen=True)
class Question:
    """What the product is asked. `trace` is text, `functions` names by file; both as far as the case has them."""

    id: str
    repo: str
    release: str
    at: int  # seconds since 1970
    trace: str | None
    functions: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Answer:
    """What is right: any of the culprits counts."""

    culprits: frozenset[str]
    label: str


def read_cases(path: Path) -> list[tuple[Question, Answer]]:
    """The cases of a JSON lines file, or of all `*.jsonl` in a folder. Raises BadPayload, NotFound."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise NotFound(
            f"There are no labelled changes in {path}: a file of JSON lines, or a folder with some."
        )
    cases = []
    for file in files:
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            if line.strip():
                cases.append(_case(line, f"{file.name}:{number}"))
    return cases


def _case(line: str, where: str) -> tuple[Question, Answer]:
    try:
        row = json.loads(line)
        trace = row.get("trace")
        shown = {"text": trace} if isinstance(trace, str) else trace or {}
        question = Question(
            id=str(row["id"]), repo=row["repo"], release=row["incident_sha"], at=int(row["incident_time"]),
            trace=shown.get("text") or None,
            functions={path: tuple(names) for path, names in (row.get("functions") or {}).items()},
        )  # fmt: skip
        return question, Answer(frozenset(row["culprit_shas"]), str(row.get("label", "")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadPayload(f"{where} is no labelled change: {type(error).__name__}: {error}.") from error


def asked(question: Question, kind: str) -> bool:
    """Whether a case has what this kind of question is asked with."""
    return bool(question.trace) if kind == TRACE else bool(question.functions)


def clues_for(question: Question, kind: str, mirror: Mirror) -> Clues:
    """What the product is given to go by. Of a trace its text alone, read as any other log text would be."""
    if kind == FUNCTIONS:
        spots = [
            Spot(mirror.name, path, None, name)
            for path, names in question.functions.items()
            for name in (names or (None,))
        ]
        return Clues(tuple(spots))
    sources = _Sources(mirror, question.release)
    layout = Layout((RepoLayout(mirror.name, question.release),))
    return clues_of(Situation(_events(question), sources, layout))


def _events(question: Question) -> list[Event]:
    at = datetime.fromtimestamp(question.at, UTC)
    text = question.trace or ""
    for body in (text, _HEAD + text):
        try:
            return TracebackText().parse(body.encode(), {}, project="default", received_at=at)[-1:]
        except BadPayload:
            continue
    return []


class _Sources(ReleaseSources):
    """One repository at the incident."""

    def __init__(self, mirror: Mirror, commit: str) -> None:
        super().__init__(_One(mirror), {mirror.name: commit}, {})


class _One:
    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def names(self) -> list[str]:
        return [self._mirror.name]

    def get(self, name: str) -> Mirror:
        return self._mirror


def history_folder(repo: str, repos: Path) -> Path:
    """The git folder of a repository below `--repos`. Raises NotFound."""
    place = repos / repo.replace("/", "+")
    found = next((git for git in (place / "repo", place) if git.is_dir()), None)
    if found is None:
        raise NotFound(f"There is no {repo.replace('/', '+')}/repo in {repos}.")
    return found / ".git" if (found / ".git").is_dir() else found
