"""Entries without a sandbox: jobs and commands out of an event, what was in an upload, rows, schedules, the clock."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fixloop.contract import filled_once
from fixloop.judging.neighbours import neighbours
from fixloop.reproduce import write
from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.clock import reads_clock, stopped
from fixloop.reproduce.commands import command_recipes
from fixloop.reproduce.frames import OwnFrame
from fixloop.reproduce.jobs import as_job, job_recipes
from fixloop.reproduce.lines import NOTHING
from fixloop.reproduce.races import schedules, suspected, suspensions
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.requests import find_applications, request_recipes
from fixloop.reproduce.rows import with_rows
from fixloop.reproduce.styles import Style
from fixloop.reproduce.uploads import contents, file_name
from fixloop.reproduce.write import call_source
from store.event import Event, ExceptionValue, Frame, Request
from store.incident import CodeLocation

TASKS = """from work import app


@app.task(bind=True)
def charge(self, order, currency="EUR"):
    return order["cents"]


async def greet(ctx, name):
    return name.upper()


def main(argv=None):
    return charge(argv)
"""
CLI = """import click


@click.group()
def tool():
    pass


@tool.command()
@click.argument("path")
def load(path):
    return open(path).read()
"""
MOMENT = datetime(2026, 11, 20, 11, 47, 36, 617947, tzinfo=UTC)
ERROR = ExceptionValue(type="KeyError", value="'cents'")


def own(text: str, module: str, function: str, line: int = 6, **kept: object) -> OwnFrame:
    path = module.replace(".", "/") + ".py"
    place = CodeLocation(
        repo="app", path=path, line=line, function=function, commit="c" * 40, confidence=1.0, method="x"
    )
    return OwnFrame(Frame(function=function, lineno=line, vars=dict(kept)), place, module, text)


def event(**about: object) -> Event:
    kept = {"exceptions": (ERROR,), **about}
    return Event(
        event_id="e" * 32, project="p", received_at=MOMENT, timestamp=MOMENT, platform="python", **kept
    )


def catalogue(**texts: str) -> Catalogue:
    return Catalogue(lambda: {name.replace("__", "."): text for name, text in texts.items()})


def the_job(**about: object) -> Recipe:
    frames = [own(TASKS, "app.tasks", "charge")]
    found = list(job_recipes(event(**about), frames, catalogue(app__tasks=TASKS), None))
    assert len(found) == 1
    assert found[0].entry == "job"
    return found[0]


def test_a_celery_task_is_applied_with_the_arguments_of_its_message() -> None:
    job = {"task_name": "app.tasks.charge", "args": [{"cents": 3}], "kwargs": {"currency": "USD"}}
    source = call_source(the_job(extra={"celery-job": job}))
    assert "charge.apply(args=[{'cents': 3}], kwargs={'currency': 'USD'}, throw=True).result" in source


def test_an_rq_job_is_a_plain_call_and_an_arq_job_gets_a_context() -> None:
    rq = {"func": "app.tasks.main", "args": [["a"]], "kwargs": {}}
    assert "return main(['a'])" in call_source(the_job(extra={"rq-job": rq}))
    arq = {"task": "greet", "args": ["Ada"], "kwargs": {}}
    assert "asyncio.run(greet({}, 'Ada'))" in call_source(the_job(extra={"arq-job": arq}))
    actor = {"type": "dramatiq", "data": {"actor_name": "main", "args": [["b"]], "kwargs": {}}}
    assert "return main(['b'])" in call_source(the_job(contexts={"dramatiq": actor}))


def test_values_that_json_has_no_word_for_are_made_again_and_hostile_ones_stay_text() -> None:
    words = [
        "datetime.datetime(2026, 1, 2, 3, 4)",
        "Decimal('1.5')",
        "__import__('os').system('x')",
        "Decimal(open('/x'))",
    ]
    source = call_source(the_job(extra={"rq-job": {"func": "app.tasks.main", "args": words, "kwargs": {}}}))
    assert "main(datetime.datetime(2026, 1, 2, 3, 4), decimal.Decimal('1.5')," in source
    assert "\"__import__('os').system('x')\"" in source
    assert "\"Decimal(open('/x'))\"" in source


def test_a_job_whose_arguments_were_taken_out_makes_no_call_and_a_part_of_them_is_named() -> None:
    frames, code = [own(TASKS, "app.tasks", "charge")], catalogue(app__tasks=TASKS)
    hidden = {"task_name": "app.tasks.charge", "args": "[Filtered]", "kwargs": "[Filtered]"}
    assert list(job_recipes(event(extra={"celery-job": hidden}), frames, code, None)) == []
    part = {"task_name": "app.tasks.charge", "args": [{"card": "[Filtered]"}], "kwargs": {}}
    assert the_job(extra={"celery-job": part}).redacted == ("job.args.0.card",)


def test_a_call_with_a_payload_of_the_events_own_context_is_a_job() -> None:
    target = {"module": "app.tasks", "qualname": "charge", "receiver": None, "wrap": None}
    payload = {"parcel": "P1", "to": {"id": 7}}
    call = Recipe(entry="frame", repo="app", target=target, inputs={"args": [payload], "kwargs": {}})
    assert as_job(call, event(contexts={"job": {"id": 8, "payload": payload}})).entry == "job"
    assert as_job(call, event(contexts={"trace": {"payload": payload}})).entry == "frame"


def commands(
    argv: list[str], frames: list[OwnFrame], *, vars: object = None, **about: object
) -> list[Recipe]:
    error = ERROR.model_copy(update={"frames": (Frame(function="main", vars=vars or {}),)})
    sent = event(extra={"sys.argv": argv}, exceptions=(error,), **about)
    return list(command_recipes(sent, frames, catalogue(app__tasks=TASKS, app__cli=CLI)))


def test_a_command_is_called_with_its_words_by_argument_or_as_the_shell_does() -> None:
    (found,) = commands(["/usr/bin/tool", "--since", "1"], [own(TASKS, "app.tasks", "main", 14)])
    assert "run(main, '--since', '1')" in call_source(found)
    assert "main(list(words))" in call_source(found)


def test_a_click_command_is_invoked_through_its_outermost_group() -> None:
    shown = {"self": "<Group tool>"}
    (found,) = commands(["/usr/bin/tool", "load", "x"], [own(CLI, "app.cli", "load", 12)], vars=shown)
    assert "CliRunner().invoke(tool, ['load', 'x'], catch_exceptions=False).exit_code" in call_source(found)


def test_a_file_that_a_command_names_has_what_a_frame_shows() -> None:
    shown = {"self": "<Group tool>", "line": "b'a;b\\nc'"}
    found = commands(["tool", "load", "/srv/in.csv"], [own(CLI, "app.cli", "load", 12)], vars=shown)
    source = call_source(found[0])
    assert "(folder / 'in.csv').write_bytes(b'a;b\\nc')" in source
    assert "['load', str(folder / 'in.csv')]" in source
    assert found[0].guessed
    assert not found[1].guessed


@pytest.mark.parametrize("argv", [["manage.py", "runserver"], ["/usr/bin/uvicorn", "app:app"], []])
def test_a_server_is_no_command(argv: list[str]) -> None:
    assert commands(argv, [own(TASKS, "app.tasks", "main", 14)]) == []


def test_bytes_of_the_size_that_the_frames_speak_of_come_first() -> None:
    inner = Frame(function="decode", vars={"input": "b'abc\\n'", "other": "b'abcdefgh'"})
    outer = Frame(function="take", vars={"file": "UploadFile(filename='x.csv', size=8)"})
    sent = event(exceptions=(ERROR.model_copy(update={"frames": (outer, inner)}),))
    assert contents(sent) == [b"abcdefgh", b"abc\n"]
    assert file_name(sent) == "x.csv"


def test_frameworks_that_share_a_name_are_told_apart_by_their_imports() -> None:
    texts = {
        "a": ("app", "from aiohttp import web\n\napp = web.Application()\n"),
        "b": ("app", "import tornado.web\n\n\ndef make():\n    return tornado.web.Application([])\n"),
        "c": ("app", "from shop import Application\n\napp = Application()\n"),
    }
    found = {app.module: (app.framework, app.factory) for app in find_applications(texts, event(), [], {})}
    assert found == {"a": ("aiohttp", False), "b": ("tornado", True)}


def test_an_application_that_the_team_s_own_function_or_class_makes_is_found_where_it_is_made() -> None:
    texts = {
        "shop": ("app", "from flask import Flask\n\ndef create_app(config):\n    return Flask(__name__)\n"),
        "wsgi": ("app", "from shop import create_app\n\napplication = create_app('production')\n"),
        "web": ("app", "import fastapi\n\nclass Shop(fastapi.FastAPI):\n    pass\n\nsite = Shop()\n"),
    }
    found = {(app.module, app.attribute, app.factory) for app in find_applications(texts, event(), [], {})}
    assert found == {("wsgi", "application", False), ("web", "site", False)}


def test_a_request_method_that_is_no_word_never_gets_into_the_test() -> None:
    request = Request(
        method="get(); import os #", url="http://x/", headers={"Content-Type": "application/json"}, data="{}"
    )
    texts = {"a": ("app", "from flask import Flask\n\napp = Flask(__name__)\n")}
    sent = event(request=request)
    (recipe,) = request_recipes(find_applications(texts, sent, [], {})[0], sent, lambda: True)
    assert recipe.inputs["method"] == "GET"
    assert recipe.inputs["json"] == {}


# --- rows, schedules, the clock -----------------------------------------------------------------------------------

POST = Recipe(
    entry="http", repo="app", target={"framework": "django", "module": "", "attribute": "", "settings": "site"},
    inputs={"method": "POST", "path": "/jobs/7", "json": {"a": 1}},
)  # fmt: skip


def test_rows_are_made_of_the_teams_own_models_only_and_once() -> None:
    room = {"model": "bookings.models.Room", "name": "room", "fields": {"slug": "elm"}}
    found = with_rows(POST, json.dumps([room]), lambda name: name == "bookings.models.Room")
    assert found is not None
    assert "Room.objects.create(slug='elm')" in call_source(found)
    assert found.guessed == ("rows: a Room that was looked up, with what it cannot do without",)
    assert with_rows(found, json.dumps([room]), lambda name: True) is None
    assert with_rows(POST, json.dumps([room]), lambda name: False) is None


@pytest.mark.parametrize("told", [
    None, "", "[", "{}", '[{"model": "os.system", "name": "x", "fields": {}}]',
    '[{"model": "a.B", "name": "x y", "fields": {}}]', '[{"model": "a.B", "name": "x", "fields": {"a b": 1}}]',
    '[{"model": "a.B", "name": "x", "fields": {"a": {"$repr": "open(1)"}}}]',
])  # fmt: skip
def test_what_a_run_tells_of_rows_is_not_trusted(told: str | None) -> None:
    assert with_rows(POST, told, lambda name: True) is None


def test_a_race_is_suspected_by_the_kind_of_failure_or_by_events_that_lie_together() -> None:
    lone = event()
    assert not suspected(lone, [lone])
    close = event().model_copy(update={"event_id": "f" * 32, "timestamp": MOMENT + timedelta(milliseconds=7)})
    assert suspected(lone, [lone, close])
    for kind, said in (("IntegrityError", "x"), ("RuntimeError", "dictionary changed size during iteration")):
        error = ExceptionValue(type=kind, value=said)
        assert suspected(event(exceptions=(error,)), [])


def test_schedules_begin_where_the_trace_stood_and_name_each_line_once() -> None:
    frame = own(TASKS, "app.tasks", "charge", 6)
    found = schedules([frame], {"/src/app/app/tasks.py": [1, 6, 10, 14]}, {"/src/app/app/tasks.py": TASKS})
    assert found == ['return order["cents"]', "return charge(argv)"]


def test_an_asynchronous_function_is_left_only_where_it_awaits() -> None:
    text = "async def sell(seat):\n    free = seat\n    await pay()\n    return free.pop()\n"
    frame, lines = own(text, "app.seats", "sell", 4), {"/src/app/app/seats.py": [2, 3, 4]}
    assert schedules([frame], lines, {"/src/app/app/seats.py": text}) == []
    assert suspensions([frame], lines, {"/src/app/app/seats.py": text}) == ["await pay()"]


def test_calls_at_once_each_have_a_client_and_every_explored_schedule_is_a_neighbour() -> None:
    twice = POST.model_copy(update={"schedule": {"before": "x = 1", "lines": 3}})
    source = write.test_source(
        twice, "test_inc_1", "INC-1.", {"$tuple": [409, ""]}, True, None, Style(), NOTHING
    )
    assert 'worse(interleaved(call_once, call_once, before="x = 1"))' in source
    assert "assert status == 409, body" in source
    compile(source, "test_inc_1.py", "exec")
    explored = [one.schedule["before"] for one in neighbours(twice)[:3] if one.schedule]
    assert explored == [1, 2, 3]
    assert all(one.schedule == twice.schedule for one in neighbours(twice)[3:])


def test_a_stopped_clock_holds_for_all_of_the_test() -> None:
    late = stopped(POST, MOMENT)
    source = write.test_source(late, "test_inc_1", "INC-1.", None, False, None, Style(), NOTHING)
    assert '    with time_machine.travel("2026-11-20T11:47:36+00:00", tick=False):\n' in source
    compile(source, "test_inc_1.py", "exec")
    assert late.preload[0] == "time_machine"
    assert reads_clock(["start = timezone.now()"])
    assert not reads_clock(["know = nowhere"])


def test_a_key_is_put_into_one_mapping_at_a_time() -> None:
    inputs = {"method": "POST", "headers": {}, "json": {"a": {"b": [{}, {"k": 1}]}}}
    found = [one["json"] for one in filled_once(inputs, "k", 0)]
    assert found == [
        {"a": {"b": [{}, {"k": 1}]}, "k": 0},
        {"a": {"b": [{}, {"k": 1}], "k": 0}},
        {"a": {"b": [{"k": 0}, {"k": 1}]}},
    ]


def test_where_tests_are_run_by_unittest_it_finds_the_method_too(tmp_path: Path) -> None:
    target = {"module": "math", "qualname": "sqrt", "receiver": None, "wrap": None}
    call = Recipe(entry="frame", repo="app", target=target, inputs={"args": [-1], "kwargs": {}})
    source = write.test_source(
        call,
        "test_inc_1",
        "INC-1.",
        {"$raises": "builtins.ValueError"},
        True,
        None,
        Style("unittest"),
        NOTHING,
    )
    assert "with self.assertRaises(ValueError):" in source
    (tmp_path / "test_inc_1.py").write_text(source)
    command = [sys.executable, "-m", "unittest", "test_inc_1.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "Ran 1 test" in done.stderr
    assert done.returncode == 0
