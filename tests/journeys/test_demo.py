"""The demo's worlds are what they say, and the product proves their cause by itself: ten, and one whole demo.

What a world knows of its own cause is compared afterwards; the product never sees it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fixloop import sandboxes
from server.cli import cli
from server.demo.traffic import NOISE
from server.demo.world import World, make, plan_of

NOW = datetime(2026, 11, 20, 11, 30, tzinfo=UTC)
_HOLDS = sandboxes.best().self_test()
needs_sandbox = pytest.mark.skipif(not _HOLDS.ok, reason=f"no sandbox: {_HOLDS.said}")


def _ten() -> list[int]:
    """The first ten seeds whose names differ, so that all of them fit into one data folder."""
    seeds, taken = list[int](), set[str]()
    seed = 0
    while len(seeds) < 10:
        seed += 1
        plan = plan_of(seed)
        if taken.isdisjoint((plan.service, plan.library)):
            seeds.append(seed)
            taken |= {plan.service, plan.library}
    return seeds


SEEDS = _ten()
WORLDS = [pytest.param(seed, marks=pytest.mark.heavy) for seed in SEEDS]  # twenty seconds each


def _python(
    folder: Path, world: World, *args: str, library: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with the service and the library on its path."""
    plan = world.plan
    code = library or world.repositories[plan.library] / "src"
    path = f"{world.repositories[plan.service]}{os.pathsep}{code}"
    env = {"PYTHONPATH": path, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *args], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def _git(repo: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=repo, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


_CALL = """
import json, sys, traceback
from {service} import store, {view}s
try:
    print(json.dumps({view}s.{function}(store.find({record!r}))))
except Exception as error:
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)[1:]]
    print(json.dumps({{"failed": str(error), "frames": frames}}))
"""


def _asked(folder: Path, world: World, record: int, library: Path | None = None) -> dict[str, Any]:
    """What the service gives for one record, or how it fails."""
    plan = world.plan
    call = _CALL.format(
        service=plan.service, view=plan.view, function=plan.crash_function, record=plan.record_id(record)
    )
    answer = _python(folder, world, "-c", call, library=library)
    assert answer.returncode == 0, answer.stderr
    return dict(json.loads(answer.stdout))


@pytest.mark.parametrize("seed", SEEDS)
def test_an_old_record_crashes_the_service_and_the_culprits_file_is_in_no_frame(
    seed: int, tmp_path: Path
) -> None:
    world = make(tmp_path / "world", seed, NOW)
    failed = _asked(tmp_path, world, 1)
    assert "None" in failed["failed"]
    assert failed["frames"][-1].endswith(world.plan.crash_path)
    assert not any(world.plan.reader_path in frame for frame in failed["frames"])
    assert "failed" not in _asked(tmp_path, world, 3)

    library = world.repositories[world.plan.library]
    touched = _git(library, "show", "--format=", "--name-only", world.culprit).split()
    assert world.plan.reader_path in touched
    _git(library, "checkout", "-q", f"{world.culprit}^")
    assert "failed" not in _asked(tmp_path, world, 1)


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_a_fault_planted_from_the_start_has_no_commit_before_it(seed: int, tmp_path: Path) -> None:
    world = make(tmp_path / "world", seed, NOW, planted_from_start=True)
    library = world.repositories[world.plan.library]
    for commit in _git(library, "rev-list", "HEAD").split():
        _git(library, "checkout", "-q", commit)
        assert "None" in _asked(tmp_path, world, 1)["failed"]


def test_the_culprit_is_weeks_old_and_younger_commits_touch_the_same_places(tmp_path: Path) -> None:
    world = make(tmp_path / "world", SEEDS[0], NOW)
    plan = world.plan
    age = NOW - world.culprit_at
    assert timedelta(days=30) <= age <= timedelta(days=60)
    since = f"--since={world.culprit_at.isoformat()}"
    for repo, path in ((plan.service, plan.crash_path), (plan.library, plan.reader_path)):
        younger = _git(world.repositories[repo], "log", "--format=%H", since, "--", path).split()
        assert set(younger) - {world.culprit}
        assert 10 <= len(_git(world.repositories[repo], "rev-list", "HEAD").split()) <= 15


def test_the_same_seed_and_moment_give_the_same_commits(tmp_path: Path) -> None:
    first, second = (make(tmp_path / name, 5, NOW) for name in ("first", "second"))
    assert first.running.commits == second.running.commits
    assert first.culprit == second.culprit


@pytest.mark.heavy
def test_the_tests_of_a_world_pass_at_every_commit(tmp_path: Path) -> None:
    world = make(tmp_path / "world", SEEDS[1], NOW)
    service, library = (world.repositories[name] for name in (world.plan.service, world.plan.library))
    dated = [
        (line.split()[0], repo, line.split()[1])
        for repo in (service, library)
        for line in _git(repo, "log", "--format=%ct %H", "--", "*.py", "*.json").splitlines()
    ]
    for moment, repo, commit in sorted(dated):
        other = library if repo is service else service
        _git(repo, "checkout", "-q", commit)
        _git(
            other,
            "checkout",
            "-q",
            _git(other, "rev-list", "-1", f"--before={moment}", "main").strip() or "main",
        )
        ran = _python(repo, world, "-m", "pytest", "-q", "-p", "no:cacheprovider")
        assert ran.returncode == 0, f"{repo.name} at {commit}:\n{ran.stdout}"


_REPORT = """
import json, sys
import sentry_sdk
from sentry_sdk.integrations.flask import FlaskIntegration
from {service}.app import app

def keep(event, hint):
    print(json.dumps(event, default=str))

sentry_sdk.init(dsn="http://key@localhost/1", release={release!r}, environment="production", before_send=keep,
                auto_enabling_integrations=False, integrations=[FlaskIntegration()])
app.test_client().get({path!r})
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for the worlds of this module: its environment is prepared once."""
    return tmp_path_factory.mktemp("desk")


def _nightdesk(
    data: Path, *args: str, codes: tuple[int, ...] = (0,), env: Mapping[str, str] | None = None
) -> Any:
    """A command with `--json`, in this process."""
    done = CliRunner().invoke(
        cli,
        [*args, "--data", str(data), "--json"],
        env={"NIGHTDESK_RUNS": "20", **(env or {})},
        catch_exceptions=False,
    )
    assert done.exit_code in codes, done.output
    return json.loads(done.stdout)


def _repaired(tmp_path: Path, data: Path, world: World) -> dict[str, Any]:
    """The incident of a world's crash after a repair, reported by the real sentry-sdk."""
    plan = world.plan
    _nightdesk(data, "project", "add", plan.service)
    for name, repo in world.repositories.items():
        _nightdesk(data, "repo", "add", name, str(repo), "--project", plan.service)
    for release in world.releases:
        commits = [word for repo, sha in release.commits.items() for word in ("--repo", f"{repo}={sha}")]
        _nightdesk(data, "release", "add", release.version, *commits, "--at", release.at.isoformat(),
                   "--project", plan.service)  # fmt: skip
    path = f"/{plan.plural}/{plan.record_id(1)}/{plan.view}"
    report = _REPORT.format(service=plan.service, release=world.running.version, path=path)
    reported = _python(tmp_path, world, "-c", report)
    assert reported.returncode == 0, reported.stderr
    event = tmp_path / "event.json"
    event.write_text(reported.stdout)
    [incident] = _nightdesk(data, "ingest", str(event), "--project", plan.service)
    return dict(_nightdesk(data, "repair", incident["id"], codes=(0, 3)))


@needs_sandbox
@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("seed", WORLDS)
def test_the_cause_of_every_world_is_proven_and_is_the_planted_one(
    seed: int, tmp_path: Path, desk: Path
) -> None:
    world = make(tmp_path / "world", seed, datetime.now(UTC))
    incident = _repaired(tmp_path, desk / "planted", world)
    assert incident["ended"] in ("proven", "drafted"), incident["said"]
    proven = [change for change in incident["changes"] if change["verdict"] == "proven"]
    assert [(change["repo"], change["commit"]) for change in proven] == [(world.plan.library, world.culprit)]
    assert world.plan.reader_path in proven[0]["hunks"]
    assert incident["reproducer"]["oracle"] == "parent_value"
    assert set(incident["patch"]["diffs"]) == {world.plan.library}
    assert incident["patch"]["kind"] != "revert", (
        "a plain revert breaks the library's own test of the new field"
    )


@needs_sandbox
@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("seed", WORLDS)
def test_nothing_is_proven_where_the_fault_was_there_from_the_start(
    seed: int, tmp_path: Path, desk: Path
) -> None:
    world = make(tmp_path / "world", seed, datetime.now(UTC), planted_from_start=True)
    incident = _repaired(tmp_path, desk / "from-the-start", world)
    assert [change["title"] for change in incident["changes"] if change["verdict"] == "proven"] == []
    assert incident["proof"] is None
    assert incident["drafts"] == []


@pytest.mark.heavy
@needs_sandbox
@pytest.mark.slow
@pytest.mark.sandbox
def test_the_whole_demo_ends_with_a_proven_fix_in_a_draft(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = subprocess.run(
        [sys.executable, "-m", "nightdesk", "demo", "--json", "--data", str(data)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    culprit, incident = told["world"]["culprit"], told["incident"]
    assert [row["id"] for row in told["focus"]] == [incident["id"]]
    assert sum(row["event_count"] for row in told["noise"]) == NOISE
    assert all(row["verdict"]["reasons"] for row in told["noise"])
    proven = next(change for change in incident["changes"] if change["verdict"] == "proven")
    assert (proven["repo"], proven["commit"]) == (culprit["repo"], culprit["commit"])
    [draft] = incident["drafts"]
    repository = data / "demo" / told["world"]["service"] / draft["repo"]
    assert culprit["path"] in _git(repository, "diff", "--name-only", f"main...{draft['branch']}").split()
