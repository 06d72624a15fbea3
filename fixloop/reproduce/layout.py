"""The layout of a written test: double quotes, lines of a bounded width, one argument a line where they do not fit.

As the formatters that most Python projects use would lay it out, for the few forms of expression that a test is made
of; everything else stays as `ast` writes it. The meaning is compared with the text that came in: where it is not the
same, that text is kept.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from fixloop.reproduce.syntax import parse

WIDTH = 88  # where the repository does not say
_OPENING = {ast.List: "[]", ast.Tuple: "()", ast.Set: "{}", ast.Dict: "{}"}
_COMPARED = {ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.Lt: "<",
             ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}  # fmt: skip


def laid_out(source: str, width: int = WIDTH, *, only_long: bool = False) -> str:
    """The text with its statements laid out; `only_long`: only those that do not fit."""
    tree = parse(source)
    if tree is None:
        return source
    lines = source.splitlines()
    for part in sorted(_parts(tree), key=lambda part: part.lineno, reverse=True):
        first, last = part.lineno - 1, _last(part)
        if only_long and all(len(line) <= width for line in lines[first:last]):
            continue
        written = _statement(part, part.col_offset, width)
        commented = any("  # " in line for line in lines[first:last])
        if written is not None and not commented and not lines[first][: part.col_offset].strip():
            lines[first:last] = written.split("\n")
    text = "\n".join(lines) + "\n"
    after = parse(text)
    return text if after is not None and ast.dump(after) == ast.dump(tree) else source


def _parts(tree: ast.AST) -> Iterator[ast.stmt]:
    """The statements that are laid out; docstrings are not."""
    for part in ast.walk(tree):
        is_doc = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        if isinstance(part, (ast.Assign, ast.Assert, ast.Return, ast.With, ast.Expr)) and not is_doc:
            yield part


def _last(part: ast.stmt) -> int:
    """The last line of a statement, of a block's head where it is one."""
    return part.body[0].lineno - 1 if isinstance(part, ast.With) else part.end_lineno or part.lineno


def _statement(node: ast.stmt, column: int, width: int) -> str | None:
    """A statement, or the head of a block; None for a form that is left as it is."""
    head, tail = "", ""
    value: ast.expr | None = None
    match node:
        case ast.Assign(targets=[target], value=value):
            head = (
                ", ".join(map(flat, target.elts)) if isinstance(target, ast.Tuple) else flat(target)
            ) + " = "
        case ast.Expr(value=value):
            pass
        case ast.Return(value=ast.expr() as value):
            head = "return "
        case ast.Assert(test=value, msg=None):
            head = "assert "
        case ast.Assert(test=value, msg=ast.Name(id=name)):
            head, tail = "assert ", f", {name}"
        case ast.With(items=[ast.withitem(context_expr=value, optional_vars=None)]):
            head, tail = "with ", ":"
        case ast.With(items=[ast.withitem(context_expr=value, optional_vars=ast.Name(id=name))]):
            head, tail = "with ", f" as {name}:"
    if value is None:
        return None
    return " " * column + head + _laid(value, column, column + len(head), width, len(tail)) + tail


def _laid(node: ast.expr, column: int, used: int, width: int, after: int = 0) -> str:
    """An expression that begins at `used` in a line of that indentation; `after` characters follow it."""
    line = flat(node)
    if used + len(line) + after <= width and not _is_text(node):
        return line
    match node:
        case ast.Call(func=func, args=args, keywords=keywords) if args or keywords:
            parts = [*map(_part, args), *map(_part, keywords)]
            return f"{flat(func)}({_body(parts, column, width, alone=len(parts) == 1)})"
        case ast.List() | ast.Tuple() | ast.Set() | ast.Dict():
            opening = _OPENING[type(node)]
            parts = (
                [_pair(*pair) for pair in zip(node.keys, node.values, strict=True)]
                if isinstance(node, ast.Dict)
                else [_part(part) for part in node.elts]
            )
            is_single = isinstance(node, ast.Tuple) and len(parts) == 1
            body = _body(parts, column, width, comma=is_single) if parts else ""
            return f"{opening[0]}{body}{opening[1]}"
        case ast.Constant(value=str(text)) if _is_text(node):
            pad = " " * (column + 4)
            return (
                "(\n"
                + "\n".join(pad + quoted(part) for part in text.splitlines(keepends=True))
                + f"\n{' ' * column})"
            )
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _COMPARED:
            head = f"{flat(left)} {_COMPARED[type(operator)]} "
            return head + _laid(right, column, used + len(head), width, after)
        case ast.Call(func=ast.Attribute(value=ast.Call() as value, attr=name)):
            return f"{_laid(value, column, used, width, after + len(name) + 3)}.{name}()"
        case ast.Attribute(value=ast.Call() as value, attr=name):
            return f"{_laid(value, column, used, width, after + len(name) + 1)}.{name}"
        case _:
            return line


_Part = Callable[[int, int], str]  # indentation, width -> its text


def _part(node: ast.expr | ast.keyword) -> _Part:
    def text(column: int, width: int) -> str:
        if isinstance(node, ast.keyword):
            head = f"{node.arg}=" if node.arg else "**"
            return head + _laid(node.value, column, column + len(head), width, 1)
        return _laid(node, column, column, width, 1)

    return text


def _pair(key: ast.expr | None, value: ast.expr) -> _Part:
    def text(column: int, width: int) -> str:
        head = f"{flat(key)}: " if key is not None else "**"
        return head + _laid(value, column, column + len(head), width, 1)

    return text


def _body(parts: list[_Part], column: int, width: int, *, alone: bool = False, comma: bool = False) -> str:
    """What stands between brackets, on lines of its own: on one, where all of it fits; `alone`: a text over several
    lines needs no brackets of its own; `comma`: one has to follow."""
    inner, pad = column + 4, " " * (column + 4)
    texts = [part(inner, width) for part in parts]
    together = ", ".join(texts) + ("," if comma else "")
    if "\n" not in together and inner + len(together) <= width:
        return f"\n{pad}{together}\n{' ' * column}"
    if alone and not texts[0].startswith("(\n"):
        return f"\n{pad}{texts[0]}\n{' ' * column}"
    if alone:
        return texts[0][1:-1].replace("\n" + " " * (inner + 4), "\n" + pad).rstrip() + f"\n{' ' * column}"
    return "\n" + "".join(f"{pad}{text},\n" for text in texts) + " " * column


def _is_text(node: ast.expr) -> bool:
    """Whether an expression is a text of several lines."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" in node.value[:-1]


def flat(node: ast.expr) -> str:
    """An expression on one line, its texts in double quotes."""
    match node:
        case ast.Constant(value=str() | bytes() as text):
            return quoted(text)
        case ast.Attribute(value=ast.Name() | ast.Attribute() | ast.Call() as value, attr=name):
            return f"{flat(value)}.{name}"
        case ast.Attribute(
            value=ast.BinOp(left=ast.Name(), op=ast.Div(), right=ast.Constant()) as value, attr=name
        ):
            return f"({flat(value.left)} / {flat(value.right)}).{name}"
        case ast.Subscript(value=ast.Name() | ast.Attribute() | ast.Call() as value, slice=part) if (
            not isinstance(part, (ast.Slice, ast.Tuple))
        ):
            return f"{flat(value)}[{flat(part)}]"
        case ast.Call(func=func, args=args, keywords=words):
            parts = [flat(arg) for arg in args]
            parts += [
                f"{word.arg}={flat(word.value)}" if word.arg else f"**{flat(word.value)}" for word in words
            ]
            return f"{flat(func)}({', '.join(parts)})"
        case ast.Dict(keys=keys, values=values):
            pairs = (
                f"{flat(key)}: {flat(value)}" if key is not None else f"**{flat(value)}"
                for key, value in zip(keys, values, strict=True)
            )
            return "{" + ", ".join(pairs) + "}"
        case ast.List(elts=items):
            return "[" + ", ".join(map(flat, items)) + "]"
        case ast.Tuple(elts=items):
            return "(" + ", ".join(map(flat, items)) + ("," if len(items) == 1 else "") + ")"
        case ast.BinOp(left=ast.Constant() as text, op=ast.Mult(), right=ast.Constant() as times):
            return f"{flat(text)} * {flat(times)}"
        case ast.Set(elts=items) if items:
            return "{" + ", ".join(map(flat, items)) + "}"
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(
            operator
        ) in _COMPARED and not any(
            isinstance(side, (ast.Compare, ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr))
            for side in (left, right)
        ):
            return f"{flat(left)} {_COMPARED[type(operator)]} {flat(right)}"
        case _:
            return ast.unparse(node)


def quoted(text: str | bytes) -> str:
    """A literal in double quotes, unless it has more of those in it than of single ones."""
    written = repr(text)
    start = 2 if isinstance(text, bytes) else 1
    if written[start - 1] == '"' or '"' in written:
        return written
    inner = written[start:-1].replace("\\'", "'")
    return f'{written[: start - 1]}"{inner}"'
