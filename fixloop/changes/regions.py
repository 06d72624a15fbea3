"""From clues to pieces of the running release: the lines and functions of the trace, and what those functions call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fixloop import Repository
from fixloop.changes.clues import Spot
from fixloop.changes.kinds import runs
from fixloop.changes.outline import Definition, around, named, outline
from fixloop.changes.pipes import hands_on

CALLEE_NAMES = 24  # called names whose definitions are looked up
DEFINITIONS = 3  # a name that is defined more often than that says little
INNERMOST = 3  # regions whose calls are followed
TABLE = 200  # lines of a constant that are looked at
_CALLED = re.compile(r"([A-Za-z_]\w{2,})\s*\(")
_CONSTANT = re.compile(r"\b([A-Z][A-Z0-9_]{3,})\b")
_DEFINES = re.compile(
    r"\s*(?:(?:export|default|public|private|protected|static|async|pub|cdef|cpdef)\s+)*"
    r"(?:(?:def|func|function|fn|fun|const|let|var)\s*(?:\([^)]*\)\s*)?([\w$]+)|([A-Z][A-Z0-9_]{3,})\s*[:=])"
)
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        super isinstance getattr setattr hasattr print range list dict tuple set str int len sorted format
        append join items keys values get update pop extend strip split replace startswith endswith encode
        decode copy type repr bool float any all map filter zip enumerate min max sum open close read write
        function return while switch for catch sizeof make panic string error require assert test add remove
        insert index sort
        """,
    )
)


@dataclass(frozen=True)
class Region:
    """Lines of one file that matter. `kind`: body (a function of the clues), file (all that is outside functions, where
    no function is named), callee, caller or reads (a file that the code of the clues names). `on_line`: the callee is
    named on the failing line itself."""

    path: str
    start: int
    end: int
    name: str
    title: str
    depth: int
    kind: str
    line: int | None = None
    on_line: bool = False
    called: bool = False  # reached by a call, not named by the clues
    failing: bool = False  # the innermost of the trace, however far out its depth says that it counts

    @property
    def own(self) -> bool:
        """Whether the clues themselves name it."""
        return self.kind in {"body", "file"}


Read = Callable[[str], str | None]


def regions_of(spots: Sequence[Spot], repo: str, read: Read) -> list[Region]:
    """The pieces that the clues name directly, in one repository."""
    found: dict[tuple[str, int, int], Region] = {}
    outlines: dict[str, tuple[list[Definition], list[str]]] = {}
    for spot in spots:
        if spot.repo != repo:
            continue
        if spot.path not in outlines:
            text = read(spot.path) or ""
            outlines[spot.path] = (outline(spot.path, text), text.splitlines())
        definitions, lines = outlines[spot.path]
        region = _region(spot, definitions, lines)
        found.setdefault((region.path, region.start, region.line or 0), region)
    return _pipes_last(list(found.values()), {path: lines for path, (_, lines) in outlines.items()})


def _pipes_last(regions: list[Region], texts: Mapping[str, Sequence[str]]) -> list[Region]:
    """Those that only hand on count as farther from the failure than all the others."""
    depths = sorted(one.depth for one in regions)
    ordered = sorted(regions, key=lambda one: (_is_pipe(one, texts[one.path]), one.depth))
    counted = {id(one): depth for one, depth in zip(ordered, depths, strict=True)}
    return [replace(one, depth=counted[id(one)], failing=one.depth == 0) for one in regions]


def _is_pipe(region: Region, lines: Sequence[str]) -> bool:
    if region.line is None or region.kind != "body" or not region.path.endswith(".py"):
        return False
    return hands_on(lines[region.start - 1 : region.end], region.line - region.start + 1)


def _region(spot: Spot, definitions: Sequence[Definition], lines: Sequence[str]) -> Region:
    place = around(definitions, spot.line) if spot.line else None
    if place is None and spot.name:
        place = named(definitions, lines, spot.name)
    line = spot.line if spot.line and spot.line <= len(lines) else None
    if place is None:
        return Region(spot.path, 1, len(lines), "", spot.path, spot.depth, "file", line)
    return Region(spot.path, place.start, place.end, place.name, place.qualname, spot.depth, "body", line)


@dataclass(frozen=True)
class Called:
    """A name that code of the clues calls or reads: how far from the failure, and whether on its very line."""

    depth: int
    on_line: bool


def called_by(regions: Sequence[Region], read: Read) -> dict[str, Called]:
    """The names that the innermost regions call, and the constants they read."""
    found: dict[str, Called] = {}
    for region in sorted(regions, key=lambda one: one.depth)[:INNERMOST]:
        text = (read(region.path) or "").splitlines()
        if region.kind == "file":
            continue
        on_line = set(_used(text[region.line - 1])) if region.line else set()
        for number in range(region.start, min(region.end, len(text)) + 1):
            for name in _used(text[number - 1]):
                if name != region.name:
                    found.setdefault(name, Called(region.depth, name in on_line))
    return found


def _used(line: str) -> list[str]:
    return [name for name in (*_CALLED.findall(line), *_CONSTANT.findall(line)) if name not in _COMMON]


@dataclass(frozen=True)
class Use:
    """A line of running code in which a name stands."""

    path: str
    number: int
    text: str


def uses_of(names: Sequence[str], repository: Repository, release: str) -> list[Use]:
    """Every line of running code in which one of the names stands, tests and documentation aside."""
    if not names:
        return []
    folders = sorted({path.partition("/")[0] for path in repository.paths(release) if runs(path)})
    found = repository.history.grep(release, "|".join(names), folders)
    return [Use(path, number, line) for path, number, line in found if runs(path)]


def looked_up(called: Mapping[str, Called]) -> list[str]:
    """The names whose definitions are looked for: those on the failing line and nearest to the failure."""
    return sorted(called, key=lambda name: (not called[name].on_line, called[name].depth))[:CALLEE_NAMES]


def callees_of(
    called: Mapping[str, Called], own: Sequence[Region], uses: Sequence[Use], read: Read
) -> list[Region]:
    """Where the names are defined, as far as `uses` has their lines; a name of many definitions says little."""
    known = {(region.path, region.name) for region in own}
    names = set(looked_up(called))
    places: dict[str, list[Use]] = {}
    for use in uses:
        name = defined_in(use.text)
        if name in names:
            places.setdefault(name, []).append(use)
    outlines: dict[str, list[Definition]] = {}
    found = []
    for name, some in places.items():
        for use in some if len(some) <= DEFINITIONS else ():
            one = _defined_at(name, use, outlines, read)
            depth, on_line = called[name].depth, called[name].on_line
            if (use.path, name) not in known:
                found.append(
                    Region(
                        use.path, one.start, one.end, name, one.qualname, depth, "callee", None, on_line, True
                    )
                )
    return found


def defined_in(line: str) -> str:
    """The function or constant that a line begins to define, or nothing."""
    found = _DEFINES.match(line)
    return next((group for group in found.groups() if group), "") if found else ""


def _defined_at(name: str, use: Use, outlines: dict[str, list[Definition]], read: Read) -> Definition:
    """The definition whose first line this is; of a constant its line, with the lines of a table that begins there."""
    text = read(use.path) or ""
    if use.path not in outlines:
        outlines[use.path] = outline(use.path, text)
    for one in outlines[use.path]:
        if one.name == name and one.start <= use.number <= one.start + 20 and use.number <= one.end:
            return one
    return Definition(name, name, use.number, _end_of_table(text.splitlines(), use.number))


def _end_of_table(lines: Sequence[str], start: int) -> int:
    open_brackets = 0
    for number in range(start, min(len(lines), start + TABLE) + 1):
        line = lines[number - 1]
        open_brackets += sum(line.count(sign) for sign in "([{") - sum(line.count(sign) for sign in ")]}")
        if open_brackets <= 0:
            return number
    return start
