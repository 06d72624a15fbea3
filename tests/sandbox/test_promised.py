"""Bugs that came with their feature: no parent says what is right, but the code beside the failing line may. Real git,
real sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.repair import Ended, Oracle
from tests.sandbox.histories import History, Outcome, crash, frame, run_loop

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

TABLE = '''"""Tables of text."""


def as_text(value):
    """A cell."""
    return str(value)


def table(heads, rows):
    """The lines of a table."""
    widths = []
    for i in range(len(heads)):
        widths.append(max(len(as_text(heads[i])), *[len(row[i]) for row in rows]))
    return " | ".join(head.center(widths[i]) for i, head in enumerate(heads))
'''
GUARD = '''"""Two figures of a list."""


def first(values):
    """The first one."""
    return values[0] if values else 0


def ends(values):
    """The first and the last."""
    return [values[0], values[-1]]
'''


def repaired(folder: Path, text: str, path: str, *event: object) -> Outcome:
    """The loop on a repository in which the code has always been as it is."""
    kind, message, function, line, held = event
    start = {"app/__init__.py": "", path: text}
    history = History("app", [("Start", "2024-01-01", start), ("Notes", "2024-02-01", {"notes.md": "x\n"})])
    happened = crash(str(kind), str(message), frame(text, path, str(function), str(line), **held))  # type: ignore[arg-type]
    return run_loop(folder, [history], happened, until="repair")


def of_table(folder: Path, text: str) -> Outcome:
    return repaired(
        folder, text, "app/tables.py", "AttributeError", "'NoneType' object has no attribute 'center'", "table",
        'return " | ".join(head.center(widths[i]) for i, head in enumerate(heads))',
        {"heads": ["'name'", "None"], "rows": [["'a'", "'b'"]], "widths": ["4", "4"]},
    )  # fmt: skip


def test_what_the_same_function_does_with_the_value_elsewhere_is_asserted_and_proven(tmp_path: Path) -> None:
    attempt = of_table(tmp_path, TABLE).attempt
    assert attempt.reproducer is not None
    assert attempt.reproducer.oracle is Oracle.SIBLING_CONTRACT, attempt.said
    assert 'None"\n' in attempt.reproducer.source
    assert attempt.ended is Ended.PROVEN, attempt.said
    assert attempt.patch is not None
    assert "as_text(head).center(widths[i])" in attempt.patch.diffs["app"]
    times = attempt.steps[-1].details
    assert 0 < times["proven_on_affected"] <= sum(step.took for step in attempt.steps)
    assert times["whole_suites"] >= 0


def test_one_sibling_alone_is_no_promise_and_its_fix_is_weak(tmp_path: Path) -> None:
    attempt = repaired(
        tmp_path, GUARD, "app/figures.py", "IndexError", "list index out of range", "ends",
        "return [values[0], values[-1]]", {"values": "[]"},
    ).attempt  # fmt: skip
    assert attempt.reproducer is not None
    assert attempt.reproducer.oracle is Oracle.NO_CRASH
    assert attempt.ended is Ended.NEEDS_DECISION, attempt.said


OPTIONS = '''"""Words of a command line, out of options."""


def word(options, flag, name):
    """A flag with its value."""
    return [flag, str(options[name])] if name in options else []


def switch(options, flag, name, wanted=True):
    """A flag without a value."""
    return [flag] if options.get(name) == wanted else []


def choice(options, flag, name):
    """A flag with a value in small letters."""
    value = options.get(name)
    return [flag, value.lower()]


def colour(options, flag, name):
    """A flag with the name of a colour."""
    value = options.get(name)
    if value is None:
        return []
    return [flag, "colour", value]
'''


def of_choice(folder: Path, text: str) -> Outcome:
    return repaired(
        folder, text, "app/options.py", "AttributeError", "'NoneType' object has no attribute 'lower'", "choice",
        "return [flag, value.lower()]",
        {"options": {"size": "'L'"}, "flag": "'--cut'", "name": "'cut'", "value": "None"},
    )  # fmt: skip


def test_siblings_that_give_one_answer_for_the_same_input_promise_it(tmp_path: Path) -> None:
    attempt = of_choice(tmp_path, OPTIONS).attempt
    assert attempt.reproducer is not None
    assert attempt.reproducer.oracle is Oracle.SIBLING_CONTRACT, (attempt.said, attempt.rejected)
    assert "give the same for the same input" in attempt.reproducer.source
    assert attempt.ended is Ended.PROVEN, attempt.said


@pytest.mark.heavy
def test_siblings_that_do_not_agree_on_the_same_input_promise_nothing(tmp_path: Path) -> None:
    other = '\n\ndef mark(options, flag, name):\n    """Only the flag."""\n    return [flag, "none"]\n'
    attempt = of_choice(tmp_path, OPTIONS + other).attempt
    assert attempt.reproducer is not None
    assert attempt.reproducer.oracle is Oracle.NO_CRASH
    assert attempt.ended is Ended.NEEDS_DECISION


LINES = '''"""Lines of texts that may be missing."""


def first_line(texts, name):
    """The first line of a text."""
    text = texts.get(name)
    if text is None:
        return None
    return text.splitlines()[0]


def last_line(texts, name):
    """The last line of a text."""
    text = texts.get(name)
    if text is None:
        return None
    return text.splitlines()[-1]


def initial(texts, name):
    """How a text begins; None without a name."""
    if not name:
        return None
    text = texts.get(name)
    return text.splitlines()[0][:1]
'''


def of_initial(folder: Path, text: str) -> Outcome:
    return repaired(
        folder, text, "app/lines.py", "AttributeError", "'NoneType' object has no attribute 'splitlines'", "initial",
        "return text.splitlines()[0][:1]", {"texts": {"a": "'one'"}, "name": "'b'", "text": "None"},
    )  # fmt: skip


def test_none_is_asserted_where_it_is_one_of_the_functions_answers(tmp_path: Path) -> None:
    attempt = of_initial(tmp_path, LINES).attempt
    assert attempt.reproducer is not None
    assert attempt.reproducer.oracle is Oracle.SIBLING_CONTRACT, (attempt.said, attempt.rejected)
    assert "assert result is None" in attempt.reproducer.source
    assert attempt.ended is Ended.PROVEN, attempt.said


@pytest.mark.heavy
def test_none_of_a_function_that_never_says_so_is_not_asserted(tmp_path: Path) -> None:
    text = LINES.replace(
        "    if not name:\n        return None\n    text = texts.get(name)\n    return",
        "    text = texts.get(name)\n    return",
    )
    attempt = of_initial(tmp_path, text).attempt
    assert attempt.reproducer is not None
    assert attempt.reproducer.oracle is Oracle.NO_CRASH
