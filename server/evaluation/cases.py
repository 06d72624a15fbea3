"""What of a labelled crash may reach the product: a `PublicCase`, made from an explicit list of keys.

A case folder also holds the answer (the fix, the culprit, the traffic that crashed, what right behaviour is).
Nothing but this module and `labels` opens it, and this one reads only what is named here. The folder's name
tells the answer too, so a case goes under a hash of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from store.errors import BadPayload, NotFound
from store.project import Release

PUBLIC_KEYS = (
    "repo", "repos", "buggy_sha", "src_root", "pythonpath", "python", "requirements", "stub_metadata", "env",
    "run_env", "test_command", "test_repos", "release", "incident_time",
)  # fmt: skip
_REPOSITORY_KEYS = ("name", "bundle", "incident_sha")
_RECORDED_PLACES = {"PYTHONPATH", "CWD"}  # of the container: finding where things lie is the product's work
PROJECT = "default"


@dataclass(frozen=True)
class CaseRepository:
    """One repository of a case. Of `source` (a git folder or a bundle) only what `commit` reaches is read."""

    name: str
    commit: str
    source: Path
    source_roots: tuple[str, ...]
    tested: bool


@dataclass(frozen=True)
class PublicCase:
    """Everything the product is given of a case. `requirements` are lines, `events` bodies, oldest first."""

    name: str
    repositories: tuple[CaseRepository, ...]
    requirements: tuple[str, ...]
    python: str | None
    stub_metadata: tuple[str, ...]
    env: Mapping[str, str]
    test_command: str | None
    releases: tuple[Release, ...]
    events: tuple[bytes, ...]
    access_log: Path | None = None


def find_cases(path: Path) -> list[Path]:
    """The case folders at or directly below a path, by name. Raises NotFound where there is none."""
    if (path / "case.json").is_file():
        return [path]
    found = sorted(folder.parent for folder in path.glob("*/case.json"))
    if not found:
        raise NotFound(f"There is no case in {path}: a case is a folder with case.json and event.json.")
    return found


def hashed_name(folder: Path) -> str:
    """The name under which a case is run."""
    return hashlib.sha256(folder.resolve().name.encode()).hexdigest()[:10]


def public_case(folder: Path, repos: Path | None, *, every_event: bool = False) -> PublicCase:
    """What the product may see of a case. `repos` holds one git folder for each repository, as
    `owner+name/repo` or `owner+name`. Raises BadPayload for a case that cannot be read, NotFound for a
    repository that is not there."""
    try:
        written = json.loads((folder / "case.json").read_bytes())
        given = {key: written[key] for key in PUBLIC_KEYS if key in written}
        repositories = _repositories(folder, given, repos)
        requirements = folder / Path(given.get("requirements", "requirements.txt")).name
        return PublicCase(
            name=hashed_name(folder),
            repositories=repositories,
            requirements=_lines(requirements.read_text("utf-8")) if requirements.exists() else (),
            python=given.get("python"),
            stub_metadata=tuple(given.get("stub_metadata", ())),
            env=_env(given),
            test_command=given.get("test_command"),
            releases=_releases(folder, given, repositories),
            events=_events(folder, every_event=every_event),
            access_log=log if (log := folder / "access.log").is_file() else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadPayload(
            f"Case {hashed_name(folder)} cannot be read: {type(error).__name__}: {error}."
        ) from error


def _lines(text: str) -> tuple[str, ...]:
    stripped = (line.strip() for line in text.splitlines())
    return tuple(line for line in stripped if line and not line.startswith("#"))


def _env(given: Mapping[str, Any]) -> dict[str, str]:
    env = {**given.get("run_env", {}), **given.get("env", {})}
    return {name: str(value) for name, value in env.items() if name not in _RECORDED_PLACES}


def _repositories(folder: Path, given: Mapping[str, Any], repos: Path | None) -> tuple[CaseRepository, ...]:
    if "repos" not in given:
        name = given["repo"].rpartition("/")[2]
        roots = (given.get("src_root", "."),)
        return (CaseRepository(name, given["buggy_sha"], _stored(given["repo"], repos), roots, tested=True),)
    listed = [{key: row[key] for key in _REPOSITORY_KEYS} for row in given["repos"]]
    tested = given.get("test_repos", [row["name"] for row in listed])
    return tuple(
        CaseRepository(
            name=row["name"],
            commit=row["incident_sha"],
            source=_inside(folder, row["bundle"]),
            source_roots=_roots(row["name"], given.get("pythonpath", ())),
            tested=row["name"] in tested,
        )
        for row in listed
    )


def _stored(repo: str, repos: Path | None) -> Path:
    """The git folder of a repository below `--repos`."""
    if repos is None:
        raise NotFound(f"The case wants the history of {repo}: name the folder of histories with --repos.")
    place = repos / repo.replace("/", "+")
    found = next((git for git in (place / "repo", place) if git.is_dir()), None)
    if found is None:
        raise NotFound(f"There is no {repo.replace('/', '+')}/repo in {repos}.")
    return found / ".git" if (found / ".git").is_dir() else found


def _inside(folder: Path, name: str) -> Path:
    place = (folder / name).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise BadPayload(f"Case {hashed_name(folder)} names a bundle outside of it.")
    return place


def _roots(name: str, entries: Sequence[str]) -> tuple[str, ...]:
    """The source roots of a repository. Entries are `name[/folder]`; `a|b` is a after a move, b before it."""
    found = []
    for entry in entries:
        for place in entry.split("|"):
            repo, _, root = place.partition("/")
            if repo == name:
                found.append(root or ".")
    return tuple(dict.fromkeys(found))


def _releases(
    folder: Path, given: Mapping[str, Any], repositories: Sequence[CaseRepository]
) -> tuple[Release, ...]:
    """The deployments up to the incident, and the release that was running then."""
    names = {repository.name for repository in repositories}
    incident = datetime.fromisoformat(given["incident_time"]) if "incident_time" in given else None
    deploys = folder / "deploys.json"
    rows = [
        Release(
            project=PROJECT,
            version=row["release"],
            commits={name: sha for name, sha in row["repos"].items() if name in names},
            environment=row.get("environment"),
            deployed_at=datetime.fromisoformat(row["deployed_at"]),
        )
        for row in (json.loads(deploys.read_bytes()) if deploys.exists() else ())
    ]
    known = [row for row in rows if incident is None or (row.deployed_at and row.deployed_at <= incident)]
    version = given.get("release") or given["buggy_sha"]
    if not any(row.version == version for row in known):
        commits = {repository.name: repository.commit for repository in repositories}
        known.append(Release(project=PROJECT, version=version, commits=commits, deployed_at=incident))
    return tuple(known)


def _events(folder: Path, *, every_event: bool) -> tuple[bytes, ...]:
    """Bodies in the order in which they happened: the files' names say which of them is the crash."""
    files = list((folder / "events").glob("*.json")) if every_event else []
    bodies = [file.read_bytes() for file in files or [folder / "event.json"]]
    return tuple(sorted(bodies, key=_happened))


def _happened(body: bytes) -> tuple[str, str]:
    event = json.loads(body)
    return str(event.get("timestamp", "")), str(event.get("event_id", ""))
