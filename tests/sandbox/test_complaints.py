"""Linter and type checker of the repository: what a patch adds to their complaints is refused, what was there is not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from fixloop.judging.complaints import Complaints, _about_places, new_complaint
from fixloop.judging.judge import Judge
from store.repair import ValidationVerdict
from tests.sandbox.cheats import QUOTES
from tests.sandbox.shop import BAD_LINE, GOOD_LINE, RELEASE, open_court, patch_of

LINTER = (  # a tool as teams have their own: every line with a TODO, the file and the line first
    "import pathlib\n"
    "for path in sorted(pathlib.Path('.').glob('shop/*.py')):\n"
    "    for number, line in enumerate(path.read_text().splitlines(), 1):\n"
    "        if 'TODO' in line or 'price = price_of' in line:\n"
    "            print(f'{path}:{number}:1: X001 {line.strip()}')\n"
)


@pytest.mark.heavy
@pytest.mark.sandbox
@pytest.mark.slow
def test_only_a_new_complaint_refuses_a_patch_and_a_tool_that_is_absent_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RELEASE, "complain.py", LINTER)
    court = open_court(tmp_path)
    bench = court.judge._bench
    layout = bench.layout
    row = replace(layout.repositories[0], lint="python -m complain", types="mypy .")
    judge = Judge(replace(bench, layout=replace(layout, repositories=(row,))), court.trial)
    honest = judge.judge(patch_of((QUOTES, BAD_LINE, GOOD_LINE)))
    assert honest.verdict == ValidationVerdict.PROVEN, honest.said
    assert honest.lint["shop"]["before"]["complaints"] == honest.lint["shop"]["after"]["complaints"] == 1
    assert "not in the application's environment" in honest.types["shop"]["after"]["said"]
    sloppy = judge.judge(patch_of((QUOTES, BAD_LINE, GOOD_LINE.rstrip() + "  # TODO ask\n")))
    assert (sloppy.verdict, sloppy.rule) == (ValidationVerdict.FAILED, "lint")
    assert "TODO ask" in sloppy.said


def test_a_complaint_that_only_moved_is_not_new_and_the_same_once_more_is() -> None:
    before = Complaints(True, "", _counted("a.py:3:1: E501 too long\nFound 1 error.\n"))
    moved = Complaints(True, "", _counted("a.py:9:4: E501 too long\nFound 1 error.\n"))
    twice = Complaints(
        True, "", _counted("a.py:3:1: E501 too long\na.py:7:1: E501 too long\nFound 2 errors.\n")
    )
    assert new_complaint(before, moved) is None
    assert new_complaint(before, twice) == "a.py: E501 too long"
    assert new_complaint(before, Complaints(False, "it did not end")) is None


def test_lines_that_speak_of_no_place_are_no_complaints() -> None:
    text = "Success: no issues found in 3 source files\nAll checks passed!\na.py:1: error: Bad  [x]\n  --> a.py:1:2\n"
    assert _about_places(text) == ["a.py: error: Bad  [x]", "--> a.py"]


def _counted(text: str) -> Counter[str]:
    return Counter(_about_places(text))
