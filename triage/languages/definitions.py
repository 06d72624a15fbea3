"""Which definition a line of source is in, for languages that are not parsed: by braces, or by indentation.

Good enough to name a place; nothing is decided on it alone. Strings and comments are stepped over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from triage.words import words

_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"\"\".*?(?:\"\"\"|\Z)|\"(?:[^\"\\\n]|\\.)*\"?|`(?:[^`\\]|\\.)*`?"
    r"|'(?:[^'\\\n]|\\.)'|'(?:[^'\\\n]|\\.){2,}'|[{};\n]",
    re.DOTALL,
)
_NOT_NAMES = frozenset(
    words(
        """
    if for while switch catch else do try return new match when using lock fixed foreach elseif with unsafe loop guard
    """
    )
)
SOURCE_LIMIT = 1 << 20  # characters; a longer file has no names for us


def by_braces(source: str, line: int, heads: Sequence[re.Pattern[str]], joint: str = ".") -> str | None:
    """The names of the definitions around a line (1-based), outermost first. `heads` find a name in the text between
    the last boundary and an opening brace."""
    if line < 1 or len(source) > SOURCE_LIMIT:
        return None
    found: list[tuple[int, int, str]] = []  # first line, last line, name
    stack: list[tuple[int, str | None]] = []
    number, head, head_line, last = 1, "", 1, 0
    for token in _TOKEN.finditer(source):
        text = token[0]
        head += source[last : token.start()]
        last = token.end()
        if not head.strip():
            head_line = number
        if text == "{":
            stack.append((head_line, _name(head[-400:], heads)))
            head = ""
        elif text == "}":
            if stack:
                start, name = stack.pop()
                found += [(start, number, name)] if name else []
            head = ""
        elif text == ";":
            head = "" if head.count("(") <= head.count(")") else head
        elif text == "\n":
            number += 1
            head = head[-400:] + " "
        else:
            number += text.count("\n")
            head += " "
    if line > number:
        return None
    found += [(start, number, name) for start, name in stack if name]
    around = sorted((start, -end, name) for start, end, name in found if start <= line <= end)
    return joint.join(name for _, _, name in around) or None


def _name(head: str, heads: Sequence[re.Pattern[str]]) -> str | None:
    for pattern in heads:
        if (match := pattern.search(head)) and match["name"] not in _NOT_NAMES:
            return match["name"]
    return None


def by_indentation(source: str, line: int, definition: re.Pattern[str], joint: str = ".") -> str | None:
    """The names of the definitions that a line is indented under; `definition` has the groups indent and name."""
    lines = source.split("\n")
    if not 1 <= line <= len(lines):
        return None
    text = lines[line - 1]
    own = definition.match(text)
    width = (len(text) - len(text.lstrip()) if text.strip() else 1 << 30) + (1 if own else 0)
    names: list[str] = []
    for candidate in reversed(lines[:line]):
        match = definition.match(candidate)
        if match and len(match["indent"]) < width:
            names.append(match["name"])
            width = len(match["indent"])
        if width == 0:
            break
    return joint.join(reversed(names)) or None
