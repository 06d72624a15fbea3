"""Source maps: from a place in a bundle to the file, line and name that it was built from. Revision 3, with sections.

Pure: who has the maps hands them in. Lines and columns of a `Place` and of what is asked for count from 1, as in stack
traces; those inside a map count from 0.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from store.errors import BadPayload
from triage.paths import normal

_DIGITS = {
    digit: at for at, digit in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_SECTIONS = 200
_SEGMENTS = 2_000_000  # of one map: some forty megabytes once decoded
_ID = 64  # characters
_NONE = -1


@dataclass(frozen=True)
class Place:
    """Where something was written. `name` is what it was called there, where the map says so."""

    source: str
    line: int
    column: int
    name: str | None
    text: str | None  # of the whole file, where the map carries it


class SourceMap(Protocol):
    """What a bundle was built from."""

    def original(self, line: int, column: int) -> Place | None:
        """Where a place in the bundle comes from; None where the map does not say."""
        ...


def read(content: str | bytes) -> SourceMap:
    """A map from its JSON. Raises BadPayload with one sentence for what is no map of revision 3."""
    told = _object(content)
    return _Sections(told["sections"]) if isinstance(told.get("sections"), list) else _Flat(told)


def file_of(content: str | bytes) -> str | None:
    """The bundle that a map says it is of. Raises BadPayload as `read`."""
    named = _object(content).get("file")
    return named if isinstance(named, str) and named else None


def debug_id(content: str | bytes) -> str | None:
    """The id that a bundler gave the build, in small letters. Raises BadPayload as `read`."""
    told = _object(content)
    found = told.get("debugId") or told.get("debug_id")
    return found.lower() if isinstance(found, str) and 0 < len(found) <= _ID else None


def _object(content: str | bytes) -> dict[str, Any]:
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
        told = json.loads(text.removeprefix("\ufeff").removeprefix(")]}'"))
    except (ValueError, RecursionError) as error:
        raise BadPayload("This is not a source map: it is not JSON.") from error
    if not isinstance(told, dict) or told.get("version") != 3:
        raise BadPayload("This is not a source map of version 3.")
    return told


class _Flat:
    """One map, decoded line by line into arrays: a bundle of a megabyte has a few hundred thousand segments."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._sources = [_joined(told.get("sourceRoot"), source) for source in _texts(told, "sources")]
        self._names = _texts(told, "names")
        self._contents = told["sourcesContent"] if isinstance(told.get("sourcesContent"), list) else []
        mappings = told.get("mappings")
        if not isinstance(mappings, str):
            raise BadPayload("This source map has no mappings.")
        self._starts, self._columns, self._fields = _decoded(mappings)

    def original(self, line: int, column: int) -> Place | None:
        """The segment at or before the column, on that line."""
        if not 1 <= line < len(self._starts):
            return None
        first, last = self._starts[line - 1], self._starts[line]
        at = bisect_right(self._columns, column - 1, first, last) - 1
        if at < first:
            return None
        source, row, where, name = self._fields[4 * at : 4 * at + 4]
        if not 0 <= source < len(self._sources) or row < 0:
            return None
        content = self._contents[source] if source < len(self._contents) else None
        return Place(
            source=self._sources[source],
            line=row + 1,
            column=where + 1,
            name=self._names[name] if 0 <= name < len(self._names) else None,
            text=content if isinstance(content, str) else None,
        )


class _Sections:
    """An index map: several maps, each from a place of the bundle on."""

    def __init__(self, told: list[Any]) -> None:
        self._parts: list[tuple[int, int, _Flat]] = []
        for section in told[:_SECTIONS]:
            offset = section.get("offset") if isinstance(section, dict) else None
            inner = section.get("map") if isinstance(section, dict) else None
            if isinstance(offset, dict) and isinstance(inner, dict):
                row, column = offset.get("line"), offset.get("column")
                if isinstance(row, int) and isinstance(column, int):
                    self._parts.append((row, column, _Flat(inner)))
        self._parts.sort(key=lambda part: part[:2])

    def original(self, line: int, column: int) -> Place | None:
        """By the last section that begins at or before the place."""
        before = [part for part in self._parts if part[:2] <= (line - 1, column - 1)]
        if not before:
            return None
        row, start, inner = before[-1]
        return inner.original(line - row, column - start if line - 1 == row else column)


def _decoded(mappings: str) -> tuple[array[int], array[int], array[int]]:
    """Where each line's segments begin, their columns in the bundle, and four fields for each: source, line, column,
    name (-1: none). Raises BadPayload for what is no base 64 VLQ."""
    try:
        return _numbered(mappings)
    except OverflowError as error:
        raise BadPayload("The mappings of this source map cannot be read.") from error


def _numbered(mappings: str) -> tuple[array[int], array[int], array[int]]:
    starts, columns, fields = array("i", [0]), array("i"), array("i")
    source = row = column = name = 0
    for line in mappings.split(";"):
        if line.count(",") + len(columns) > _SEGMENTS:
            raise BadPayload(f"A source map has at most {_SEGMENTS:,} mappings.")
        generated = 0
        for segment in line.split(","):
            if not segment:
                continue
            told = _numbers(segment)
            generated += told[0]
            columns.append(generated)
            if len(told) >= 4:
                source, row, column = source + told[1], row + told[2], column + told[3]
                named = _NONE
                if len(told) > 4:
                    name += told[4]
                    named = name
                fields.extend((source, row, column, named))
            else:
                fields.extend((_NONE, _NONE, _NONE, _NONE))
        starts.append(len(columns))
    return starts, columns, fields


def _numbers(segment: str) -> list[int]:
    found, value, shift = [], 0, 0
    for digit in segment:
        bits = _DIGITS.get(digit)
        if bits is None or shift > 40:
            raise BadPayload("The mappings of this source map cannot be read.")
        value |= (bits & 31) << shift
        if bits & 32:
            shift += 5
        else:
            found.append(-(value >> 1) if value & 1 else value >> 1)
            value = shift = 0
    if not found:
        raise BadPayload("The mappings of this source map cannot be read.")
    return found


def _texts(told: Mapping[str, Any], name: str) -> list[str]:
    values = told.get(name)
    return [value if isinstance(value, str) else "" for value in values] if isinstance(values, list) else []


def _joined(root: object, source: str) -> str:
    """A source's path below its root, without bundlers' schemes and without steps upwards."""
    whole = (
        f"{root.rstrip('/')}/{source}" if isinstance(root, str) and root and "://" not in source else source
    )
    path = normal(whole)
    while path.startswith("../"):
        path = path[3:]
    return path
