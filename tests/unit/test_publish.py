"""The text of a draft: what broke, cause, fix, what was refuted, proof with its command, risks, roll-back, canary."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fixloop.conclude import proof_of
from fixloop.judging.conduct import of_one_event
from fixloop.judging.constraints import whole
from fixloop.judging.interface import api_changes
from fixloop.publish import body
from store.incident import CodeLocation, Incident
from store.repair import Attempt, Hypothesis, Oracle, Patch, Reproducer, Run, Validation, ValidationVerdict

AT = datetime(2026, 11, 20, tzinfo=UTC)
HOSTILE = "KeyError: 'x' <!-- -->[click](http://203.0.113.9) @team closes #1 \u202e```"


def attempt(**patched: object) -> tuple[Incident, Attempt]:
    place = CodeLocation(
        repo="shop", path="a.py", line=2, function="off", commit="c" * 40, confidence=1.0, method="path"
    )
    incident = Incident(
        id="INC-7", project="p", title=HOSTILE, first_seen=AT, last_seen=AT, event_count=3, user_count=2, location=place,
        environments=("production",),
    )  # fmt: skip
    patch = Patch(
        diffs={"shop": "x", "lib": "y"}, base_commits={}, fixer="model", rationale=HOSTILE, kind="model"
    )
    test = Reproducer(
        repo="shop", framework="pytest", test_path="t.py", source="s", command="pytest", entry="frame",
        oracle=Oracle.PARENT_VALUE, guessed=("order",),
    )  # fmt: skip
    judged = Validation(
        verdict=ValidationVerdict.PROVEN, coverage={"executed": 3, "executable": 4, "missed": ["a.py:9"]},
        neighbours={"tried": 2, "report": [{"input": "1"}]}, runs=(Run(id="1", what="suite", outcome="holds", hash="ab" * 32),),
        lint={"shop": {"after": {"ran": True}}}, api_diff={"changed": ["a.py: f is gone"]}, suite_after={"shop": {"collected": 0}},
    )  # fmt: skip
    refuted = Hypothesis(
        id="M1", statement="it was the clock", status="refuted", shown="its parent fails, too"
    )
    made = Attempt(
        id="A", incident_id="INC-7", started_at=AT, patch=patch, validation=judged, reproducer=test,
        proof=proof_of("INC-7", patch, test, judged, AT), hypotheses=(refuted,),
    ).model_copy(update=patched)  # fmt: skip
    return incident, made


def test_a_suite_that_was_not_run_to_its_end_is_no_whole_suite_in_the_draft() -> None:
    incident, made = attempt()
    assert made.validation is not None
    cut = {"passed": 7, "collected": 9, "complete": False, "said": "the suite did not end within its time"}
    found = made.validation.model_copy(
        update={"suite_before": {"shop": cut}, "suite_after": {"shop": {"passed": 7}}}
    )
    text = body(incident, made.model_copy(update={"validation": found}))
    assert "7 passed, 0 failed (without the patch: the suite did not end within its time)" in text
    ended = found.model_copy(update={"suite_before": {"shop": {**cut, "complete": True}}})
    assert "without the patch" not in body(incident, made.model_copy(update={"validation": ended}))


def test_a_draft_says_all_that_a_reviewer_needs() -> None:
    text = body(*attempt())
    for words in (
        "## What broke", "in production", "## Belongs together", "`nightdesk/INC-7`", "nightdesk proof verify INC-7",
        "| suite | holds | `abababababababab` |", "lines of the patch that ran | 3 of 4", "lint of shop | no new complaint",
        "refuted: it was the clock (its parent fails, too)", "## Risks", "were guessed: order", "f is gone", "a.py:9",
        "not checked, for the repository configures no such command: types, security", "no tests of its own",
        "## Rolling back", "## Canary", "no `KeyError` in `off`", "answers are those of before the change",
    ):  # fmt: skip
        assert words in text, words
    assert (
        "neighbours of the input | tried 2 |" in text
    )  # the differential report itself stays with the proof


def test_nothing_that_others_wrote_acts_in_a_draft() -> None:
    text = body(*attempt())
    for hostile in ("[click]", "@team", "#1", "<!--", "\u202e", "```\n"):
        assert hostile not in text, hostile


@pytest.mark.parametrize(
    "character", ["\u202e", "\u2066", "\u200b", "\u00ad", "\U000e0041", "\u3164", "\ue000"]
)
def test_characters_that_nobody_sees_are_refused_by_name(character: str) -> None:
    refusal = whole(f"--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1\n+x = 1  # {character}\n")
    assert refusal is not None
    assert refusal.rule == "invisible_characters"
    assert (
        whole(f"--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1  # {character}\n+x = 2  # {character}\n") is None
    )


def test_a_value_of_this_event_may_not_be_named_and_others_may() -> None:
    old = {"a.py": "def f(o):\n    return o['sku']\n"}
    fitted = {"a.py": "def f(o):\n    return None if o['sku'] == 'mug-' + '17' else o['sku']\n"}
    refusal = of_one_event(old, fitted, {"mug-17"})
    assert refusal is not None
    assert (refusal.rule, "mug-17" in refusal.said) == ("event_text", True)
    assert of_one_event(old, fitted, {"cup-1"}) is None


def test_the_public_face_has_bases_attributes_and_what_is_given_back() -> None:
    old = {"a.py": "LIMIT = 3\nclass C(Base):\n    size: int = 1\n    @property\n    def p(self): ...\n    def _q(self): ...\n"
           "def f() -> int: ...\ndef _own(): ...\n"}  # fmt: skip
    new = {"a.py": "class C:\n    size: str = ''\n    def p(self): ...\nasync def f() -> int: ...\n"}
    assert api_changes(old, new) == [
        "a.py: LIMIT is gone", "a.py: C(Base) is now C()", "a.py: C.size: int is now C.size: str",
        "a.py: C.p(self) property is now C.p(self)", "a.py: f() -> int is now f() -> int async",
    ]  # fmt: skip
    assert api_changes({"a.py": "def _x(): ...\n__all__ = ['_x']\n"}, {"a.py": "__all__ = []\n"}) == [
        "a.py: _x is gone",
    ]
