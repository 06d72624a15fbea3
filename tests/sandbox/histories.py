"""Small repositories with a dated history, events of their crashes, and the loop run over both. Real git, real sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fixloop.bench import Bench
from fixloop.fixers import Fixer
from fixloop.knowledge import Knowledge
from fixloop.loop import FIXERS, Repair
from fixloop.running.environments import Environments
from fixloop.running.packages import Packages
from fixloop.running.worlds import Layout, RepoLayout, Trees
from fixloop.sandboxes import best
from fixloop.situation import ReleaseSources
from store.event import Event, ExceptionValue, Frame, Request
from store.mirrors import Mirrors
from store.repair import Attempt
from tests.sandbox.shop import git

Files = Mapping[str, str | None]
Commit = tuple[str, str, Files]  # subject, day, files (None: deleted)


@dataclass(frozen=True)
class History:
    """A repository by name: its commits in order."""

    name: str
    commits: Sequence[Commit]


def write(folder: Path, history: History) -> list[str]:
    """Make the repository; gives the commits' hashes in order."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    made = []
    for subject, day, files in history.commits:
        for path, text in files.items():
            place = folder / path
            if text is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", subject, at=f"{day}T10:00:00+00:00")
        made.append(git(folder, "rev-parse", "HEAD"))
    return made


def frame(text: str, path: str, function: str, line: str, /, **kept: Any) -> Frame:
    """A frame of a file's text: at the line whose stripped text is `line`."""
    lines = [each.strip() for each in text.splitlines()]
    return Frame(
        function=function, module=path.removesuffix(".py").replace("/", "."), filename=path, abs_path=f"/app/{path}",
        lineno=lines.index(line) + 1, in_app=True, context_line=text.splitlines()[lines.index(line)], vars=kept,
    )  # fmt: skip


def crash(kind: str, message: str, *frames: Frame, request: Request | None = None) -> Event:
    """An event as an SDK would have sent it."""
    moment = datetime(2024, 6, 10, tzinfo=UTC)
    error = ExceptionValue(type=kind, value=message, frames=frames, handled=False)
    return Event(
        event_id="e" * 32, project="p", received_at=moment, timestamp=moment, platform="python", exceptions=(error,),
        request=request,
    )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What the loop made of it, and the hashes of each repository's commits."""

    attempt: Attempt
    commits: Mapping[str, list[str]]

    def verdict(self, repo: str, number: int) -> str:
        """The verdict on a repository's nth commit."""
        sha = self.commits[repo][number]
        found = [str(c.verdict) for c in self.attempt.changes if c.repo == repo and c.commit == sha]
        return found[0] if found else f"not listed; {[step.said for step in self.attempt.steps]}"


def run_loop(
    folder: Path, histories: Sequence[History], *events: Event, until: str = "minimise", requirements: str = "",
    env: Mapping[str, str] | None = None, fixers: Sequence[Fixer] = FIXERS, environments: Path | None = None,
    knowledge: Knowledge | None = None,
) -> Outcome:  # fmt: skip
    """The loop over repositories made on the spot; skips where no sandbox holds. `environments`: a folder in which
    several loops share what was prepared."""
    sandbox = best()
    if not sandbox.self_test().ok:
        pytest.skip(sandbox.self_test().said)
    mirrors = Mirrors(folder / "mirrors")
    commits = {}
    for history in histories:
        commits[history.name] = write(folder / "origins" / history.name, history)
        mirrors.add(history.name, str(folder / "origins" / history.name))
    prepared = Environments(environments or folder / "environments")
    environment = prepared.prepare(requirements, allow_network=False)
    rows = tuple(
        RepoLayout(name, shas[-1], has_tests=any("tests/" in p for c in h.commits for p in c[2]))
        for (name, shas), h in zip(commits.items(), histories, strict=True)
    )
    layout = Layout(rows, env or {})
    bench = Bench(
        mirrors,
        sandbox,
        environment,
        layout,
        Trees(folder / "trees", mirrors),
        lambda: datetime.now(UTC),
        runs=20,
        knowledge=knowledge or Knowledge(),
        packages=Packages(prepared, environment, allow_network=False),
    )
    attempt = Attempt(id="A1", incident_id="INC-1", started_at=datetime.now(UTC))
    repair = Repair(attempt, list(events), ReleaseSources(mirrors, layout.commits, {}), bench, fixers=fixers)
    return Outcome(repair.run() if until == "repair" else repair.until(until), commits)
