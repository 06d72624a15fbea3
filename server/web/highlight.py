"""Code in colours, by Pygments on the server. Whole files are highlighted and lines are cut out of them: a hunk alone
may begin inside a docstring, and would come out inverted. What was highlighted is kept by the hash of the text."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from markupsafe import Markup, escape
from pygments import lex
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.token import STANDARD_TYPES, Token
from pygments.util import ClassNotFound

from server.web.diffs import DiffFile, Line

PREFIX = "hl-"  # before Pygments' class names: bare ones collide with those of tables
LARGEST = 300_000  # characters of a file that is highlighted; a larger one stays plain
_KEPT = 96  # files
_PLAIN = {Token, Token.Text, Token.Text.Whitespace}

Fetch = Callable[[str], str | None]  # from a path to the text of the file

_cache: OrderedDict[tuple[str, str], tuple[Markup, ...]] = OrderedDict()
_lock = threading.Lock()


def lines_of(path: str, text: str) -> tuple[Markup, ...]:
    """Every line of a file as HTML."""
    lexer = _lexer(path) if len(text) <= LARGEST else None
    key = (hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(), lexer.name if lexer else "")
    with _lock:
        if key in _cache:
            _cache.move_to_end(key)
            return _cache[key]
    made = tuple(_coloured(lexer, text)) if lexer else tuple(escape(line) for line in text.split("\n"))
    with _lock:
        _cache[key] = made
        while len(_cache) > _KEPT:
            _cache.popitem(last=False)
    return made


def code(text: str, path: str) -> Markup:
    """A whole text in colours."""
    return Markup("\n").join(lines_of(path, text))


def coloured(files: Sequence[DiffFile], before: Fetch, after: Fetch | None = None) -> list[DiffFile]:
    """The files of a diff with their lines in colours. `before` and `after` give a file on either side; without
    `after` it is made by the diff. Where a file is not what the diff says, its lines stay plain."""
    for file in files:
        old = before(file.path) or ""
        new = (after(file.path) if after else patched(old, file.lines)) or ""
        sides = {
            "-": (lines_of(file.path, old), old.split("\n")),
            "+": (lines_of(file.path, new), new.split("\n")),
        }
        for line in file.lines:
            if line.sign == "@":
                continue
            html, plain = sides["-" if line.sign == "-" else "+"]
            place = (line.old if line.sign == "-" else line.new) or 0
            if 0 < place <= len(plain) and plain[place - 1] == line.text:
                line.html = html[place - 1]
    return list(files)


def patched(text: str, lines: Sequence[Line]) -> str:
    """A file after a diff of it. Where the diff does not fit, something else comes out: callers compare lines."""
    old, new, at = text.split("\n"), list[str](), 0
    for line in lines:
        if line.old is not None:
            new += old[at : line.old - 1]
            at = line.old
        if line.sign in {"+", " "}:
            new.append(line.text)
    return "\n".join([*new, *old[at:]])


def _lexer(path: str) -> Lexer | None:
    try:
        return get_lexer_for_filename(path.rpartition("/")[2] or path, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _coloured(lexer: Lexer, text: str) -> Iterator[Markup]:
    parts: list[Markup] = []
    for kind, value in lex(text, lexer):
        name = _class(kind)
        for place, piece in enumerate(value.split("\n")):
            if place:
                yield Markup("").join(parts)
                parts = []
            if piece and name:
                parts.append(Markup('<span class="{}">{}</span>').format(name, piece))
            elif piece:
                parts.append(escape(piece))
    yield Markup("").join(parts)


def _class(kind: Any) -> str:
    """The class of a token; none for plain text, punctuation and names, which have the colour of the page."""
    if kind in _PLAIN:
        return ""
    short = STANDARD_TYPES.get(kind, "")
    while not short and kind.parent is not None:
        kind = kind.parent
        short = STANDARD_TYPES.get(kind, "")
    return PREFIX + short if short and short not in {"n", "p", "o", "w"} else ""
