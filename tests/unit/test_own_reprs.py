"""What a class's own `__repr__` shows of an object is read back by the text of that method."""

from __future__ import annotations

import ast

import pytest

from fixloop.reproduce.plausible import plausible
from fixloop.reproduce.reprs import by_own_repr


def method(body: str) -> ast.FunctionDef:
    node = ast.parse(f"def __repr__(self):\n    return {body}\n").body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


@pytest.mark.parametrize(
    ("body", "text", "shown"),
    [
        (
            "f'<Scanner at {self.at} of {self.text!r}>'",
            "<Scanner at 7 of '2 of 3'>",
            {"at": "7", "text": "'2 of 3'"},
        ),
        (
            "'<%s %r (%d)>' % (type(self).__name__, self.name, self.size)",
            "<Box 'a b' (3)>",
            {"name": "'a b'", "size": "3"},
        ),
        (
            "'{}({!r}, {})'.format('Box', self.name, self.size)",
            "Box('x', None)",
            {"name": "'x'", "size": "None"},
        ),
        ("'<' + self.name + '>'", "<a-b>", {"name": "'a-b'"}),
        ("f'{self.first}{self.second}'", "ab", {}),
        ("f'<Other {self.at}>'", "<Scanner at 7>", {}),
        ("super().__repr__()", "<Scanner at 7>", {}),
    ],
)
def test_attributes_are_read_out_of_a_text_by_the_method_that_wrote_it(
    body: str, text: str, shown: dict[str, str]
) -> None:
    assert by_own_repr(method(body), text) == shown


def test_a_text_of_ten_megabytes_is_read_in_one_go() -> None:
    hostile = "<Scanner at " + "7 of " * 2_000_000 + ">"
    node = method("f'<Scanner at {self.at} of {self.text} of {self.a} of {self.b} of {self.c}>'")
    assert by_own_repr(node, hostile)["at"] == "7"


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("limit <= float(number)", 1),
        ("limit.strip().lower()", "a"),
        ("limit == 3 and limit > 'b'", "a"),
        ("[one for one in limit]", []),
        ("limit['name'], limit.get('x')", {}),
        ("'Dear ' + limit", "a"),
        ("text[at : at + limit]", None),
        ("range(limit)", 1),
    ],
)
def test_what_code_does_with_a_value_says_what_it_is(code: str, value: object) -> None:
    found = plausible([ast.parse(code)], lambda part: isinstance(part, ast.Name) and part.id == "limit")
    assert found == ((value,) if value is not None else None)


def test_nothing_is_taken_for_granted_where_the_code_asks_itself() -> None:
    tree = ast.parse("limit.strip() if isinstance(limit, str) else limit")
    assert plausible([tree], lambda part: isinstance(part, ast.Name) and part.id == "limit") is None
