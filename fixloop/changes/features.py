"""The evidence against a change as numbers, and each number as words. What a number weighs stands in `weights.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import exp, log1p, sqrt

from fixloop.changes.clues import Clues
from fixloop.changes.evidence import Scene, Suspect, identifiers_of, names_changed
from fixloop.changes.kinds import MASS, is_tidying, runs, words_of
from fixloop.changes.regions import Region
from fixloop.changes.standing import stand
from fixloop.situation import is_test

Vector = dict[str, float]
DAY = 86400.0
FROM_HUNKS = frozenset(
    f"{place}_{what}"
    for place in ("body", "whole", "callee", "caller", "reads")
    for what in ("touch", "added", "removed", "novel", "logic", "redefines")
) | {
    "words", "asked", "mentions", "size", "focus", "drops", "begins", "handles", "defines", "redefines", "mended",
    "spread", "row_new", "part_new", "part_lines", "some_new",
}  # fmt: skip
_SUBJECT = re.compile(r"[a-z_]\w{3,}")


def vectors(scene: Scene, clues: Clues) -> dict[str, Vector]:
    """Change -> its features, for all that can have a part in it: those that touch only tests or prose are out."""
    suspects = [one for one in scene.suspects.values() if _can_matter(one)]
    suspects.sort(key=lambda one: (-one.change.committed, one.change.sha))
    table = {one.change.sha: _alone(one, scene) for one in suspects}
    _by_region(scene, suspects, table)
    _by_file(scene, suspects, table)
    _by_words(scene, clues, suspects, table)
    stand(scene, suspects, table)
    for one in suspects:
        if is_tidying(one.change.subject, one.files):  # it speaks of everything, and means nothing by it
            vector = table[one.change.sha]
            table[one.change.sha] = {name: value for name, value in vector.items() if name not in FROM_HUNKS}
    return table


def _can_matter(suspect: Suspect) -> bool:
    if suspect.change.is_merge:
        return bool(suspect.body)  # blame has found it: it resolved a conflict
    return any(runs(path) for path in suspect.files)


def _alone(suspect: Suspect, scene: Scene) -> Vector:
    """What can be said of a change on its own."""
    changed = sum(len(hunk.added) + len(hunk.removed) for hunk in suspect.hunks)
    inside = sum(mark.added + mark.removed for number, mark in suspect.touched.items()
                 if scene.regions[number].own)  # fmt: skip
    days = max(scene.newest - suspect.change.committed, 0) / DAY
    running = [path for path in suspect.files if runs(path)]
    return {
        "files": log1p(len(running)),
        "size": log1p(changed),
        "focus": min(inside / changed, 1.0) if changed else 0.0,
        "mass": float(len(suspect.files) > MASS or is_tidying(suspect.change.subject, suspect.files)),
        "age": log1p(days),
        "fresh": exp(-days / 14),
        "reverted": float(suspect.reverted_by is not None),
        "reverts": float(bool(suspect.change.reverts)),
        "bumps": float(bool(suspect.bumps)),
        "tested": float(any(is_test(path) for path in suspect.files)),
        "moved": float(bool(suspect.moved)),
        "root": float(not suspect.change.parents),
        "merge": float(suspect.change.is_merge),
        **words_of(suspect.change.subject),
    }


def _near(depth: int) -> float:
    return 1.0 / (1.0 + depth)


def _best(vector: Vector, name: str, value: float) -> None:
    if value > vector.get(name, 0.0):
        vector[name] = value


def _by_region(scene: Scene, suspects: Sequence[Suspect], table: Mapping[str, Vector]) -> None:
    """Blame and hunks, region by region. The nearer to the failure, the more it counts; ranks are from the newest."""
    bodies = [n for n, region in enumerate(scene.regions) if region.own]
    for number, region in enumerate(scene.regions):
        near = _near(region.depth)
        length = max(region.end - region.start + 1, 1)
        prefix = "whole" if region.kind == "file" else region.kind
        owners = touchers = 0
        written = sum(one.body.get(number, 0) for one in suspects)
        for one in suspects:
            vector = table[one.change.sha]
            if number in one.lines:
                _best(vector, "line" if region.depth == 0 else "outer_line", near)
            if one.near.get(number):
                _best(vector, "near_line", near * one.near[number] / 7)
            if one.body.get(number):
                owners += 1
                weight = near * (1.0 if region.kind != "callee" or region.on_line else 0.6)
                _best(vector, f"{prefix}_share", weight * sqrt(one.body[number] / length))
                _best(vector, f"{prefix}_newest", weight / owners)
                _best(vector, f"{prefix}_part", weight * one.body[number] / written)
            mark = one.touched.get(number)
            if mark is None:
                continue
            touchers += 1
            _best(vector, f"{prefix}_touch", near / touchers)
            if not region.own:
                _best(vector, f"{prefix}_novel", near * log1p(mark.novel))
            if region.kind == "callee":
                _best(vector, "callee_redefines", near * mark.redefines)
            if not region.own:
                continue
            _best(vector, f"{prefix}_added", near * log1p(mark.added))
            _best(vector, f"{prefix}_removed", near * log1p(mark.removed))
            _best(vector, f"{prefix}_novel", near * log1p(mark.novel))
            _best(vector, f"{prefix}_logic", near * log1p(mark.logic))
            _best(vector, "mended", near * log1p(_mended(one, number, suspects)))
            _best(vector, "defines", near * (mark.defines and not mark.redefines))
            _best(vector, "redefines", near * mark.redefines)
    titles = {word for n in bodies for word in _title_words(scene.regions[n])}
    for one in suspects:
        spoken = set(_SUBJECT.findall(one.change.subject.lower()))
        table[one.change.sha]["says_place"] = float(bool(titles & spoken))
        met = [n for n in bodies if n in one.touched or one.body.get(n)]
        table[one.change.sha]["spread"] = len(met) / len(bodies) if len(bodies) > 1 else 0.0


def _mended(suspect: Suspect, number: int, suspects: Sequence[Suspect]) -> int:
    """How many later changes came back to the region within two weeks: what needs mending was not right."""
    at = suspect.change.committed
    return sum(number in one.touched and 0 < one.change.committed - at <= 14 * DAY for one in suspects)


def _title_words(region: Region) -> set[str]:
    """How a first line would speak of the place: its names and its file."""
    stem = region.path.rpartition("/")[2].partition(".")[0]
    return set(_SUBJECT.findall(f"{region.title} {stem}".lower())) - {"__init__", "main"}


def _by_file(scene: Scene, suspects: Sequence[Suspect], table: Mapping[str, Vector]) -> None:
    ranks: dict[str, int] = {}
    for one in suspects:
        vector = table[one.change.sha]
        for path in one.in_files:
            ranks[path] = ranks.get(path, 0) + 1
            if path in scene.tests:
                _best(vector, "test_newest", 1 / ranks[path])
            else:
                _best(vector, "file_newest", scene.files.get(path, 0.0) / ranks[path])
        vector["elsewhere"] = float(not (one.in_files - scene.tests))


def _by_words(scene: Scene, clues: Clues, suspects: Sequence[Suspect], table: Mapping[str, Vector]) -> None:
    """Identifiers of the trace and of its tests in the changed lines, the rare ones counting more; the names of its
    functions in what is not these functions; and the very name that is missing."""
    spoken = identifiers_of(suspects)
    for name, words in (("words", clues.words), ("asked", scene.asked)):
        rarity = {word: log1p(len(suspects) / (1 + spoken[word])) for word in words}
        total = sum(rarity.values())
        for one in suspects if total else ():
            table[one.change.sha][name] = sum(rarity[word] for word in words & one.identifiers) / total
    for one in suspects:
        vector = table[one.change.sha]
        vector["mentions"] = max(
            (
                _near(region.depth) / (1 + spoken[region.name])
                for number, region in enumerate(scene.regions)
                if region.own and region.name in one.identifiers and number not in one.touched
            ),
            default=0.0,
        )
        added, removed = names_changed(one.hunks, clues.names)
        vector["drops"] = float(bool(removed - added))
        vector["begins"] = float(bool(added - removed))
        vector["handles"] = float(bool(added & removed))
