"""The shape of a written test: a function or a method of a `TestCase`, in the width and quotes of its repository."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass, field
from textwrap import indent

from fixloop.reproduce.layout import laid_out
from fixloop.reproduce.lines import NOTHING, Taken
from fixloop.reproduce.styles import Style
from fixloop.reproduce.syntax import parse


@dataclass(frozen=True)
class Shaped:
    """A test's text, without its imports, and what it imports."""

    source: str
    imports: set[str] = field(default_factory=set)
    froms: set[tuple[str, str]] = field(default_factory=set)


def shaped(name: str, body: list[str], style: Style, taken: Taken = NOTHING) -> Shaped:
    """The statements as a test of that name."""
    if not style.is_case:
        mark = f"@{taken.mark}\n" if taken.mark else ""
        text = f"{mark}def {name}({', '.join(taken.parameters)}):\n{indent(chr(10).join(body), '    ')}\n"
        return Shaped(laid_out(text, style.width), {"pytest"} if taken.mark else set())
    base = taken.base or "unittest.TestCase"
    kind = "".join(part.capitalize() for part in name.split("_"))
    method = f"def {name}(self):\n{indent(chr(10).join(body), '    ')}\n"
    module, _, last = base.rpartition(".")
    head = f"class {kind}({last if taken.base else base}):\n"
    text = laid_out(head + indent(method, "    "), style.width)
    return Shaped(text, froms={(module, last)}) if taken.base else Shaped(text, {"unittest"})


def in_style(source: str, style: Style) -> str:
    """A module's text in the quotes of the repository, its imports within its width. The meaning stays: where it would
    not, the text is given back as it was."""
    text = laid_out(_imports_within(source, style.width), style.width, only_long=True)
    text = _requoted(text, "'" if style.single else '"')
    before, after = parse(source), parse(text)
    same = before is not None and after is not None and ast.dump(before) == ast.dump(after)
    return text if same else source


def _imports_within(source: str, width: int) -> str:
    """Imports that are too long with one name a line."""
    lines = []
    for line in source.splitlines():
        head, found, names = line.partition(" import ")
        if found and head.startswith("from ") and len(line) > width and "(" not in line:
            line = f"{head} import (\n" + "".join(f"    {name},\n" for name in names.split(", ")) + ")"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _requoted(source: str, quote: str) -> str:
    """The texts in these quotes, where they have neither kind in them; docstrings stay."""
    lines = source.splitlines(keepends=True)
    places = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        body = token.string.lstrip("bB")
        inner = body[1:-1]  # of a docstring it has quotes in it
        if token.type == tokenize.STRING and body[0] in "\"'" and not set(inner) & set("\"'"):
            places.append((token.start, token.end))
    for (row, start), (_, end) in reversed(places):
        line = lines[row - 1]
        text = line[start:end].replace('"', quote).replace("'", quote)
        lines[row - 1] = line[:start] + text + line[end:]
    return "".join(lines)
