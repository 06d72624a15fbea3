"""The snippets of the guide for own error handlers, each run as it stands there against a running server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.house import House
from store import queries
from store.event import Event
from tests.journeys.test_ingest_http import secret, serving

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "own-handler.md"
FAIL = "\n\ndef fail():\n    return {'VIP': 0.2}['ann@example.com']\n"
USED = {  # what an application around the snippet does
    "flask": "app.add_url_rule('/checkout', view_func=fail)\napp.test_client().get('/checkout?n=1')\n",
    "fastapi": (
        "app.get('/checkout')(fail)\nfrom starlette.testclient import TestClient\n"
        "TestClient(app, raise_server_exceptions=False).get('/checkout?n=1')\n"
    ),
    "django": (
        "import django\nfrom django.conf import settings\nfrom django.urls import path\n"
        "settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=['*'], SECRET_KEY='x', DATABASES={})\ndjango.setup()\n"
        "urlpatterns = [path('checkout', lambda request: fail())]\nfrom django.test import Client\n"
        "Client(raise_request_exception=False).get('/checkout?n=1')\n"
    ),
    "logging": "try:\n    fail()\nexcept KeyError:\n    logging.getLogger('shop').exception('checkout failed')\n",
    "excepthook": "fail()\n",
}


def snippets() -> dict[str, str]:
    """The blocks of the guide by the first word of their first line."""
    blocks = re.findall(
        r"^```(?:python|javascript)\n(?:#|//) ([\w.]+).*?\n(.*?)^```",
        GUIDE.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return dict(blocks)


def heard(house: House, command: list[str], folder: Path) -> Event:
    """The one event that a program sends."""
    with serving(house) as (host, _):
        told = {
            "NIGHTDESK_URL": f"http://{host}/ingest/default",
            "NIGHTDESK_KEY": secret(house),
            "no_proxy": "127.0.0.1",
        }
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **told}, capture_output=True, text=True, timeout=60
        )
    (incident,) = queries.incidents(house.database) or pytest.fail(done.stderr)
    (seen,) = queries.occurrences(house.database, incident.id)
    event = queries.event(house.database, seen.event_id)
    assert event is not None
    return event


@pytest.mark.parametrize("name", USED)
def test_a_python_snippet_tells_of_a_failure(name: str, house: House, tmp_path: Path) -> None:
    parts = snippets()
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "report.py").write_text(parts["report.py"], encoding="utf-8")
    (folder / "shop.py").write_text(parts[name] + FAIL + USED[name], encoding="utf-8")
    event = heard(house, [sys.executable, "shop.py"], folder)
    raised = event.exceptions[-1]
    assert raised.type == "KeyError"
    assert raised.frames[-1].function == "fail"
    assert "ann@example.com" not in event.model_dump_json()
    if name in ("flask", "fastapi", "django"):
        assert event.request is not None
        assert event.request.url.endswith("/checkout?n=1")


def test_the_snippet_for_express_tells_of_a_failure(house: House, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed here")
    folder = tmp_path / "app"
    folder.mkdir()
    use = (
        "function fail() { return null.price; }\n"
        "try { fail(); } catch (error) { tell(error, {method: 'GET', originalUrl: '/checkout', headers: {}}, {}, () => {}); }\n"
    )
    (folder / "shop.js").write_text(snippets()["express"] + use, encoding="utf-8")
    event = heard(house, [node, "shop.js"], folder)
    assert event.platform == "javascript"
    assert event.exceptions[-1].type == "TypeError"
    assert event.exceptions[-1].frames[-1].function == "fail"
