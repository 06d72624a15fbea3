"""Predictions beside a change are run: a value, a setting, a schedule. Real git, real sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixloop.investigate.experiments import experiment
from store.repair import Hypothesis, Prediction
from tests.sandbox.histories import History, crash, frame, run_loop
from tests.sandbox.test_fixers import fix_case

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


def test_a_value_is_put_in_and_the_call_is_made_again(tmp_path: Path) -> None:
    before = MAIL.replace('person["name"]', 'person.get("name", "all")')
    line = 'return "Dear " + person["name"]'
    case = fix_case(
        tmp_path, MAIL, before, "app/mail.py", "KeyError", "'name'", "greeting", line, {"person": {"id": "1"}}
    )
    asked = [
        Hypothesis(id="H1", statement="it lacks a name", test=Prediction(kind="value", name="name")),
        Hypothesis(id="H2", statement="it lacks a city", test=Prediction(kind="value", name="city")),
        Hypothesis(id="H3", statement="two at once", test=Prediction(kind="schedule")),
        Hypothesis(id="H4", statement="nothing to run"),
    ]
    modules = frozenset(case.situation.modules)
    found = experiment(asked, case.reproduction, case.bench, modules)
    assert [(one.status, one.shown) for one in found] == [
        ("supported", "with 'name' in the record it gives a value"),
        ("refuted", "with 'city' in the record it fails the same way"),
        ("refuted", "with nothing else running it fails the same way"),
        ("proposed", ""),
    ]


def test_a_setting_that_is_absent_is_set_and_the_call_is_made_again(tmp_path: Path) -> None:
    line = 'return kind + "@" + os.environ["MAIL_DOMAIN"]'
    files = {"app/__init__.py": "", "app/mail.py": MAIL}
    event = crash("KeyError", "'MAIL_DOMAIN'", frame(MAIL, "app/mail.py", "sender", line, kind="'news'"))
    done = run_loop(tmp_path, [History("app", [("Start", "2024-01-01", files)])], event, until="causes")
    found = {one.kind: one for one in done.attempt.hypotheses}["configuration"]
    assert (found.status, found.shown) == (
        "supported",
        "with MAIL_DOMAIN in the environment it gives a value",
    )
