"""What was in an uploaded file, as far as the frames show it: an event has the name of the field and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from fixloop.reproduce.values import CUT, SDK_TEXT
from store.event import Event

MOST = 4  # contents that are tried
_LITERAL = re.compile(r"""b'(?:[^'\\]|\\.)*'|b"(?:[^"\\]|\\.)*\"""")
_NAME = re.compile(r"filename=\\?[\"']([^\"'\\]{1,120})")
_SIZE = re.compile(r"\b(?:size|content_length)=(\d+)")


def contents(event: Event) -> list[bytes]:
    """Bytes that the frames show, the likeliest first: those of a size that the frames speak of, then the innermost."""
    texts = list(_texts(event))
    sizes = {int(size) for text in texts for size in _SIZE.findall(text)}
    found: dict[bytes, int] = {}
    for text in texts:
        for content in _literals(text):
            found[content] = found.get(content, 0) + 1
    ranked = sorted(
        found, key=lambda content: (len(content) not in sizes, b"\n" not in content, -found[content])
    )
    return ranked[:MOST]


def file_name(event: Event) -> str:
    """The name of the uploaded file, where a frame shows it."""
    names = (name for text in _texts(event) for name in _NAME.findall(text))
    return next(iter(names), "upload.bin")


def _texts(event: Event) -> Iterator[str]:
    """The texts of all locals, of the innermost frame first."""
    error = event.exception
    for frame in reversed(error.frames if error else ()):
        yield from _leaves(list(frame.vars.values()))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)


def _literals(text: str) -> Iterator[bytes]:
    """Whole bytes literals in a text; a repr that was cut has an open end and is none."""
    if len(text) >= SDK_TEXT and text.endswith(CUT) and text.startswith("b"):
        return
    for literal in _LITERAL.findall(text):
        try:
            value = ast.literal_eval(literal)
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, bytes) and len(value) > 1:
            yield value
