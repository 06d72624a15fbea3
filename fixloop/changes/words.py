"""Why a change is suspected, in words, with the hunk that touches the place; and its time-line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fixloop.changes.clues import Clues
from fixloop.changes.evidence import Scene, Suspect, names_changed
from fixloop.changes.kinds import MASS, is_tidying
from fixloop.changes.regions import Region
from store.commits import Hunk

REASONS = 5  # that are kept of each change
SHOWN = 3  # hunks that are shown
LINES = 40  # of them
_ROLES = {"caller": "which calls it", "reads": "which the code names"}


def reasons(suspect: Suspect, scene: Scene, clues: Clues) -> tuple[str, ...]:
    """What speaks for (and against) a change, the strongest first."""
    said = dict.fromkeys([*_against(suspect), *_for(suspect, scene, clues)])
    return tuple(said)[:REASONS]


def _against(suspect: Suspect) -> Iterator[str]:
    if suspect.reverted_by:
        yield f"was reverted by {suspect.reverted_by[:10]}"


def _for(suspect: Suspect, scene: Scene, clues: Clues) -> Iterator[str]:
    for number in _nearest(suspect.lines, scene):
        region = scene.regions[number]
        what = "the failing line" if region.failing else "a line of the trace,"
        yield f"wrote {what} {region.path}:{region.line}"
    yield from _names(suspect, clues)
    for number in _nearest({**suspect.body, **suspect.touched}, scene)[:3]:
        yield _on_region(suspect, scene.regions[number], number)
    if suspect.bumps:
        yield f"changes pinned dependencies: {', '.join(map(str, suspect.bumps[:3]))}"
    files = sorted(suspect.in_files)
    if files:
        what = "a test of the trace" if set(files) <= scene.tests else "a file of the trace"
        yield f"touches {what}, {files[0]}" + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    shared = sorted(clues.words & suspect.identifiers)
    if shared:
        yield f"speaks of {', '.join(shared[:4])}, as the trace does"
    if len(suspect.files) > MASS or is_tidying(suspect.change.subject, suspect.files):
        yield f"touches {len(suspect.files)} files: moves or reformatting count less"


def _names(suspect: Suspect, clues: Clues) -> Iterator[str]:
    added, removed = names_changed(suspect.hunks, clues.names)
    if removed - added:
        yield f"drops {', '.join(sorted(removed - added))}"
    if added - removed:
        yield f"begins to use {', '.join(sorted(added - removed))}"


def _nearest(numbers: dict[int, object] | dict[int, int], scene: Scene) -> list[int]:
    order = {"body": 0, "callee": 1, "caller": 2, "reads": 3, "file": 4}
    return sorted(numbers, key=lambda n: (order[scene.regions[n].kind], scene.regions[n].depth, n))


def _on_region(suspect: Suspect, region: Region, number: int) -> str:
    name = region.title if region.kind != "file" else f"the body of {region.path}"
    role = "which the trace calls" if region.called else _ROLES.get(region.kind)
    where = f"{name}, {role}" if role else name
    mark, wrote = suspect.touched.get(number), suspect.body.get(number, 0)
    length = region.end - region.start + 1
    if mark is not None and region.kind in _ROLES:  # nobody asked who wrote its lines
        return f"changed {where} (+{mark.added} −{mark.removed})"
    if mark is not None and mark.defines and not mark.redefines:
        return f"introduced {where} ({wrote} of {length} lines are still its)"
    if mark is not None and mark.redefines:
        return f"changed the signature of {where} (+{mark.added} −{mark.removed})"
    if mark is not None:
        kept = f"; {wrote} of {length} lines are its" if wrote else "; none of its lines stand there today"
        return f"changed {where} (+{mark.added} −{mark.removed}{kept})"
    return f"wrote {wrote} of the {length} lines of {where}"


def touching(suspect: Suspect, scene: Scene, clues: Clues) -> str | None:
    """The hunks that touch the regions or the missing name, as a diff without context; None where there are none."""
    paths = {region.path for region in scene.regions}
    ordered = sorted(suspect.hunks, key=lambda hunk: -_weight(hunk, paths, scene, clues, scene.first_names))
    chosen = [hunk for hunk in ordered if _weight(hunk, paths, scene, clues, scene.first_names) > 0][:SHOWN]
    room, parts = LINES, list[str]()
    for hunk in chosen:
        size = len(hunk.added) + len(hunk.removed)
        if parts and size > room:
            break
        room -= size
        parts.append(_unified(hunk))
    return "".join(parts) or None


def _weight(hunk: Hunk, paths: set[str], scene: Scene, clues: Clues, older: dict[str, str]) -> float:
    path = older.get(hunk.path, hunk.path)
    lines = (*hunk.added, *hunk.removed)
    named = any(name in line for name in clues.names for line in lines)
    inside = any(
        region.path == path
        and region.name
        and (region.name in hunk.symbol or any(region.name in x for x in lines))
        for region in scene.regions
    )
    return 2.0 * named + 1.5 * inside + 1.0 * (path in paths)


def _unified(hunk: Hunk) -> str:
    head = f"--- a/{hunk.path}\n+++ b/{hunk.path}\n"
    numbers = f"@@ -{hunk.old_start},{hunk.old_lines} +{hunk.new_start},{hunk.new_lines} @@"
    shown = "".join(f"-{line}\n" for line in hunk.removed) + "".join(f"+{line}\n" for line in hunk.added)
    return f"{head}{numbers} {hunk.symbol}\n{shown}"


@dataclass(frozen=True)
class Exposure:
    """When a change first ran where the incident happened, and where it ran before that. `place` is the environment's
    name, where it is known; `tried` another environment that had it earlier, since when."""

    at: datetime | None = None
    place: str | None = None
    tried: tuple[str, datetime] | None = None


def timeline(
    committed: datetime, merged: datetime | None, exposure: Exposure, failed: Sequence[datetime]
) -> str:
    """Merged, tried, deployed, first failed: an old change is young where it first ran yesterday."""
    came, exposed = merged or committed, exposure.at
    parts = [f"merged {came:%Y-%m-%d}"]
    first = min(failed, default=None)
    if exposure.tried is not None:
        where, since = exposure.tried
        parts.append(f"in {where} since {since:%Y-%m-%d %H:%M}")
    if exposed is not None:
        where = f"in {exposure.place}" if exposure.place else "running"
        parts.append(f"{where} since {exposed:%Y-%m-%d %H:%M}")
    if first is not None:
        ran = exposed or came
        hours = (first - ran).total_seconds() / 3600
        after = f"{hours / 24:.0f} days" if hours >= 48 else f"{max(hours, 0):.0f} hours"
        known = (
            "after it first ran" if exposed is not None else "after that; when it was deployed is not known"
        )
        known += f" there{_soak(exposure, exposed)}" if exposed is not None and exposure.tried else ""
        parts.append(f"first failed {first:%Y-%m-%d %H:%M}, {after} {known}")
    return ", ".join(parts)


def _soak(exposure: Exposure, exposed: datetime) -> str:
    """How long the other environment had it without this failure."""
    if exposure.tried is None:
        return ""
    days = (exposed - exposure.tried[1]).days
    return f" and {days} days later than in {exposure.tried[0]}" if days > 0 else ""
