"""Predictions beside a change are run: a value, a setting, a schedule. Real git, real sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.repair import Hypothesis
from tests.sandbox.histories import History, crash, frame, run_loop

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

MAIL = '''"""Mail."""

import os


def greeting(person):
    """How a mail begins."""
    return "Dear " + person["name"]


def sender(kind):
    """Who it is from."""
    return kind + "@" + os.environ["MAIL_DOMAIN"]
'''


def said(folder: Path, message: str, function: str, line: str, **kept: object) -> dict[str, Hypothesis]:
    """The hypotheses of such a crash, by kind."""
    files = {"app/__init__.py": "", "app/mail.py": MAIL}
    event = crash("KeyError", message, frame(MAIL, "app/mail.py", function, line, **kept))
    done = run_loop(folder, [History("app", [("Start", "2024-01-01", files)])], event, until="causes")
    return {one.kind: one for one in done.attempt.hypotheses}


def test_a_field_that_a_record_lacks_is_put_in_and_the_call_is_made_again(tmp_path: Path) -> None:
    found = said(tmp_path, "'name'", "greeting", 'return "Dear " + person["name"]', person={"id": "1"})
    assert found["missing_shape"].status == "supported"
    assert "with 'name' in the record it gives a value" in found["missing_shape"].shown


def test_a_setting_that_is_absent_is_set_and_the_call_is_made_again(tmp_path: Path) -> None:
    line = 'return kind + "@" + os.environ["MAIL_DOMAIN"]'
    found = said(tmp_path, "'MAIL_DOMAIN'", "sender", line, kind="'news'")
    assert found["configuration"].status == "supported"
    assert "with MAIL_DOMAIN in the environment it gives a value" in found["configuration"].shown
    assert found["missing_shape"].status == "refuted"
