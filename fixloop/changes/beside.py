"""What the clues' functions stand beside: who calls them, what stands in the tables they look things up in, the files
that they name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fixloop.changes.kinds import is_lock, runs
from fixloop.changes.outline import Definition, around, outline
from fixloop.changes.regions import INNERMOST, Called, Read, Region, Use, defined_in

CALLERS = 6  # functions that use a name; one that is used in more says little
OWN_NAMES = 6  # functions of the clues whose callers are looked for
LISTED = 12  # names in tables that are looked up
NAMED_FILES = 4  # files that the code names
SAME_NAME = 2  # files that fit a name
_IMPORT = re.compile(r"\s*(?:from\s+[\w.]+\s+import\b|import\b|use\b|#|//|\*)")
_WORD = re.compile(r"[A-Za-z_]\w{3,}")
_FILE = re.compile(r"""["'`]([\w./-]{2,120}\.\w{2,6})["'`]""")
_CODE = (".py", ".pyi", ".js", ".ts", ".tsx", ".jsx", ".go", ".java", ".rb", ".c", ".h", ".rs")
_FILLED = r"\b{name}\s*(?:\[[^\]]*\]\s*=(?!=)|\.(?:append|setdefault|add|update|register|insert)\()"


def names_of(own: Sequence[Region]) -> dict[str, Region]:
    """Of the functions that are named without a line, as no trace tells who called them: the name to look for."""
    found: dict[str, Region] = {}
    for region in own:
        if region.kind == "body" and region.line is None:
            parts = region.title.split(".")
            name = region.name if not region.name.startswith("__") else parts[-2] if len(parts) > 1 else ""
            if len(name) > 3:
                found.setdefault(name, region)
    return dict(list(found.items())[:OWN_NAMES])


def callers_of(names: Mapping[str, Region], uses: Sequence[Use], read: Read) -> list[Region]:
    """The functions in which the names are used, where those are few."""
    outlines: dict[str, list[Definition]] = {}
    found: list[Region] = []
    for name, region in names.items():
        word = re.compile(rf"\b{re.escape(name)}\b")
        places: dict[tuple[str, int], Region] = {}
        for use in uses:
            if not word.search(use.text) or defined_in(use.text) == name or _IMPORT.match(use.text):
                continue
            if use.path == region.path and region.start <= use.number <= region.end:
                continue
            if use.path not in outlines:
                outlines[use.path] = outline(use.path, read(use.path) or "")
            one = around(outlines[use.path], use.number)
            if one is not None and not one.is_class:
                places[use.path, one.start] = Region(
                    use.path, one.start, one.end, one.name, one.qualname, region.depth, "caller"
                )
            if len(places) > CALLERS:
                break
        found += places.values() if len(places) <= CALLERS else ()
    return found


def in_tables(regions: Sequence[Region], uses: Sequence[Use], read: Read) -> dict[str, Called]:
    """What a call through a table can reach: names that stand in the constants which the functions read, and the
    decorators that fill those."""
    found: dict[str, Called] = {}
    for region in regions:
        if region.kind != "callee" or not region.name.isupper():
            continue
        inside = (read(region.path) or "").splitlines()[region.start - 1 : region.end]
        words = [word for line in inside for word in _WORD.findall(line)] if len(inside) > 1 else []
        for name in [*words, *_fillers(region.name, uses, read)]:
            if not name.isupper():
                found.setdefault(name, Called(region.depth + 1, on_line=False))
    return dict(list(found.items())[:LISTED])


def _fillers(table: str, uses: Sequence[Use], read: Read) -> Iterable[str]:
    """The functions that put something into a table: a registry's decorator."""
    fills = re.compile(_FILLED.format(name=re.escape(table)))
    for use in uses:
        if fills.search(use.text):
            place = [
                one for one in outline(use.path, read(use.path) or "") if one.start <= use.number <= one.end
            ]
            yield from (one.name for one in place if not one.is_class)


def decorated(names: Mapping[str, Called], uses: Sequence[Use], read: Read) -> list[Region]:
    """What is decorated with one of the names: it is called through the table that the decorator fills."""
    found: list[Region] = []
    for use in uses:
        mark = re.match(r"\s*@(?:\w+\.)*(\w+)", use.text)
        if mark is None or mark[1] not in names or len(found) == LISTED:
            continue
        place = around(outline(use.path, read(use.path) or ""), use.number)
        if place is not None:
            depth = names[mark[1]].depth
            found.append(
                Region(
                    use.path, place.start, place.end, place.name, place.qualname, depth, "callee", called=True
                )
            )
    return found


def files_named(own: Sequence[Region], paths: Sequence[str], read: Read) -> list[Region]:
    """Templates, configuration, schemas, statements: the files of the repository that the innermost functions name."""
    found: dict[str, Region] = {}
    others = [path for path in paths if not path.endswith(_CODE) and runs(path) and not is_lock(path)]
    for region in sorted(own, key=lambda one: one.depth)[:INNERMOST]:
        lines = (read(region.path) or "").splitlines()[region.start - 1 : region.end]
        for name in dict.fromkeys(name for line in lines for name in _FILE.findall(line)):
            fits = [path for path in others if path == name or path.endswith("/" + name.lstrip("./"))]
            for path in fits if len(fits) <= SAME_NAME else ():
                found.setdefault(path, Region(path, 1, 1, "", path, region.depth, "reads"))
    return list(found.values())[:NAMED_FILES]


def as_failing(regions: Sequence[Region]) -> list[Region]:
    """What is called from where nothing is told of stands where the failing function would."""
    return [replace(one, kind="body", depth=one.depth + (0 if one.on_line else 1)) for one in regions]
