"""Which of the changes that the running release contains may have caused this? Ranked from the trace, with reasons.

No model and no window in time: a change of seven months ago counts when its lines are the ones that failed. Signals:
blame of the lines and functions of the trace, of what those functions call (over all repositories), and whether a
change took away or newly reads the very name that was missing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fixloop import CommitInfo, Repositories
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.syntax import Function, function_at, functions, parse
from fixloop.situation import Situation, is_test
from store.repair import CandidateChange

LINE, FUNCTION, CALLEE, NAME, FILE = 3.0, 1.6, 1.0, 1.5, 0.25  # weights; to be learned from labelled cases
MASS = 40  # files: a change that touches more is probably a move or a reformatting
LISTED = 30  # candidates that are kept
READ = 160  # commits whose diff is read for names, newest first
_NAME = re.compile(r"'([A-Za-z_][\w.-]{1,60})'|\"([A-Za-z_][\w.-]{1,60})\"")


@dataclass
class _Suspect:
    score: float = 0.0
    reasons: dict[str, float] = field(default_factory=dict)

    def add(self, weight: float, reason: str) -> None:
        """Each kind of reason counts once, with its strongest weight."""
        kind = reason.partition(":")[0]
        best = max((w for r, w in self.reasons.items() if r.partition(":")[0] == kind), default=0.0)
        if weight > best:
            self.score += weight - best
        self.reasons[reason] = max(weight, self.reasons.get(reason, 0.0))


@dataclass(frozen=True)
class _Place:
    """Lines of a file that matter, why and how much."""

    repo: str
    path: str
    start: int
    end: int
    weight: float
    reason: str


def rank(
    situation: Situation, repositories: Repositories, exposed: Mapping[tuple[str, str], datetime]
) -> list[CandidateChange]:
    """The candidate changes, likeliest first. `exposed`: (repository, commit) -> when a release with it first ran."""
    places = list(_places(situation))
    names = missing_names(situation)
    found: list[CandidateChange] = []
    for repo in situation.layout.repositories:
        mine = [place for place in places if place.repo == repo.name]
        history = repositories.get(repo.name).log(repo.commit)
        suspects: dict[str, _Suspect] = {}
        _blame(repositories, situation, mine, suspects)
        files = {place.path for place in mine}
        _names(repositories, repo.name, history, files, names, suspects)
        found += _candidates(repo.name, history, files, suspects, exposed, repo.commit)
    found.sort(key=lambda change: (-change.score, -change.authored_at.timestamp(), change.commit))
    return found[:LISTED]


# --- where to look ---------------------------------------------------------------------------------------------


def _places(situation: Situation) -> Iterator[_Place]:
    """Lines and functions of the trace, then what they call, decorators included."""
    own = situation.first.own
    index = _definitions(situation)
    for depth, frame in enumerate(reversed(own[-12:])):
        near = 1.0 / (1 + 0.35 * depth)
        line = frame.location.line or frame.frame.lineno or 1
        yield _Place(frame.location.repo, frame.location.path, line, line, LINE * near,
                     f"line: {frame.location.path}:{line} of the trace")  # fmt: skip
        function = _around(frame, line)
        if function is None:
            continue
        yield _Place(frame.location.repo, frame.location.path, function.node.lineno, function.node.end_lineno or line,
                     FUNCTION * near, f"function: {function.qualname} of the trace")  # fmt: skip
        if depth < 3:
            yield from _callees(function.node, index, near, set(), 0, function.qualname)


def _around(frame: OwnFrame, line: int) -> Function | None:
    tree = parse(frame.source)
    return function_at(tree, line) if tree else None


@dataclass(frozen=True)
class _Definition:
    repo: str
    path: str
    function: Function


def _definitions(situation: Situation) -> dict[str, list[_Definition]]:
    """Every function of the team's code by its bare name."""
    index: dict[str, list[_Definition]] = {}
    for repo in situation.layout.repositories:
        for path in situation.sources.paths(repo.name):
            if not path.endswith(".py") or is_test(path):
                continue
            text = situation.sources.text(repo.name, path)
            tree = parse(text) if text else None
            for function in functions(tree) if tree else ():
                index.setdefault(function.node.name, []).append(_Definition(repo.name, path, function))
    return index


def _callees(
    node: ast.AST,
    index: Mapping[str, list[_Definition]],
    near: float,
    seen: set[str],
    depth: int,
    caller: str,
) -> Iterator[_Place]:
    if depth > 2:
        return
    for name in _called_names(node):
        places = index.get(name, [])
        if name in seen or not 0 < len(places) <= 4:
            continue
        seen.add(name)
        for place in places:
            inner = place.function.node
            first = min([inner.lineno, *(d.lineno for d in inner.decorator_list)])
            yield _Place(place.repo, place.path, first, inner.end_lineno or first,
                         CALLEE * near * 0.7**depth / len(places) ** 0.5,
                         f"callee: {place.function.qualname}, called by {caller}")  # fmt: skip
            yield from _callees(inner, index, near, seen, depth + 1, place.function.qualname)


def _called_names(node: ast.AST) -> list[str]:
    """Names of functions that a piece of code calls or is decorated with, in order."""
    names: dict[str, None] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            names[ast.unparse(part.func).rpartition(".")[2]] = None
        elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in part.decorator_list:
                target = decorator.func if isinstance(decorator, ast.Call) else decorator
                names[ast.unparse(target).rpartition(".")[2]] = None
    return list(names)


def missing_names(situation: Situation) -> list[str]:
    """Names that the message quotes: the missing key, attribute, column."""
    names: dict[str, None] = {}
    for sighting in situation.sightings[:5]:
        error = sighting.event.exception
        for match in _NAME.finditer(error.value if error else ""):
            name = match.group(1) or match.group(2)
            if name not in (
                "NoneType",
                "str",
                "int",
                "list",
                "dict",
                "tuple",
                "float",
                "bytes",
                "set",
                "object",
            ):
                names[name.rpartition(".")[2]] = None
    return list(names)[:5]


# --- who touched it --------------------------------------------------------------------------------------------


def _blame(
    repositories: Repositories, situation: Situation, places: Iterable[_Place], suspects: dict[str, _Suspect]
) -> None:
    for place in places:
        commit = situation.layout.repo(place.repo).commit
        lines = repositories.get(place.repo).blame(commit, place.path, place.start, place.end)
        for sha in {line.commit for line in lines}:
            suspects.setdefault(sha, _Suspect()).add(place.weight, place.reason)


def _names(
    repositories: Repositories,
    repo: str,
    history: list[CommitInfo],
    files: set[str],
    names: list[str],
    suspects: dict[str, _Suspect],
) -> None:
    """Changes whose lines newly read, rename or drop what is missing."""
    if not names:
        return
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in names))
    mirror = repositories.get(repo)
    code = [
        commit
        for commit in history
        if any(path.endswith(".py") and not is_test(path) for path in commit.files)
    ]
    near = [commit for commit in code if files & set(commit.files) or commit.sha in suspects]
    for commit in list(dict.fromkeys((*near, *code)))[:READ]:
        paths = [path for path in commit.files if path.endswith(".py") and not is_test(path)]
        removed: set[str] = set()
        added: set[str] = set()
        for line in mirror.diff(commit.sha, paths=paths, context=0).splitlines():
            if line.startswith(("+", "-")) and not line.startswith(("+++", "---")):
                (added if line[0] == "+" else removed).update(pattern.findall(line[1:]))
        if removed - added:
            suspects.setdefault(commit.sha, _Suspect()).add(
                NAME * 1.2, f"name: drops {', '.join(sorted(removed - added))}"
            )
        elif added - removed:
            suspects.setdefault(commit.sha, _Suspect()).add(
                NAME, f"name: begins to use {', '.join(sorted(added - removed))}"
            )
        elif added:
            suspects.setdefault(commit.sha, _Suspect()).add(
                NAME * 0.4, f"name: touches {', '.join(sorted(added))}"
            )


def _candidates(
    repo: str,
    history: list[CommitInfo],
    files: set[str],
    suspects: dict[str, _Suspect],
    exposed: Mapping[tuple[str, str], datetime],
    release: str,
) -> Iterator[CandidateChange]:
    newest = history[0].committed_at if history else datetime.now(UTC)
    for commit in history:
        code = [path for path in commit.files if not is_test(path) and not _is_prose(path)]
        if not code:
            continue
        suspect = suspects.get(commit.sha, _Suspect())
        if files & set(code):
            suspect.add(FILE, "file: touches a file of the trace")
        days = max((newest - commit.committed_at).total_seconds() / 86400, 0.0)
        score = suspect.score * (0.6 if len(commit.files) > MASS else 1.0) * (1 + 0.25 / (1 + days / 30))
        ordered = sorted(suspect.reasons.items(), key=lambda item: -item[1])
        yield CandidateChange(
            repo=repo, commit=commit.sha, title=commit.subject, author=commit.author, authored_at=commit.authored_at,
            pull_request=_pull_request(commit.subject), merged_at=commit.committed_at,
            first_exposed_at=exposed.get((repo, commit.sha)), files=commit.files[:50],
            score=round(score, 4), reasons=tuple(reason.partition(": ")[2] for reason, _ in ordered[:5]),
        )  # fmt: skip


def _is_prose(path: str) -> bool:
    return path.rpartition(".")[2].lower() in ("md", "rst", "txt", "adoc") and "requirements" not in path


def _pull_request(subject: str) -> str | None:
    match = re.search(r"\(#(\d+)\)\s*$|^Merge pull request #(\d+)", subject)
    return f"#{match.group(1) or match.group(2)}" if match else None
