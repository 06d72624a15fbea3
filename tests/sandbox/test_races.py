"""Two requests at once: the schedule that loses is found, forced in the test, and a fix has to hold on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from fixloop.blocks import unified
from fixloop.fixers import FixCase
from fixloop.knowledge import Knowledge, LogLine
from fixloop.running.databases import server_programs
from store.event import Request
from store.repair import Oracle, Patch, ValidationVerdict
from tests.sandbox.histories import History, crash, frame, run_loop

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

MODELS = '''"""Jobs, and who completed them."""

from django.db import models


class Worker(models.Model):
    name = models.CharField(max_length=40)


class Job(models.Model):
    worker = models.ForeignKey(Worker, on_delete=models.CASCADE)
    title = models.CharField(max_length=80)


class Completion(models.Model):
    job = models.ForeignKey(Job, on_delete=models.CASCADE, unique=True)
'''
VIEWS = '''"""What the workers' devices call."""

from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt

from jobs.models import Completion, Job


@csrf_exempt
def complete(request, job):
    """A job is completed once."""
    found = get_object_or_404(Job, pk=job)
    if Completion.objects.filter(job=found).exists():
        return JsonResponse({"error": "completed already"}, status=409)
    Completion.objects.create(job=found)
    return JsonResponse({"job": found.pk}, status=201)
'''
PROJECT = {
    "manage.py": 'import os\n\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")\n',
    "site_settings.py": """SECRET_KEY = "x"
INSTALLED_APPS = ["jobs"]
ROOT_URLCONF = "site_urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/jobs.sqlite3"}}
SILENCED_SYSTEM_CHECKS = ["fields.W342"]
""",
    "site_urls.py": """from django.urls import path

from jobs import views

urlpatterns = [path("jobs/<int:job>/complete", views.complete)]
""",
    "jobs/__init__.py": "",
    "jobs/models.py": MODELS,
    "jobs/migrations/__init__.py": "",
    "jobs/migrations/0001_initial.py": """from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Worker", [
            ("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=40)),
        ]),
        migrations.CreateModel("Job", [
            ("id", models.BigAutoField(primary_key=True)), ("title", models.CharField(max_length=80)),
            ("worker", models.ForeignKey("jobs.Worker", on_delete=models.CASCADE)),
        ]),
        migrations.CreateModel("Completion", [
            ("id", models.BigAutoField(primary_key=True)),
            ("job", models.ForeignKey("jobs.Job", on_delete=models.CASCADE, unique=True)),
        ]),
    ]
""",
    "jobs/views.py": VIEWS,
}
SQLITE = '{"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/jobs.sqlite3"}'
SAID = "UNIQUE constraint failed: jobs_completion.job_id"
CREATE = "    Completion.objects.create(job=found)\n"
ASKED_TWICE = """    if Completion.objects.filter(job=found).exists():
        return JsonResponse({"error": "completed already"}, status=409)
"""
ONE_STATEMENT = """    _, is_new = Completion.objects.get_or_create(job=found)
    if not is_new:
        return JsonResponse({"error": "completed already"}, status=409)
"""
DJANGO = "\n".join(f"{name}=={version(name)}" for name in ("django", "asgiref", "sqlparse"))
ORDERS = '''"""Orders of the day."""

from flask import Flask, jsonify, request

app = Flask(__name__)
TODAY = {}


@app.post("/orders")
def take():
    """Keep an order; give the sum of the day."""
    TODAY[len(TODAY)] = request.get_json()["cents"]
    total = 0
    for cents in TODAY.values():
        total += cents
    return jsonify(total=total)
'''


class Proposed:
    """A fixer that proposes one new text for the view."""

    name = "proposed"

    def __init__(self, new: str) -> None:
        self._new = new

    def propose(self, case: FixCase) -> Sequence[Patch]:
        commit = case.bench.layout.repo("jobs").commit
        diff = unified({"jobs/views.py": VIEWS}, {"jobs/views.py": self._new})
        return [
            Patch(
                diffs={"jobs": diff}, base_commits={"jobs": commit}, files=("jobs/views.py",), fixer=self.name
            )
        ]


def lost(tmp_path: Path, *fixers: Proposed, until: str = "minimise", said: str = SAID, pins: str = DJANGO):  # type: ignore[no-untyped-def]
    """Two completions of the same job have met; the event is of the one that lost."""
    history = History("jobs", [("Jobs are completed once", "2024-01-01", PROJECT)])
    kept = {"request": "<WSGIRequest: POST '/jobs/7/complete'>", "job": "7", "found": "<Job: Job object (7)>"}
    own = frame(VIEWS, "jobs/views.py", "complete", CREATE.strip(), **kept)
    request = Request(method="POST", url="http://jobs.example/jobs/7/complete", headers={"Accept": "*/*"})
    event = crash("IntegrityError", said, own, request=request)
    return run_loop(tmp_path, [history], event, requirements=pins, fixers=fixers, until=until).attempt


@pytest.mark.heavy
def test_two_completions_of_one_job_become_a_test_that_forces_their_schedule(tmp_path: Path) -> None:
    written = lost(tmp_path).reproducer
    assert written is not None
    assert (written.entry, written.failures, written.same_failure) == ("http", written.runs, True)
    assert 'Job.objects.create(id=7, worker=worker, title="x")' in written.source
    assert 'before="Completion.objects.create(job=found)"' in written.source
    assert written.oracle == Oracle.INVARIANT
    assert "assert status == 409, body" in written.source
    assert "explored" in written.controls["schedule"]


@pytest.mark.heavy
def test_on_postgresql_the_schedule_is_found_as_well_in_a_server_of_the_sandbox_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if server_programs() is None:
        pytest.skip(
            "there is no PostgreSQL server on this machine, neither a package nor the wheel of the tests"
        )
    named = (
        '{"ENGINE": "django.db.backends.postgresql", "NAME": "jobs", "USER": "worker", "HOST": "db.local"}'
    )
    settings = PROJECT["site_settings.py"].replace(SQLITE, named)
    assert settings != PROJECT["site_settings.py"]
    monkeypatch.setitem(PROJECT, "site_settings.py", settings)
    said = 'duplicate key value violates unique constraint "jobs_completion_job_id_key"\nDETAIL:  Key (job_id)=(7) already exists.'
    pins = "\n".join(
        f"{name}=={version(name)}" for name in ("psycopg", "psycopg-binary", "typing_extensions")
    )
    written = lost(tmp_path, said=said, pins=f"{DJANGO}\n{pins}").reproducer
    assert written is not None
    assert (written.entry, written.failures, written.oracle) == ("http", written.runs, Oracle.INVARIANT)
    assert 'before="Completion.objects.create(job=found)"' in written.source


@pytest.mark.heavy
def test_a_fix_of_a_race_holds_on_every_schedule_and_one_that_asks_twice_does_not(tmp_path: Path) -> None:
    asks_twice = VIEWS.replace(CREATE, ASKED_TWICE + CREATE)
    refused = lost(tmp_path / "twice", Proposed(asks_twice), until="repair")
    assert refused.patch is None
    assert [str(judged.verdict) for _, judged in refused.rejected] == ["failed"]
    one = VIEWS.replace(ASKED_TWICE, "").replace(CREATE, ONE_STATEMENT)
    proven = lost(tmp_path / "one", Proposed(one), until="repair")
    assert proven.validation is not None, proven.rejected
    assert proven.validation.verdict == ValidationVerdict.PROVEN, proven.validation.said


@pytest.mark.heavy
def test_a_mapping_that_changes_while_another_request_walks_it_is_forced_by_the_test(tmp_path: Path) -> None:
    history = History("app", [("Start", "2024-01-01", {"app/__init__.py": "", "app/web.py": ORDERS})])
    own = frame(ORDERS, "app/web.py", "take", "for cents in TODAY.values():", total="3")
    request = Request(
        method="POST", url="http://app.example/orders", headers={"Content-Type": "application/json"},
        data={"cents": 3},
    )  # fmt: skip
    event = crash("RuntimeError", "dictionary changed size during iteration", own, request=request)
    attempt = run_loop(tmp_path, [history], event, requirements=f"flask=={version('flask')}").attempt
    assert attempt.reproducer is not None, attempt.said
    assert attempt.reproducer.failures == attempt.reproducer.runs
    assert 'before="total += cents"' in attempt.reproducer.source
    assert attempt.reproducer.oracle == Oracle.INVARIANT


SEATS = '''"""Seats of a show."""

import asyncio

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

FREE = ["A1"]


async def paid(request):
    body = await request.json()
    await asyncio.sleep(0)
    return body["paid"]


async def book(request):
    if not FREE:
        return JSONResponse({"error": "sold out"}, status_code=409)
    if not await paid(request):
        return JSONResponse({"error": "not paid"}, status_code=402)
    return JSONResponse({"seat": FREE.pop()})


app = Starlette(routes=[Route("/seats", book, methods=["POST"])])
'''


@pytest.mark.parametrize("told_by", ["two events", pytest.param("an access log", marks=pytest.mark.heavy)])
def test_tasks_of_one_loop_meet_where_one_of_them_awaits(tmp_path: Path, told_by: str) -> None:
    history = History("app", [("Start", "2024-01-01", {"app/__init__.py": "", "app/web.py": SEATS})])
    own = frame(SEATS, "app/web.py", "book", 'return JSONResponse({"seat": FREE.pop()})', request="<Request>")
    request = Request(
        method="POST", url="http://app.example/seats", headers={"Content-Type": "application/json"},
        data={"paid": True},
    )  # fmt: skip
    event = crash("IndexError", "pop from empty list", own, request=request)
    events = [event, event.model_copy(update={"event_id": "f" * 32})][: 2 if told_by == "two events" else 1]
    lines = tuple(
        LogLine(f"L{n}", event.timestamp, "access.log", f'{n}.0.0.1 - - [10/Jun/2024:00:00:00 +0000] "POST /seats HTTP/1.1" {status} 17')
        for n, status in enumerate((200, 500))
    )  # fmt: skip
    knowledge = Knowledge(lines=lines if told_by == "an access log" else ())
    pins = "\n".join(
        f"{name}=={version(name)}" for name in ("starlette", "anyio", "idna", "typing_extensions")
    )
    attempt = run_loop(tmp_path, [history], *events, requirements=pins, knowledge=knowledge).attempt
    assert attempt.reproducer is not None, attempt.said
    assert attempt.reproducer.failures == attempt.reproducer.runs
    held = 'together(call_once, call_once, at="if not await paid(request):")'
    assert held in attempt.reproducer.source
    assert "assert status == 409, body" in attempt.reproducer.source
