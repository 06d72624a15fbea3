"""A world: a small web application and the internal library it uses, each a repository with a dated history.

The crash is real and its cause is known here, and only here: the culprit commit is in the library, weeks old,
in a file that is not in the stack trace; younger commits touch the function that fails and the file to blame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from server.demo.history import Commit, write
from server.demo.library import library_files
from server.demo.plan import Plan, draw
from server.demo.service import service_files

CULPRIT = "culprit"


@dataclass(frozen=True)
class Release:
    """A release of the service: what ran since when."""

    version: str
    at: datetime
    commits: Mapping[str, str]  # repository -> commit


@dataclass(frozen=True)
class World:
    """What was made. `culprit` is the commit of the library that is to blame; with a plan that has the fault
    from the start nothing is, and it is a commit like others."""

    plan: Plan
    repositories: Mapping[str, Path]
    releases: Sequence[Release]  # oldest first; the last one runs
    culprit: str
    culprit_at: datetime

    @property
    def running(self) -> Release:
        """The release that runs now."""
        return self.releases[-1]


@dataclass(frozen=True)
class _Change:
    """A step of a history: what it is called in the trees, its message, its age in days."""

    step: str
    message: str
    age: float


def plan_of(seed: int, *, planted_from_start: bool = False) -> Plan:
    """The plan of a seed; `planted_from_start`: the library reads the new field from its first commit."""
    return draw(Random(seed), planted_from_start=planted_from_start)  # noqa: S311 - it can be drawn again, no secret


def make(folder: Path, seed: int, now: datetime, *, planted_from_start: bool = False) -> World:
    """Write the two repositories of a world below `folder`: the same commits for the same seed and moment."""
    plan = plan_of(seed, planted_from_start=planted_from_start)
    random = Random(f"history {seed}")  # noqa: S311 - a history that can be drawn again, no secret
    histories = {plan.service: _service(plan, random), plan.library: _library(plan, random)}
    trees = {plan.service: service_files, plan.library: library_files}
    shas: dict[str, list[tuple[datetime, str]]] = {}
    marked: dict[str, str] = {}
    for repo, changes in histories.items():
        commits, has = [], set[str]()
        for change in changes:
            has.add(change.step)
            at = now - timedelta(days=change.age)
            commits.append(Commit(change.message, random.choice(plan.people), at, trees[repo](plan, has)))
        written = write(folder / repo, commits)
        shas[repo] = [(commit.at, sha) for commit, sha in zip(commits, written, strict=True)]
        marked |= {
            change.step: sha for change, sha in zip(changes, written, strict=True) if change.step == CULPRIT
        }
    return World(
        plan=plan,
        repositories={repo: folder / repo for repo in histories},
        releases=_releases(plan, now, shas),
        culprit=marked[CULPRIT],
        culprit_at=now - timedelta(days=plan.culprit_age),
    )


def _library(plan: Plan, random: Random) -> list[_Change]:
    field = plan.field
    before = [
        ("start", f"Read {plan.plural} in one place"),
        ("formats", "Write amounts the same way everywhere"),
        ("references", "Read references here, too"),
        ("changelog", "Keep a list of changes"),
        ("readme", "README: how to run the tests"),
    ]
    after = [
        ("hints", f"Type hints in {plan.reader_module}"),
        ("years", f"{plan.reader_module}: the year of a record"),
        ("tidy", f"{plan.format_module}: tidy up"),
        ("plurals", f"{plan.format_module}: count things"),
        ("docs", f"{plan.reader_module}: say what a reference is for"),
        ("bump", "Newer pytest"),
        ("release", "Release 1.2.0"),
    ]
    culprit = _Change(
        CULPRIT,
        f"Read {field.new}: the new form asks for it\n\nIt is what people want to see.",
        plan.culprit_age,
    )
    return [*_before(before, plan, random, oldest=520), culprit, *_after(after, plan, random)]


def _service(plan: Plan, random: Random) -> list[_Change]:
    before = [
        ("start", f"List {plan.plural}"),
        ("create", f"Accept new {plan.plural}"),
        ("view", f"{plan.view.capitalize()}s"),
        ("worker", "Night work in a process of its own"),
        ("export", "Export everything as lines"),
        ("imported", f"Take over the first {plan.plural} of the new form"),
    ]
    after = [
        ("renamed", f"{plan.view}s: better names"),
        ("copies", f"{plan.view}s: say how many copies"),
        ("spaced", f"{plan.view}s: one line for each value"),
        ("bump", "Newer dependencies"),
        ("docs", f"README: how long {plan.plural} are kept"),
    ]
    return [*_before(before, plan, random, oldest=400), *_after(after, plan, random)]


def _before(steps: Sequence[tuple[str, str]], plan: Plan, random: Random, *, oldest: int) -> list[_Change]:
    """In their order, between `oldest` days ago and the culprit."""
    ages = sorted((random.uniform(plan.culprit_age + 5, oldest) for _ in steps), reverse=True)
    return [_Change(step, message, age) for (step, message), age in zip(steps, ages, strict=True)]


def _after(steps: Sequence[tuple[str, str]], plan: Plan, random: Random) -> list[_Change]:
    """In any order, younger than the culprit."""
    shuffled = random.sample(list(steps), len(steps))
    ages = sorted((random.uniform(1.5, plan.culprit_age - 3) for _ in steps), reverse=True)
    return [_Change(step, message, age) for (step, message), age in zip(shuffled, ages, strict=True)]


def _releases(plan: Plan, now: datetime, shas: Mapping[str, Sequence[tuple[datetime, str]]]) -> list[Release]:
    """One before the culprit, one soon after, one yesterday."""
    releases = []
    for age in (plan.culprit_age + 2, plan.culprit_age - 2, 1):
        at = now - timedelta(days=age)
        commits = {repo: [sha for made, sha in line if made <= at][-1] for repo, line in shas.items()}
        releases.append(Release(f"{plan.service}@{at:%Y.%m.%d}", at, commits))
    return releases
