"""Build the workbench of a repair out of what the house keeps: repositories, environment, policies."""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter

from fixloop import Repository
from fixloop.bench import Bench, Budget
from fixloop.changes.words import Exposure
from fixloop.reproduce.capsules import enriched
from fixloop.running.environments import Environment, Environments
from fixloop.running.kept import Kept
from fixloop.running.packages import Packages
from fixloop.running.uv_lock import LOCK, PROJECT, exported
from fixloop.running.worlds import Layout, RepoLayout, Trees
from fixloop.situation import ReleaseSources, Situation
from server.house import House
from server.incidents.capsules import with_content
from server.knowing.repository_part import RepositoryPart
from server.repairs.forge_lookups import asked_of
from server.repairs.knowledge import knowledge_of
from store import queries
from store.database import Database
from store.errors import NotFound, Unavailable
from store.event import Event, Value
from store.incident import Incident
from store.project import RepositoryConfig

log = logging.getLogger("nightdesk.repair")

EVENTS = 20  # kept bodies that a repair looks at
_EVENTS = TypeAdapter(list[Event])


@dataclass(frozen=True)
class Wanted:
    """What an environment was asked to have: enough to find or make the same one again."""

    requirements: str
    python: str | None
    stub_metadata: tuple[str, ...]
    exact: bool

    def prepared(self, environments: Environments, *, allow_network: bool = True) -> Environment:
        """The environment. Raises Unavailable where a requirement cannot be had."""
        how = {"python": self.python} if self.python is not None else {}
        return environments.prepare(
            self.requirements,
            stub_metadata=self.stub_metadata,
            exact=self.exact,
            allow_network=allow_network,
            **how,
        )


@dataclass(frozen=True)
class Prepared:
    """Everything that one repair of one incident needs."""

    incident: Incident
    events: Sequence[Event]
    sources: ReleaseSources
    bench: Bench
    parts: Mapping[str, RepositoryPart]
    wanted: Wanted

    @property
    def situation(self) -> Situation:
        return Situation(self.events, self.sources, self.bench.layout)


class Basis(Value):
    """What a repair goes by from its first step to its last, whatever comes in meanwhile: the artifact that
    holds its events, and the commit of each repository."""

    events: str
    commits: dict[str, str]


def choose(house: House, ref: str) -> Basis:
    """What a repair of an incident that begins now goes by. Raises NotFound where there is nothing to run."""
    incident = queries.incident(house.database, ref)
    events = list(reversed(queries.events(house.database, incident.id, limit=EVENTS)))
    if not events:
        raise NotFound(f"No event of {incident.id} is kept with its body: there is nothing to run again.")
    stood = house.sources_for(events[0])
    if not stood.repositories():
        raise NotFound(
            f"Project {incident.project!r} has no repository: connect one with "
            f"`nightdesk repo add NAME PATH --project {incident.project}`."
        )
    held = house.artifacts.put(_EVENTS.dump_json(events))
    return Basis(events=held, commits={name: stood.commit(name) for name in stood.repositories()})


class ProjectRepositories:
    """`fixloop.Repositories` over the house's mirrors, only those of one project."""

    def __init__(self, mirrors: Mapping[str, Repository]) -> None:
        self._mirrors = mirrors

    def names(self) -> Sequence[str]:
        return list(self._mirrors)

    def get(self, name: str) -> Repository:
        if name not in self._mirrors:
            raise NotFound(f"There is no repository {name!r} in this project; see `nightdesk repo list`.")
        return self._mirrors[name]


def prepare(house: House, ref: str, basis: Basis | None = None, spent: float = 0.0) -> Prepared:
    """The workbench for an incident, on what a repair has begun with or on what is known now. `spent` are the
    seconds that earlier steps have used. Raises NotFound, Unavailable, SandboxRefused with what to do."""
    incident = queries.incident(house.database, ref)
    basis = basis or choose(house, incident.id)
    events = [
        enriched(with_content(event, house.artifacts))
        for event in _EVENTS.validate_json(house.artifacts.get(basis.events))
    ]
    names = _entry_first(list(basis.commits), incident)
    mirrors: dict[str, Repository] = {name: house.mirrors.get(name) for name in names}
    parts = {name: house.part(_row(house, name), house.mirrors.get(name)) for name in names}
    commits = {name: basis.commits[name] for name in names}
    repositories = ProjectRepositories(mirrors)
    sources = ReleaseSources(repositories, commits, {name: part.path_map for name, part in parts.items()})
    wanted = _wanted(mirrors, commits, parts)
    environments = Environments(house.config.data / "environments")
    environment = wanted.prepared(environments)
    bench = Bench(
        repositories=repositories,
        sandbox=house.sandbox,
        environment=environment,
        packages=Packages(environments, environment, wanted.stub_metadata),
        layout=_layout(mirrors, commits, parts),
        trees=Trees(house.config.data / "trees", repositories),
        now=lambda: datetime.now(UTC),
        exposed=exposures(house.database, incident.project, incident.environments, mirrors),
        asked=asked_of(house, names),
        protected=tuple(glob for part in parts.values() for glob in part.protected_paths),
        address=house.config.address,
        runs=house.config.runs,
        budget=Budget(house.config.repair_seconds - spent),
        knowledge=knowledge_of(house, incident, events, parts, mirrors, commits),
        kept=Kept(house.config.data / "suites"),
    )
    return Prepared(incident, events, sources, bench, parts, wanted)


def prepare_repository(house: House, name: str, now: datetime) -> Bench:
    """The workbench for one repository at the newest commit of its main branch: for what is run without an incident.
    Raises NotFound, Unavailable, SandboxRefused with what to do."""
    mirror = house.mirrors.get(name)
    mirrors: dict[str, Repository] = {name: mirror}
    commits = {name: mirror.head()}
    parts = {name: house.part(_row(house, name), mirror)}
    wanted = _wanted(mirrors, commits, parts)
    repositories = ProjectRepositories(mirrors)
    return Bench(
        repositories=repositories,
        sandbox=house.sandbox,
        environment=wanted.prepared(Environments(house.config.data / "environments")),
        layout=_layout(mirrors, commits, parts),
        trees=Trees(house.config.data / "trees", repositories),
        now=lambda: now,
        budget=Budget(house.config.repair_seconds),
    )


def _entry_first(names: Sequence[str], incident: Incident) -> list[str]:
    """The repository of the failing place first: it is where a job starts."""
    first = incident.location.repo if incident.location else None
    return sorted(names, key=lambda name: (name != first, names.index(name)))


def _row(house: House, name: str) -> RepositoryConfig:
    return next(row for row in queries.repositories(house.database) if row.name == name)


def _layout(
    mirrors: Mapping[str, Repository], commits: Mapping[str, str], parts: Mapping[str, RepositoryPart]
) -> Layout:
    env: dict[str, str] = {}
    for part in reversed(list(parts.values())):
        env |= part.env
    rows = tuple(
        RepoLayout(
            name=name, commit=commits[name], source_roots=parts[name].source_roots,
            test_command=parts[name].test or "python -m pytest -q", has_tests=parts[name].test is not None,
            lint=parts[name].lint, types=parts[name].types, security=parts[name].security,
        )
        for name in mirrors
    )  # fmt: skip
    return Layout(rows, env)


def _wanted(
    mirrors: Mapping[str, Repository], commits: Mapping[str, str], parts: Mapping[str, RepositoryPart]
) -> Wanted:
    """One environment for all repositories: the entry's pins win over a library's."""
    lines: dict[str, str] = {}
    for name, part in parts.items():
        for line in requirements_of(mirrors[name], commits[name], part):
            lines.setdefault(_distribution(line), line)
    own = {_distribution(name) for name in mirrors}
    wanted = "\n".join(line for key, line in lines.items() if key not in own)
    python = next((part.python for part in parts.values() if part.python), None)
    stubs = tuple(stub for part in parts.values() for stub in part.stub_metadata)
    exact = all(part.pins for part in parts.values())
    return Wanted(wanted, python, stubs, exact)


def requirements_of(mirror: Repository, commit: str, part: RepositoryPart) -> list[str]:
    """The requirement lines of a repository at a commit: the pins that were configured, else its requirement
    files, else what its `uv.lock` has locked, else what `pyproject.toml` asks for."""
    if part.pins:
        return list(part.pins)
    lines: list[str] = []
    for path in part.requirements:
        for line in (mirror.text(commit, path) or "").replace("\\\n", " ").splitlines():
            text = line.strip()
            if text and not text.startswith(("#", "-")):
                lines.append(text)
    lines = lines or _locked(mirror, commit)
    if lines:
        return lines
    try:
        project = tomllib.loads(mirror.text(commit, "pyproject.toml") or "").get("project", {})
    except tomllib.TOMLDecodeError:
        return []
    return [str(line) for line in project.get("dependencies", [])]


def _locked(mirror: Repository, commit: str) -> list[str]:
    """What the lock at the root pins; nothing where there is none, or uv cannot read it."""
    lock = mirror.text(commit, LOCK)
    if lock is None:
        return []
    projects = [path for path in mirror.paths(commit) if path.rpartition("/")[2] == PROJECT]
    try:
        return exported({LOCK: lock, **{path: mirror.text(commit, path) or "" for path in projects}}, LOCK)
    except Unavailable as problem:
        log.warning("The environment of %s is made of what its project asks for: %s", mirror.name, problem)
        return []


def _distribution(line: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", line)
    return re.sub(r"[-_.]+", "-", name.group() if name else line).lower()


def exposures(
    db: Database, project: str, environments: Collection[str], mirrors: Mapping[str, Repository]
) -> dict[tuple[str, str], Exposure]:
    """Since when each commit runs where the incident happened: in the first release with it that was deployed there.
    Where none of the incident's environments is among the deployed, the first anywhere. One that ran elsewhere
    earlier was tried there."""
    releases = [r for r in queries.releases(db, project) if r.deployed_at]
    named = {release.environment for release in releases}
    here = set(environments) & named or named
    exposed: dict[tuple[str, str], Exposure] = {}
    for release in sorted(releases, key=lambda release: release.deployed_at or datetime.now(UTC)):
        at, place = release.deployed_at, release.environment
        for repo, sha in release.commits.items():
            commit = mirrors[repo].resolve(sha) if repo in mirrors else None
            if commit is None or at is None:
                continue
            for info in mirrors[repo].log(commit):
                known = exposed.get((repo, info.sha), Exposure())
                if known.at is not None:
                    continue
                if place is None or place in here:
                    exposed[repo, info.sha] = Exposure(at, place, known.tried)
                elif known.tried is None:
                    exposed[repo, info.sha] = Exposure(tried=(place, at))
    return exposed
