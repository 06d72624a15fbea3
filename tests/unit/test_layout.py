"""How a written test is laid out: the meaning stays, the lines are short, the quotes are double."""

from __future__ import annotations

import ast

import pytest

from fixloop.reproduce.layout import laid_out

LONG = {
    "customer": {"name": "Ann O'Hara", "quote": 'a "b"'},
    "items": [{"sku": f"sku-{i}", "n": i} for i in range(4)],
}
STATEMENTS = {
    "a call": f"result = shop.totals.total({LONG!r}, currency='EUR', strict=True)",
    "calls in calls": "asyncio.run(files.get_response('logo.txt/extra', {'client': [], 'headers': [], 'path': '/logo.txt/extra'}))",
    "a text of several lines": "parse('Traceback (most recent call last):\\n  File \"job.py\", line 14\\n    run()\\n')",
    "one of several arguments": "parse('first line\\nsecond line\\n', 3)",
    "an attribute of a call": "Table(data=[['thu', 2], ['fri', 3], ['sat', 14], ['sun', 15]], headers=[None, 'orders']).to_text().lines",
    "an assertion": "assert result == {'number': 1, 'texts': ['a' * 3, 'b'], 'more': (1,), 'kinds': {'x', 'y'}, 'none': None, 'no': b'\\xff'}",
    "an assertion with a word": "assert keeps({'a': ['one', 'two', 'three', 'four', 'five', 'six'], 'b': ['seven', 'eight']}, result), result",
    "a path": "(folder / 'in.csv').write_text('a;b')",
    "operators": "assert not (a + 'x' * 3)[1:] or [b for b in 'it\\'s' if b], 'c'",
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_layout_means_the_same_and_keeps_to_the_width(name: str) -> None:
    source = f"def test_it():\n    {STATEMENTS[name]}\n"
    text = laid_out(source, 88)
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(source))
    assert max(map(len, text.splitlines())) <= 88
    assert laid_out(text, 88) == text


def test_what_fits_in_a_line_stays_in_one_with_double_quotes() -> None:
    source = (
        "def test_it():\n    with frozen('2024'):\n        x = f('it', \"it's\", 'say \"so\"', b'\\x00')\n"
    )
    assert laid_out(source) == source.replace("'2024'", '"2024"').replace("'it'", '"it"').replace(
        "b'\\x00'", 'b"\\x00"'
    )


def test_arguments_that_do_not_fit_stand_one_to_a_line() -> None:
    text = laid_out("def test_it():\n    total({'a': 1, 'b': 22222}, 'some words', more='x')\n", 40)
    assert text == (
        'def test_it():\n    total(\n        {"a": 1, "b": 22222},\n        "some words",\n        more="x",\n    )\n'
    )


def test_comments_and_docstrings_and_other_statements_are_left_alone() -> None:
    source = "def test_it():\n    '''Doc.'''\n    for _ in range(2):  # it takes 3 calls\n        f('x')  # so\n    del x['y']\n"
    assert laid_out(source) == source


def test_a_text_that_is_no_program_is_given_back() -> None:
    assert laid_out("def (") == "def ("
