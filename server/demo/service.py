"""The web application of a world, as it stands after each of its commits."""

from __future__ import annotations

import json
from collections.abc import Set
from importlib.metadata import version

from server.demo.plan import Plan

_APP = '''"""The web application."""

import os

import sentry_sdk
from flask import Flask, abort, jsonify, request
from sentry_sdk.integrations.flask import FlaskIntegration
from werkzeug.exceptions import HTTPException

from {service} import store
{imports}
if "SENTRY_DSN" in os.environ:
    sentry_sdk.init(
        release=os.environ.get("RELEASE"),
        environment=os.environ.get("ENVIRONMENT"),
        auto_enabling_integrations=False,
        integrations=[FlaskIntegration()],
        shutdown_timeout=30,
    )
app = Flask(__name__)


@app.before_request
def remember_account():
    sentry_sdk.set_user({{"id": request.headers.get("X-Account", "nobody")}})


@app.errorhandler(HTTPException)
def turned_down(error):
    """Everything that is turned down is reported: somebody wanted to see it once, and it stayed."""
    if error.code < 500:
        sentry_sdk.capture_exception(error)
    return jsonify(error=error.name), error.code


@app.get("/{plural}")
def listed():
    return jsonify([record["id"] for record in store.records()])
'''
_CREATE = """

@app.post("/{plural}")
def create():
    body = request.get_json()
    if not isinstance(body, dict) or "created" not in body:
        abort(422)
    return jsonify(accepted=True), 202
"""
_VIEW = """

@app.get("/{plural}/<record_id>/{view}")
def {view}(record_id):
    record = store.find(record_id)
    if record is None:
        abort(404)
    return jsonify({view}s.{crash_function}(record))
"""
_STORE = '''"""The records; in this small office a file is enough."""

import json
from pathlib import Path

_FILE = Path(__file__).with_name("records.json")


def records():
    """Every record, oldest first."""
    return json.loads(_FILE.read_text(encoding="utf-8"))


def find(record_id):
    """One record, or None."""
    return next((record for record in records() if record["id"] == record_id), None)
'''
_RUN = '''"""Run the application: `python -m {service}.run`. Prints the port it listens on."""

import signal
import threading

from werkzeug.serving import make_server

from {service}.app import app


def main():
    server = make_server("127.0.0.1", 0, app, threaded=True)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
'''
_WORKER = '''"""Night work: `python -m {service}.worker`. Waits until it is interrupted."""

import signal
import threading

from {service}.app import app


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print("waiting for work in", app.name, flush=True)
    threading.Event().wait(timeout=60)


if __name__ == "__main__":
    main()
'''
_EXPORT = '''"""Everything as lines: `python -m {service}.export`."""

import json

from {service}.app import app
from {service} import store


def main():
    for _ in range(app.config.get("EXPORT_YEARS", 2000)):
        for record in store.records():
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
'''


def service_files(plan: Plan, has: Set[str]) -> dict[str, str]:
    """The service's tree. `has` names the steps of its history that are behind it."""
    name = plan.service
    words = {"service": name, "plural": plan.plural, "view": plan.view, "crash_function": plan.crash_function}
    imports = f"from {name} import {plan.view}s\n" if "view" in has else ""
    app = _APP.format(imports=imports, **words)
    app += _CREATE.format(**words) if "create" in has else ""
    app += _VIEW.format(**words) if "view" in has else ""
    files = {
        "requirements.txt": _requirements(plan, has),
        "README.md": _readme(plan, has),
        "pytest.ini": "[pytest]\ntestpaths = tests\npythonpath = .\n",
        f"{name}/__init__.py": "",
        f"{name}/app.py": app,
        f"{name}/store.py": _STORE,
        f"{name}/run.py": _RUN.format(**words),
        f"{name}/records.json": json.dumps(records(plan, newer="imported" in has), indent=2) + "\n",
        "tests/test_app.py": _app_tests(plan, has),
    }
    if "view" in has:
        files[plan.crash_path] = _view(plan, has)
        files[f"tests/test_{plan.view}s.py"] = _view_tests(plan)
    if "worker" in has:
        files[f"{name}/worker.py"] = _WORKER.format(**words)
    if "export" in has:
        files[f"{name}/export.py"] = _EXPORT.format(**words)
    return files


def records(plan: Plan, *, newer: bool) -> list[dict[str, str | int]]:
    """What is stored: old records have the old field only, newer ones both."""
    samples = plan.field.samples
    old: list[dict[str, str | int]] = [
        {"id": plan.record_id(i), "created": f"202{i}-03-0{i + 1}", plan.field.old: value}
        for i, value in enumerate(samples[:2])
    ]
    both: list[dict[str, str | int]] = [
        {"id": plan.record_id(i), "created": f"2025-0{i}-11", plan.field.old: value, plan.field.new: value}
        for i, value in enumerate(samples[2:], start=2)
    ]
    return [*old, *both] if newer else [*old]


def _view(plan: Plan, has: Set[str]) -> str:
    variable = plan.field.old if "renamed" in has else "value"
    reader = f"{plan.reader_module}.{plan.reader}"
    expression = plan.use.expression.format(v=variable)
    extra = ', "copies": 1' if "copies" in has else ""
    said = f"What stands on the {plan.view} of one {plan.noun}."
    if "spaced" in has:
        answer = f'    return {{\n        "id": {plan.noun}["id"],\n        "{plan.use.key}": shown,\n'
        answer += '        "copies": 1,\n    }\n' if extra else "    }\n"
    else:
        answer = f'    return {{"id": {plan.noun}["id"], "{plan.use.key}": shown{extra}}}\n'
    return (
        f'"""{plan.view.capitalize()}s for {plan.plural}."""\n\n'
        f"from {plan.library} import {plan.reader_module}\n\n\n"
        f'def {plan.crash_function}({plan.noun}):\n    """{said}"""\n'
        f"    {variable} = {reader}({plan.noun})\n    shown = {expression}\n{answer}"
    )


def _view_tests(plan: Plan) -> str:
    sample = plan.field.samples[2]
    record = {"id": plan.record_id(2), plan.field.old: sample, plan.field.new: sample}
    shown = plan.use.expression.format(v=repr(sample))
    return (
        f"from {plan.service}.{plan.view}s import {plan.crash_function}\n\n\n"
        f"def test_{plan.view}():\n    shown = {plan.crash_function}({record!r})\n"
        f'    assert shown["{plan.use.key}"] == {shown}\n'
    )


def _app_tests(plan: Plan, has: Set[str]) -> str:
    text = (
        f"from {plan.service}.app import app\n\n\n"
        f'def test_list():\n    answer = app.test_client().get("/{plan.plural}")\n'
        "    assert answer.status_code == 200\n    assert len(answer.get_json()) >= 2\n"
    )
    if "create" in has:
        text += (
            f"\n\ndef test_create_wants_a_date():\n    client = app.test_client()\n"
            f'    assert client.post("/{plan.plural}", json={{}}).status_code == 422\n'
            f'    assert client.post("/{plan.plural}", json={{"created": "2025-01-01"}}).status_code == 202\n'
        )
    if "view" in has:
        text += (
            f"\n\ndef test_unknown_{plan.view}():\n"
            f'    assert app.test_client().get("/{plan.plural}/none/{plan.view}").status_code == 404\n'
        )
    return text


def _requirements(plan: Plan, has: Set[str]) -> str:
    pins = {name: version(name) for name in ("flask", "sentry-sdk", "pytest")}
    if "bump" not in has:
        pins |= {"flask": "3.0.3", "sentry-sdk": "2.30.0"}
    library = "1.2.0" if "bump" in has else "1.0.0"
    return "".join(f"{name}=={pin}\n" for name, pin in pins.items()) + f"{plan.library}=={library}\n"


def _readme(plan: Plan, has: Set[str]) -> str:
    text = f"# {plan.service}\n\nThe {plan.noun} office, on the web.\n\n"
    text += f"Run it with `python -m {plan.service}.run`.\n"
    return text + (f"\nOld {plan.plural} are kept for ten years.\n" if "docs" in has else "")
