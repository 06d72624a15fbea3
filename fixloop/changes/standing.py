"""How a change stands beside the others that touched the same functions: which in the row it is, by age, by what is new
in it and by what it still owns; and how much it changed for the size of the function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, sqrt

from fixloop.changes.evidence import Scene, Suspect

DAY = 86400.0
LINE = 5  # words of meaning in a line
FEW = 20  # words from which on more of them say little more


def stand(scene: Scene, suspects: Sequence[Suspect], table: Mapping[str, dict[str, float]]) -> None:
    """Put the numbers into the table, change by change; `suspects` from the newest."""
    own = [number for number, region in enumerate(scene.regions) if region.own]
    near = {number: 1.0 / (1.0 + scene.regions[number].depth) for number in own}
    met = [one for one in suspects if any(n in one.touched or n in one.body for n in own)]
    _rows(met, near, table)
    inside = {one.change.sha for one in met}
    for one in suspects:
        vector = table[one.change.sha]
        days = max(scene.newest - one.change.committed, 0) / DAY
        vector |= {
            "fresh_days": exp(-days / 2),
            "fresh_months": exp(-days / 60),
            "fresh_year": exp(-days / 200),
        }
        if one.change.sha in inside:
            vector |= {"inside": 1.0, "inside_fresh": exp(-days / 14), "inside_months": exp(-days / 90)}
        for number, mark in one.touched.items():
            if number in near:
                length = max(scene.regions[number].end - scene.regions[number].start + 1, 1)
                _most(vector, "part_new", near[number] * min(mark.novel / (LINE * length), 1.0))
                _most(vector, "part_lines", near[number] * min((mark.added + mark.removed) / length, 1.0))
                _most(vector, "some_new", near[number] * mark.novel / (FEW + mark.novel))
    _words(scene, suspects, near, table)


def _rows(met: Sequence[Suspect], near: Mapping[int, float], table: Mapping[str, dict[str, float]]) -> None:
    """The places in three rows: the newest first, the one with the most that is new, the one that owns the most."""
    new = {
        one.change.sha: sum(near[n] * mark.novel for n, mark in one.touched.items() if n in near)
        for one in met
    }
    owned = {one.change.sha: sum(wrote for n, wrote in one.body.items() if n in near) for one in met}
    rows = {
        "row_age": met,
        "row_new": sorted(met, key=lambda one: -new[one.change.sha]),
        "row_owned": sorted(met, key=lambda one: -owned[one.change.sha]),
    }
    for name, row in rows.items():
        for place, one in enumerate(row):
            table[one.change.sha][name] = 1 / (1 + place)
    if len(met) == 1:
        table[met[0].change.sha]["only"] = 1.0


def _words(
    scene: Scene,
    suspects: Sequence[Suspect],
    near: Mapping[int, float],
    table: Mapping[str, dict[str, float]],
) -> None:
    """What of the words of each function a change wrote: of all of them, and of those that anybody at hand wrote."""
    for number, total in scene.words.items():
        written = sum(one.words.get(number, 0) for one in suspects)
        for one in suspects if written else ():
            if one.words.get(number):
                vector, wrote = table[one.change.sha], one.words[number]
                _most(vector, "word_share", near[number] * sqrt(wrote / total))
                _most(vector, "word_part", near[number] * wrote / written)


def _most(vector: dict[str, float], name: str, value: float) -> None:
    if value > vector.get(name, 0.0):
        vector[name] = value
