"""A new operator's first days, as typed: install, first event, first incident, backup, restore, upgrade; and a pipeline that
fetches an incident, lands its test and is stopped by the gate. From the wheel, over real doors."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from alembic.script import ScriptDirectory

from server.house import House
from store import migrations
from store.database import Database
from store.sqlite import Sqlite
from tests.journeys import test_ingest_http as wire
from tests.journeys.test_api import bearer
from tests.journeys.test_packaging import installed, pins, run, wheel  # noqa: F401 - fixtures
from tests.sandbox import shop

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds for the first line of a server
SENDER = """
import sentry_sdk, sys

def quote(order):
    return order["carrier"]

sentry_sdk.init(dsn=sys.argv[1], release="2026.11.1", environment="production")
try:
    quote({"id": 7})
except KeyError as error:
    sentry_sdk.capture_exception(error)
sentry_sdk.flush(timeout=30)
"""

pytestmark = pytest.mark.heavy


@contextmanager
def served(nightdesk: Path, data: Path, environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """The DSN of a server on that folder, which ends as an operator ends it."""
    command = [str(nightdesk), "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=data.parent, env=environ) as server:
        try:
            assert server.stdout is not None
            with selectors.DefaultSelector() as ready:
                ready.register(server.stdout, selectors.EVENT_READ)
                assert ready.select(PATIENCE), "the server says nothing"
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found
            yield found.group()
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=PATIENCE) in (0, -signal.SIGTERM)


def of_the_previous_revision(new: Path, old: Path) -> tuple[str, str]:
    """A data folder with everything that `new` has, as the schema before the newest one kept it; both revisions."""
    scripts = ScriptDirectory(str(migrations.FOLDER))
    head = scripts.get_current_head()
    before = scripts.get_revision(head).down_revision if head else None
    assert head
    assert isinstance(before, str)
    old.mkdir()
    (old / "redaction.key").write_bytes((new / "redaction.key").read_bytes())
    database = Database(Sqlite(old / "nightdesk.sqlite"))
    with database._writer.connect() as connection, connection.begin():
        migrations.upgrade(connection, revision=before)
    database.close()
    with closing(sqlite3.connect(old / "nightdesk.sqlite")) as there:
        there.execute("PRAGMA foreign_keys=OFF")
        there.execute("ATTACH DATABASE ? AS newer", (str(new / "nightdesk.sqlite"),))
        tables = [
            name for (name,) in there.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            if table == "alembic_version" or table.startswith(("sqlite_", "incident_words")):
                continue
            known = [column[1] for column in there.execute(f"PRAGMA main.table_info({table})")]
            kept = [column[1] for column in there.execute(f"PRAGMA newer.table_info({table})")]
            names = ", ".join(f'"{name}"' for name in known if name in kept)
            there.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM newer.{table}")  # noqa: S608
        there.commit()
    return before, head


def test_install_first_event_first_incident_backup_restore_and_upgrade(
    installed: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    nightdesk, python, data = installed / "nightdesk", installed / "python", tmp_path / "data"

    def typed(*words: str, folder: Path = data) -> Any:
        return json.loads(run(nightdesk, *words, "--json", "--data", folder, cwd=tmp_path))

    parts = {check["part"]: check["state"] for check in typed("doctor") if check["state"] != "setting"}
    assert parts["database"] == "ok"
    assert typed("incidents") == []

    with served(nightdesk, data) as dsn:
        run(python, "-c", SENDER, dsn, cwd=tmp_path)
        saved = tmp_path / "backup.tar"
        run(nightdesk, "backup", saved, "--data", data, cwd=tmp_path)  # while it is in use
    run(nightdesk, "worker", "--until-idle", "--data", data, cwd=tmp_path)

    (incident,) = typed("incidents")
    assert incident["title"].startswith("KeyError: 'carrier'")
    shown = typed("show", "INC-1")
    assert (shown["event_count"], shown["releases"]) == (1, ["2026.11.1"])
    assert shown["times"]["triaged"] is not None
    figures = typed("metrics")
    assert (figures["events"], figures["product"]["stages"][0]["incidents"]) == (1, 1)

    restored = tmp_path / "restored"
    run(nightdesk, "restore", saved, "--data", restored, cwd=tmp_path)
    run(nightdesk, "worker", "--until-idle", "--data", restored, cwd=tmp_path)
    (again,) = typed("incidents", folder=restored)
    assert (again["id"], again["title"]) == (incident["id"], incident["title"])

    old = tmp_path / "old"
    before, head = of_the_previous_revision(data, old)
    assert json.loads(run(nightdesk, "migrate", "--check", "--json", "--data", old, cwd=tmp_path, expect=3)) == {
        "current": before, "target": head, "due": True, "backup": None,
    }  # fmt: skip
    done = typed("migrate", folder=old)
    assert (done["current"], done["target"], done["due"]) == (before, head, False)
    assert Path(done["backup"]).is_file()
    (after,) = typed("incidents", folder=old)
    assert (after["id"], after["title"], after["event_count"]) == ("INC-1", incident["title"], 1)
    assert typed("show", "INC-1", folder=old)["watches"] == []
    with served(nightdesk, old) as dsn:
        run(python, "-c", SENDER, dsn, cwd=tmp_path)
    assert typed("show", "INC-1", folder=old)["event_count"] == 2


def steps(name: str) -> dict[str, str]:
    """The scripts of a pipeline by the names of their steps."""
    path = REPOSITORY / "clients" / "ci" / "github" / name
    (job,) = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    return {step["name"]: step["run"] for step in job["steps"] if "run" in step}


def script(text: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a runner does."""
    programs = Path(sys.executable).parent
    env = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": os.devnull,
        **environ,
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text], cwd=folder, env=env, capture_output=True,
        text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.sandbox
def test_a_pipeline_lands_the_test_of_an_incident_and_the_gate_wants_it_fixed(
    house: House, tmp_path: Path
) -> None:
    if not house.sandbox.self_test().ok:
        pytest.skip(house.sandbox.self_test().said)
    shop.make_repository(tmp_path / "origin")
    checkout = tmp_path / "checkout"
    shop.git(tmp_path, "clone", "-q", str(tmp_path / "origin"), str(checkout))
    crash = shop.crash().model_copy(update={"project": "default"})
    house.receive([crash])
    pipeline = steps("nightdesk-incident.yml")
    with wire.serving(house) as (host, _):
        environ = {
            "INCIDENT": "INC-1", "NIGHTDESK_URL": f"http://{host}", "NIGHTDESK_DATA": str(tmp_path / "runner"),
            "NIGHTDESK_TOKEN": bearer(house)["Authorization"].removeprefix("Bearer "),
            "GITHUB_REPOSITORY": "team/shop", "GITHUB_WORKSPACE": str(checkout), "RUNNER_TEMP": str(tmp_path),
        }  # fmt: skip
        for name, text in pipeline.items():
            if name != "Install":
                done = script(text, checkout, **environ)
                assert done.returncode == 0, (name, done.stdout, done.stderr)
        hostile = script(
            pipeline["Fetch the incident"], checkout, **{**environ, "INCIDENT": "INC-1; touch evil"}
        )
    assert hostile.returncode != 0
    assert not (checkout / "evil").exists()
    branch = "nightdesk/INC-1"
    assert shop.git(tmp_path / "origin", "log", "--format=%s", f"main..{branch}") == "INC-1: the failing test"
    assert shop.git(tmp_path / "origin", "diff", "--name-only", f"main...{branch}") == "tests/test_inc_1.py"

    shop.git(checkout, "checkout", "-q", branch)
    base = shop.git(checkout, "rev-parse", "HEAD")
    assert gated(checkout, base) == (3, "it fails")
    quotes = checkout / "shop" / "quotes.py"
    quotes.write_text(quotes.read_text("utf-8").replace(shop.BAD_LINE, shop.GOOD_LINE), encoding="utf-8")
    assert gated(checkout, base) == (0, None)


def gated(checkout: Path, base: str) -> tuple[int, str | None]:
    """What the gate's pipeline ends with, and why its one incident test blocks."""
    report = checkout / "results.xml"
    tests = f"{sys.executable} -m pytest -p no:cacheprovider --junitxml={report} || true"
    ran = script(tests, checkout, PYTHONPATH=str(checkout), PYTHONDONTWRITEBYTECODE="1")
    assert report.is_file(), ran.stdout
    ask = steps("nightdesk-gate.yml")["Ask the gate"].replace("uv tool install nightdesk\n", "")
    done = script(f"{ask.strip()} --json", checkout, BASE=base)
    (one,) = json.loads(done.stdout)["tests"]
    return done.returncode, one["why"]
