# Written by write_rules.py from the server's store/field_shapes.py: change it there.
# ruff: noqa
"""What a payload looks like, without any value: the names of its fields, of what kind each is, how long.

A field's name is kept where it is a plain word; what may be a value itself (an address, a number as a key) is `*`. The
capture client has a copy of this module, so it imports nothing of ours.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

FIELDS = 60  # of one payload
DEPTH = 4
ELEMENTS = 3  # of a list, the first ones
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]*\d{0,3}[A-Za-z_-]*")
_KINDS = {type(None): "null", bool: "bool", int: "number", float: "number"}
_LONGEST = 40  # characters of a name; what is longer is no word


def walk(field: str, value: Any, found: list[tuple[str, str]], depth: int = DEPTH) -> None:
    """Add (field, shape) of a value and of what is in it, until there are enough."""
    found.append((field, shape(value)))
    if depth == 0 or len(found) >= FIELDS:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            walk(f"{field}.{plain_name(name)}", item, found, depth - 1)
    elif isinstance(value, list):
        for item in value[:ELEMENTS]:
            walk(f"{field}[]", item, found, depth - 1)


@lru_cache(4096)
def plain_name(name: str) -> str:
    """The name where it is a plain word, else `*`."""
    return name if len(name) <= _LONGEST and _NAME.fullmatch(name) else "*"


def shape(value: Any) -> str:
    """The kind of a value; of texts and lists the length too, to a power of two."""
    if isinstance(value, str):
        return f"text:{len(value).bit_length()}"
    if isinstance(value, list):
        return f"list:{len(value).bit_length()}"
    return _KINDS.get(type(value), "object")
