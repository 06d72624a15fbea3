"""Which files of tests reach what a patch changes, by the names and the imports in them: those are run first.

A guess about order and never about what is run: the whole suite follows all the same. A test that reaches the change
through other modules only, and names nothing of it, is not found here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from fixloop import Repository
from fixloop.blocks import Block, by_file
from fixloop.judging.covered import added
from fixloop.reproduce.syntax import functions, parse
from fixloop.running.worlds import CONVENTIONAL_ROOTS
from fixloop.situation import is_test

MOST = 30  # files of tests that are run first
_FILE = re.compile(r"(?:test_.*|.*_tests?|tests?)\.py")
_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|.*)|import[ \t]+(.+))", re.M)
_WORD = re.compile(r"\w+")


def test_files(mirror: Repository, commit: str) -> dict[str, str]:
    """The files of tests at a commit, with their texts."""
    paths = [
        path for path in mirror.paths(commit) if is_test(path) and _FILE.fullmatch(PurePosixPath(path).name)
    ]
    blobs = mirror.blobs(commit, paths)
    return {path: blob.decode("utf-8", "replace") for path, blob in blobs.items() if blob is not None}


def reaching(
    tests: Mapping[str, str],
    blocks: Sequence[Block],
    old: Mapping[str, str | None],
    new: Mapping[str, str | None],
    roots: Sequence[str] = (),
) -> tuple[str, ...]:
    """Those of the files that name a changed definition and import from where it stands, the likeliest first; where
    none does, those that import a changed module. Empty where no file says that it reaches the change. `roots`: folders
    on the import path, beside the conventional ones."""
    named, imported = [], []
    for path, mine in by_file(blocks).items():
        names = _definitions(old.get(path), ((b.start, b.start + max(0, len(b.old) - 1)) for b in mine))
        names |= _definitions(new.get(path), added(mine))
        module = _module(path, roots)
        for file, text in tests.items():
            brought = _imports(text)
            counted = sum(word in names for word in _WORD.findall(text)) if names else 0
            whole = any(one == module or one.startswith(f"{module}.") for one in brought)
            near = whole or any(one.partition(".")[0] == module.partition(".")[0] for one in brought)
            meant = _meant(file, module)
            if meant or (counted and near):
                named.append((not (whole and counted), not meant, -counted, file))
            elif whole:
                imported.append((False, False, 0, file))
    chosen = [file for *_, file in sorted(named or imported)]
    return tuple(dict.fromkeys(chosen))[:MOST]


def _definitions(text: str | None, spans: Iterable[tuple[int, int]]) -> set[str]:
    """What a test calls the definitions at these lines by: the function, or its class where it is a method."""
    tree = parse(text) if text else None
    if tree is None:
        return set()
    wanted, names = list(spans), set()
    for function in functions(tree):
        first, last = function.node.lineno, function.node.end_lineno or function.node.lineno
        if any(start <= last and end >= first for start, end in wanted):
            parts = function.qualname.split(".")
            names.add(parts[0])
            if not function.nested and not parts[-1].startswith("__"):
                names.add(parts[-1])
    return names


def _module(path: str, roots: Sequence[str]) -> str:
    """The dotted name by which a file is imported: from the deepest folder on the import path that it is in."""
    pure = PurePosixPath(path)
    above = [PurePosixPath(root) for root in (*roots, *CONVENTIONAL_ROOTS) if pure.is_relative_to(root)]
    deepest = max(above, key=lambda root: len(root.parts), default=PurePosixPath())
    parts = pure.relative_to(deepest).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _imports(text: str) -> set[str]:
    """Dotted names that a file imports; of `from a import b` both `a` and `a.b`."""
    found: set[str] = set()
    for place, names, plain in _IMPORT.findall(text):
        if place:
            found.add(place)
            found |= {f"{place}.{name}" for name in _WORD.findall(names)}
        else:
            found |= {one.split()[0] for one in plain.split(",") if one.split()}
    return found


def _meant(file: str, module: str) -> bool:
    """Whether a file of tests is called after a module."""
    name = PurePosixPath(file).stem.removeprefix("test_").removesuffix("_tests").removesuffix("_test")
    return name.strip("_") == module.rpartition(".")[2].strip("_")
