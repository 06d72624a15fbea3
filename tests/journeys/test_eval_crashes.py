"""`nightdesk eval crashes` on a small project with a planted fault: right figures, no way to the answer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fixloop.sandboxes import best
from server.cli import cli
from server.evaluation.cases import PUBLIC_KEYS, hashed_name, public_case
from server.evaluation.histories import cut_off
from store.errors import NotFound

WRONG = "def average(prices):\n    total = sum(prices)\n    return total / len(prices)\n"
RIGHT = WRONG.replace("    return", "    if not prices:\n        return 0\n    return")
NOTES = "def note(text):\n    return text.strip()\n"
SINGLE = "shop-average"
BUNDLED = "shop-average-bundled"


def git(folder: Path, *arguments: str) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "Ana", f"GIT_{role}_EMAIL": "ana@example.org"}
        env |= {f"GIT_{role}_DATE": "2026-03-02T09:00:00+00:00"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder: Path, subject: str, **files: str) -> str:
    for name, text in files.items():
        path = folder / "shop" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A repository with the fault, and later commits: among them the fix, with a tag and a branch."""
    folder = tmp_path_factory.mktemp("work") / "shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    shas = {"first": commit(folder, "Averages", __init__="", prices=RIGHT)}
    shas["culprit"] = commit(folder, "Averages without the special case", prices=WRONG)
    shas["buggy"] = commit(folder, "Notes", notes=NOTES)
    shas["fix"] = commit(folder, "Nothing costs nothing on average", prices=RIGHT)
    git(folder, "tag", "v2")
    git(folder, "branch", "newer")
    return folder, shas


def event(release: str) -> dict[str, Any]:
    """What a sender made of `average([])`."""
    frames = [
        {"abs_path": "/srv/prod/driver.py", "filename": "driver.py", "function": "<module>", "lineno": 3},
        {
            "abs_path": "/srv/app/shop/prices.py", "filename": "shop/prices.py", "module": "shop.prices",
            "function": "average", "lineno": 3, "in_app": True, "vars": {"prices": [], "total": "0"},
            "context_line": "    return total / len(prices)",
        },
    ]  # fmt: skip
    error = {"type": "ZeroDivisionError", "value": "division by zero", "stacktrace": {"frames": frames}}
    return {
        "event_id": "c0" * 16, "timestamp": "2026-11-20T10:00:00Z", "platform": "python", "level": "error",
        "release": release, "environment": "production", "server_name": "web-1",
        "exception": {"values": [error]},
    }  # fmt: skip


def write_case(folder: Path, shas: dict[str, str], **more: Any) -> Path:
    """A case folder of the first kind: one repository, looked up by its name."""
    folder.mkdir(parents=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    case = {
        "repo": "acme/shop", "buggy_sha": shas["buggy"], "src_root": ".", "python": version, "env": {},
        "stub_metadata": [], "kind": "bug", **more,
    }  # fmt: skip
    (folder / "case.json").write_text(json.dumps(case))
    (folder / "event.json").write_text(json.dumps(event(shas["buggy"])))
    (folder / "requirements.txt").write_text("")
    return folder


def poison(shas: dict[str, str]) -> dict[str, Any]:
    """Keys that give the answer away."""
    return {
        "id": SINGLE, "fix_sha": shas["fix"], "fix_files": ["shop/prices.py"], "fix_tests": ["t::test_none"],
        "culprit_sha": shas["culprit"], "culprit_files": ["shop/prices.py"], "culprit_confidence": "exact",
        "expected_behaviour": "no prices: 0", "template_repair": "yes", "note": "guard the division",
    }  # fmt: skip


def evaluate(*arguments: object) -> dict[str, Any]:
    done = CliRunner().invoke(
        cli, ["eval", "crashes", *map(str, arguments), "--json"], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def without_clock_and_score(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {
            key: item
            for key, item in value.items()
            if key not in ("seconds", "lead", "early", "suites", "score")
        }
        return {key: without_clock_and_score(item) for key, item in kept.items()}
    return [without_clock_and_score(item) for item in value] if isinstance(value, list) else value


@pytest.mark.heavy
@pytest.mark.sandbox
def test_poisoned_labels_and_later_commits_leave_every_byte_of_the_result_the_same(
    tmp_path: Path, history: tuple[Path, dict[str, str]]
) -> None:
    tested = best().self_test()
    if not tested.ok:
        pytest.skip(tested.said)
    work, shas = history
    clean, full = tmp_path / "clean" / "acme+shop" / "repo", tmp_path / "full" / "acme+shop"
    clean.parent.mkdir(parents=True)
    cut_off(work / ".git", shas["buggy"], clean)
    git(work, "clone", "-q", "--mirror", ".", str(full))
    plain = write_case(tmp_path / "a" / SINGLE, shas)
    poisoned = write_case(tmp_path / "b" / SINGLE, shas, **poison(shas))
    (poisoned / "fix").mkdir()
    (poisoned / "fix" / "shop.patch").write_text(git(work, "show", shas["fix"]))
    cache, out = tmp_path / "environments", tmp_path / "out"

    first = evaluate(plain.parent, "--repos", clean.parents[1], "--cache", cache)
    second = evaluate(poisoned.parent, "--repos", full.parent, "--cache", cache, "--out", out)

    assert json.dumps(without_clock_and_score(first["cases"])) == json.dumps(
        without_clock_and_score(second["cases"])
    )
    [incident] = second["cases"][0]["incidents"]
    assert incident["location"] == "shop:shop/prices.py:3 average"
    assert incident["repair"]["reproduced"]["same_failure"]
    assert incident["repair"]["reproduced"]["failures"] == incident["repair"]["reproduced"]["runs"] > 0
    assert incident["score"]["culprit_rank"] == 1
    assert incident["score"]["proven_right"]
    assert not first["cases"][0]["incidents"][0]["score"]["culprit_known"]
    rates = second["summary"]
    assert (rates["reproduced"], rates["cause_right"], rates["false_proven"], rates["problems"]) == (
        1,
        1,
        0,
        0,
    )
    kept = out / hashed_name(poisoned)
    assert json.loads((kept / "incident.json").read_text())["reproducer"]["runs"] > 0
    assert [file.name for file in kept.glob("test_*.py")]


def test_a_case_carries_nothing_but_the_public_keys(
    tmp_path: Path, history: tuple[Path, dict[str, str]]
) -> None:
    work, shas = history
    (tmp_path / "repos" / "acme+shop").parent.mkdir()
    shutil.copytree(work, tmp_path / "repos" / "acme+shop")
    poisoned = write_case(tmp_path / SINGLE, shas, **poison(shas))
    shown = repr(public_case(poisoned, tmp_path / "repos"))
    assert not set(poison(shas)) & set(PUBLIC_KEYS)
    assert shas["fix"] not in shown
    assert shas["culprit"] not in shown
    assert SINGLE not in shown.replace(str(tmp_path), "")


def test_a_case_with_bundles_knows_its_deployments_up_to_the_incident_and_its_events_in_order(
    tmp_path: Path, history: tuple[Path, dict[str, str]]
) -> None:
    work, shas = history
    folder = write_case(
        tmp_path / BUNDLED, shas,
        repos=[{"name": "shop", "bundle": "repos/shop.bundle", "incident_sha": shas["buggy"], "mounts": []}],
        pythonpath=["shop/src|shop"], run_env={"CWD": "/app", "SHOP_DB": "/tmp/db"}, release="2026.2",
        incident_time="2026-11-20T10:00:00+00:00",
    )  # fmt: skip
    (folder / "repos").mkdir()
    git(work, "bundle", "create", "-q", str(folder / "repos" / "shop.bundle"), "--all")
    deploys = [
        {"release": "2026.2", "deployed_at": "2026-11-19T10:00:00+00:00", "repos": {"shop": shas["buggy"]}},
        {"release": "2026.3", "deployed_at": "2026-11-21T10:00:00+00:00", "repos": {"shop": shas["fix"]}},
    ]
    (folder / "deploys.json").write_text(json.dumps(deploys))
    (folder / "events").mkdir()
    for name, moment in (("event-1", "2026-11-20T09:59:00Z"), ("noise-1", "2026-11-20T09:00:00Z")):
        body = {**event("2026.2"), "event_id": name.encode().hex(), "timestamp": moment}
        (folder / "events" / f"{name}.json").write_text(json.dumps(body))

    case = public_case(folder, None, every_event=True)

    assert case.repositories[0].source_roots == ("src", ".")
    assert case.env == {"SHOP_DB": "/tmp/db"}
    assert [release.version for release in case.releases] == ["2026.2"]
    assert [json.loads(body)["timestamp"] for body in case.events] == [
        "2026-11-20T09:00:00Z",
        "2026-11-20T09:59:00Z",
    ]
    cut_off(case.repositories[0].source, case.repositories[0].commit, tmp_path / "cut.git")
    assert git(tmp_path / "cut.git", "rev-list", "--all").split() == [
        shas["buggy"],
        shas["culprit"],
        shas["first"],
    ]


def test_a_cut_off_history_holds_no_object_of_a_later_commit(
    tmp_path: Path, history: tuple[Path, dict[str, str]]
) -> None:
    work, shas = history
    cut = tmp_path / "cut.git"
    cut_off(work / ".git", shas["culprit"], cut)
    objects = git(cut, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
    commits = {line.split()[0] for line in objects if " commit " in line}
    assert commits == {shas["first"], shas["culprit"]}
    assert git(cut, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]


def test_a_commit_that_a_history_lacks_is_said_so(
    tmp_path: Path, history: tuple[Path, dict[str, str]]
) -> None:
    with pytest.raises(NotFound):
        cut_off(history[0] / ".git", "0" * 40, tmp_path / "cut.git")
