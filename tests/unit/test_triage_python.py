"""Python: tracebacks as the interpreter writes them, own code against libraries, the definition at a line."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.triage_samples import CORPUS
from triage.languages.python import Python

PYTHON = Python()


def _chain(text: str):
    (chain,) = PYTHON.find_traces(text)
    return chain


def _written_by_python(work) -> str:
    try:
        work()
    except BaseException:
        return traceback.format_exc()
    raise AssertionError("it was to fail")


def test_a_chain_of_causes_ends_with_the_exception_raised_last():
    chain = _chain((CORPUS / "traces/python-main.txt").read_text())
    assert [(raised.type, raised.chained, len(raised.frames)) for raised in chain] == [
        ("KeyError", None, 3), ("PaymentError", "cause", 2),
    ]  # fmt: skip
    assert chain[0].frames[-1].context_line == 'def rate(c): return {"VIP": .2}[c]'
    assert chain[1].value == "order 48213 could not be priced"


def test_an_exception_raised_while_another_is_handled_is_a_context():
    chain = _chain((CORPUS / "traces/python-context.txt").read_text())
    assert [raised.chained for raised in chain] == [None, "context"]


def test_repeated_frames_of_a_recursion_are_counted_and_trimmed():
    (raised,) = _chain((CORPUS / "traces/python-rec.txt").read_text())
    assert len(raised.frames) == 101
    assert raised.frames[50].function == "[900 frames left out]"
    assert raised.type == "RecursionError"


def test_a_syntax_error_has_its_place_as_the_last_frame():
    (raised,) = _chain((CORPUS / "traces/python-syntax.txt").read_text())
    assert (raised.type, raised.value) == ("SyntaxError", "invalid syntax")
    assert (raised.frames[-1].filename, raised.frames[-1].lineno) == ("config.py", 1)


def test_notes_belong_to_the_text_of_the_exception():
    def work():
        error = ValueError("bad row")
        error.add_note("in file a.csv")
        raise error

    (raised,) = _chain(_written_by_python(work))
    assert raised.value == "bad row\nin file a.csv"


def test_an_exception_group_comes_after_its_members():
    def work():
        raise ExceptionGroup("batch", [ValueError("row 3"), ExceptionGroup("inner", [KeyError("sku")])])

    chain = _chain(_written_by_python(work))
    assert [(raised.type, raised.value) for raised in chain[:1]] == [("ValueError", "row 3")]
    assert chain[-1].type == "ExceptionGroup"
    assert chain[-1].chained == "group"
    assert chain[-1].frames[-1].function == "work"
    assert {"KeyError", "ValueError"} <= {raised.type for raised in chain}


def test_the_log_line_after_a_traceback_is_not_part_of_it():
    text = (CORPUS / "traces/python-exec.txt").read_text().rstrip() + "\nINFO:     10.0.0.9:40000 - 200 OK\n"
    assert _chain(text)[-1].value == "division by zero"


def test_a_traceback_inside_an_indented_log_block_is_read():
    text = (CORPUS / "traces/python-main.txt").read_text()
    indented = "".join(f"      {line}" if line.strip() else line for line in text.splitlines(keepends=True))
    assert [raised.type for raised in _chain(f"worker failed:\n{indented}")] == ["KeyError", "PaymentError"]


def test_python_2_wrote_the_same_grammar():
    (raised,) = _chain((CORPUS / "traces/fluent-python_exc.txt").read_text())
    assert (raised.type, raised.value, len(raised.frames)) == ("Exception", "('spam', 'eggs')", 3)


def test_a_qualified_type_gives_its_module():
    (raised,) = _chain(
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\nwerkzeug.exceptions.NotFound: 404\n'
    )
    assert (raised.module, raised.type, raised.value) == ("werkzeug.exceptions", "NotFound", "404")


def test_two_tracebacks_in_one_text_are_two_chains():
    text = (CORPUS / "traces/python-exec.txt").read_text()
    assert len(PYTHON.find_traces(text + "\nnext try\n" + text)) == 2


@given(
    st.text(
        alphabet=st.sampled_from('Traceback (most recent call last):\n File ",line1inf|+-^KeyError'),
        max_size=300,
    )
)
def test_no_text_makes_the_grammar_fail(text):
    assert isinstance(PYTHON.find_traces("Traceback (most recent call last):\n" + text), list)


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/app/shop/cart.py", True),
        ("shop/cart.py", True),
        ("/srv/releases/lib/metering/run.py", True),
        ("/usr/local/lib/python3.11/json/decoder.py", False),
        ("/usr/local/lib/python3.11/site-packages/flask/app.py", False),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", False),
        ("/srv/app/.venv/lib/python3.12/site-packages/x.py", False),
        ("<frozen importlib._bootstrap>", False),
        ("<string>", False),
        ("", False),
    ],
)
def test_own_code_is_what_is_not_installed_built_in_or_frozen(path, own):
    assert PYTHON.in_app(path) is own


SOURCE = """\
import os

class Cart:
    @property
    def total(self):
        def add(a, b):
            return a + b
        return add(1, 2)

def free():
    pass

x = 1
"""


PLACES = [(1, None), (3, "Cart"), (7, "Cart.total.add"), (8, "Cart.total"), (11, "free"), (13, None)]


@pytest.mark.parametrize(("line", "symbol"), [*PLACES, (4, "Cart.total")])
def test_the_symbol_at_a_line_is_the_innermost_definition(line, symbol):
    assert PYTHON.symbol_at(SOURCE, line) == symbol


@pytest.mark.parametrize(("line", "symbol"), PLACES)
def test_the_symbol_at_a_line_is_found_in_broken_code_too(line, symbol):
    assert PYTHON.symbol_at(SOURCE + "\nthis is ( not python", line) == symbol
