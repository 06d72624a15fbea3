"""Write a recipe as Python: as a call that returns what it gave, and as the test that a colleague would have written.

Both come from the same lines, so that what is proven is what is in the draft.
"""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import indent
from typing import Any

from fixloop.reproduce.clients import client_lines
from fixloop.reproduce.clock import travelling
from fixloop.reproduce.interleaving import interleaved_lines
from fixloop.reproduce.lines import NOTHING, Lines, Taken, frame_lines
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.rows import looking_up
from fixloop.reproduce.shape import in_style, shaped
from fixloop.reproduce.styles import Style
from fixloop.reproduce.values import render, renderable
from fixloop.reproduce.world import in_its_world

YESTERDAY = Path(__file__).parent / "yesterday.py"

MAY_REFUSE = '''
@contextlib.contextmanager
def may_refuse():
    """An error that the code under test raises on purpose is an answer, too: it refuses the input."""
    try:
        yield
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        outside = "/site-packages/" in last.filename or "/lib/python" in last.filename
        if {other}outside or not (last.line or "").startswith("raise "):
            raise
'''

KEEPS = '''
def keeps(expected, actual):
    """Whether all of `expected` is in `actual`; a newer version may say more."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(k in actual and keeps(v, actual[k]) for k, v in expected.items())
    if isinstance(expected, (list, tuple)):
        return (
            type(actual) is type(expected)
            and len(actual) == len(expected)
            and all(map(keeps, expected, actual))
        )
    return type(actual) is type(expected) and actual == expected
'''


def call_source(recipe: Recipe, *, lookups: bool = False, before: str = "") -> str:
    """A module with `call()`: does it, and returns the value (http: status and body); with `lookups` the rows that
    were looked up in vain (see `rows`). `before` is text that stands before its imports."""
    lines = lines_of(recipe)
    last = looking_up(lines) if lookups else [f"return {lines.result}"]
    body = lines.body([*_repeated(recipe, lines), *last])
    source = before + _module(lines, f"def call():\n{indent(chr(10).join(body), '    ')}\n")
    if not recipe.yesterday:
        return source
    return f"{YESTERDAY.read_text('utf-8')}\n\nrestore({recipe.yesterday})\n{source}"


def is_call(recipe: Recipe) -> bool:
    """Whether a recipe can be written: an input that was varied may lack what its call is made with."""
    try:
        return bool(call_source(recipe))
    except (ValueError, KeyError):
        return False


def test_source(
    recipe: Recipe, name: str, doc: str, expected: Any, asserted: bool, refused_as: str | None,
    style: Style, taken: Taken,
) -> str:  # fmt: skip
    """The test. `expected` is the snapshot that the oracle asserts; with `asserted` False only "does not fail" is
    asked, and to refuse the input on purpose is not to fail; `refused_as` is the incident's own type where that was
    raised on purpose, too. `taken`: what it takes from fixtures, or from Django's `TestCase`.
    """
    lines = lines_of(recipe, taken)
    body = _repeated(recipe, lines)
    if asserted and isinstance(expected, dict) and "$raises" in expected:
        body += _raises(lines, expected["$raises"], style)
    elif asserted or recipe.entry == "http":
        body += _assertions(recipe, lines, expected, asserted, style)
    else:
        body += _not_failing(lines, refused_as)
    text = shaped(name, lines.body(body), style, taken)
    lines.imports |= text.imports
    lines.froms |= text.froms
    return in_style(f'"""{_docstring(doc)}\n"""\n\n' + _module(lines, text.source), style)


def assertable(expected: Any) -> bool:
    """Whether a snapshot can be asserted: a literal, an object with a stable repr, or an error that was raised
    on purpose.
    """
    if isinstance(expected, dict) and ("$raises" in expected or expected.get("$object")):
        return "$raises" in expected or expected.get("repr") is not None
    return renderable(expected)


def _docstring(doc: str) -> str:
    return doc.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')


def _module(lines: Lines, function: str) -> str:
    heads = list(lines.before_imports)
    for standard in (True, False):  # in two groups, as a colleague's tools would sort them
        group = [f"import {name}" for name in sorted(lines.imports) if _is_standard(name) is standard]
        modules = sorted({module for module, _ in lines.froms if _is_standard(module) is standard})
        for module in modules:
            names = sorted(name for where, name in lines.froms if where == module)
            group.append(f"from {module} import {', '.join(names)}")
        heads += ["", *group] if heads and heads[-1] and group else group
    helpers = "".join(f"\n{helper}" for helper in lines.helpers)
    return "\n".join(heads) + "\n" + helpers + "\n\n" + function


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _repeated(recipe: Recipe, lines: Lines) -> list[str]:
    if recipe.repeat < 2:
        return []
    return [
        f"for _ in range({recipe.repeat - 1}):  # it takes {recipe.repeat} calls: state builds up",
        f"    {lines.result}",
    ]


def _assertions(recipe: Recipe, lines: Lines, expected: Any, asserted: bool, style: Style) -> list[str]:
    if recipe.entry == "http":
        given = [f"status, body = {lines.result}"]
        if not asserted:
            return [*given, style.asserted("status", "<", "500", "body")]
        status, body = expected["$tuple"]
        checks = [style.asserted("status", "==", str(status), "body")]
        return given + checks + (_equals(lines, "body", body, style) if body not in ("", None) else [])
    return [f"result = {lines.result}", *_equals(lines, "result", expected, style)]


def _not_failing(lines: Lines, refused_as: str | None) -> list[str]:
    """The call; an error that is raised on purpose refuses the input, and is an answer."""
    lines.imports |= {"contextlib", "traceback"}
    other = f'type(error).__name__ == "{refused_as}" or ' if refused_as else ""
    lines.helpers.append(MAY_REFUSE.format(other=other))
    return ["with may_refuse():", indent(lines.result, "    ")]


def _equals(lines: Lines, name: str, expected: Any, style: Style) -> list[str]:
    if isinstance(expected, dict) and "$object" in expected:
        return [style.asserted(f"repr({name})", "==", repr(expected["repr"]))]
    text = render(expected, lines.imports)
    if text == "None" or isinstance(expected, bool):
        return [style.asserted(name, "is", text)]
    if _has_mapping(expected):
        if KEEPS not in lines.helpers:
            lines.helpers.append(KEEPS)
        return [style.asserted(f"keeps({text}, {name})", "", "", name)]
    return [style.asserted(name, "==", text)]


def _has_mapping(value: Any) -> bool:
    if isinstance(value, dict):
        if "$tuple" in value:
            return any(_has_mapping(item) for item in value["$tuple"])
        return not any(str(key).startswith("$") for key in value)
    return isinstance(value, list) and any(_has_mapping(item) for item in value)


def _raises(lines: Lines, dotted: str, style: Style) -> list[str]:
    module, _, kind = dotted.rpartition(".")
    if module and module != "builtins":
        lines.froms.add((module, kind.split(".", maxsplit=1)[0]))
    if not style.is_case:
        lines.imports.add("pytest")
    raises = "self.assertRaises" if style.is_case else "pytest.raises"
    return [f"with {raises}({kind}):", f"    {lines.result}"]


# --- one call, by entry ----------------------------------------------------------------------------------------


def lines_of(recipe: Recipe, taken: Taken = NOTHING) -> Lines:
    """The lines of one call."""
    lines = client_lines(recipe, taken) if recipe.entry == "http" else frame_lines(recipe)
    if recipe.inputs.get("world"):
        lines = in_its_world(recipe, lines)
    if recipe.now:
        lines.imports.add("time_machine")
        lines.around = travelling(recipe.now)
    if recipe.schedule is None:
        return lines
    other = recipe.schedule.get("other")
    second = client_lines(recipe.model_copy(update={"inputs": other})) if other is not None else None
    return interleaved_lines(recipe, lines, second)
