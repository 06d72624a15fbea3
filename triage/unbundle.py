"""Frames of a JavaScript bundle, told as the files that they were built from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from store.event import Event, ExceptionValue, Frame
from triage.languages.javascript import JavaScript
from triage.paths import common_suffix, installed, is_standard, normal
from triage.source_maps import Place, SourceMap

CONTEXT = "source_maps"
_BUNDLES = (".js", ".mjs", ".cjs", ".jsbundle", ".bundle", ".hbc")
_PLATFORMS = frozenset({"javascript", "node", "other"})
_AROUND = 5  # lines of context on each side
_LONGEST = 400  # characters of a line
_MINIFIED = 2  # characters of a name that a minifier may have made
_TOLD = 20  # frames of which it is kept where they stood in the bundle
_JAVASCRIPT = JavaScript()

Finder = Callable[[str], SourceMap | None]  # from a bundle's path, as the frame says it, to its map


def is_bundled(frame: Frame) -> bool:
    """Whether a frame may be in a bundle: it says a line and a column of a script that is no package's."""
    path = normal(frame.abs_path or frame.filename or "")
    if not (frame.lineno and frame.colno and path.endswith(_BUNDLES)):
        return False
    return installed(path) is None and not is_standard(path)


def may_be_bundled(event: Event) -> bool:
    """Whether it is worth looking for source maps. What was told by them already is not looked at again."""
    if event.platform not in _PLATFORMS or "frames" in (event.contexts.get(CONTEXT) or {}):
        return False
    return any(is_bundled(frame) for raised in event.exceptions for frame in raised.frames)


def unbundled(event: Event, find: Finder) -> Event:
    """The event with every frame that a map knows told as its original; the same event where none is. What a frame
    said before is kept in `contexts["source_maps"]["frames"]`."""
    told: list[str] = []
    exceptions = tuple(_unbundled(raised, find, told) for raised in event.exceptions)
    if not told:
        return event
    known = event.contexts.get(CONTEXT)
    kept = {**(known if isinstance(known, dict) else {}), "frames": told[:_TOLD], "mapped": len(told)}
    return event.model_copy(update={"exceptions": exceptions, "contexts": {**event.contexts, CONTEXT: kept}})


def best_named(path: str, names: Iterable[str]) -> str | None:
    """The one of the names (of bundles) that shares the longest end with a path, at least the file's name; None where
    none does or several do alike."""
    wanted = normal(path)
    shared = sorted(
        ((common_suffix(wanted, normal(name).removeprefix("~/")), name) for name in names), reverse=True
    )
    if not shared or shared[0][0] == 0:
        return None
    return None if len(shared) > 1 and shared[1][0] == shared[0][0] else shared[0][1]


def _unbundled(raised: ExceptionValue, find: Finder, told: list[str]) -> ExceptionValue:
    places = [_place(frame, find) for frame in raised.frames]
    frames = []
    for at, (frame, place) in enumerate(zip(raised.frames, places, strict=True)):
        if place is None:
            frames.append(frame)
            continue
        told.append(
            f"{frame.abs_path or frame.filename}:{frame.lineno}:{frame.colno} {frame.function or ''}".strip()
        )
        frames.append(_original(frame, place, places[at - 1] if at else None))
    return raised.model_copy(update={"frames": tuple(frames)}) if any(places) else raised


def _place(frame: Frame, find: Finder) -> Place | None:
    if not is_bundled(frame):
        return None
    found = find(frame.abs_path or frame.filename or "")
    return found.original(frame.lineno or 0, frame.colno or 0) if found else None


def _original(frame: Frame, place: Place, caller: Place | None) -> Frame:
    """The function is the one around the line in the original; where the map has no text, what the caller calls
    there; else the bundle's name stays."""
    lines: Sequence[str] = place.text.splitlines() if place.text else ()
    around = _around(place, frame) if place.text else None
    at = place.line - 1
    there = at < len(lines)
    return frame.model_copy(
        update={
            "function": around or (caller.name if caller else None) or frame.function,
            "module": None,
            "filename": place.source,
            "abs_path": place.source,
            "lineno": place.line,
            "colno": place.column,
            "in_app": _JAVASCRIPT.in_app(place.source),
            "pre_context": _bounded(lines[max(0, at - _AROUND) : at]) if there else (),
            "context_line": lines[at][:_LONGEST] if there else None,
            "post_context": _bounded(lines[at + 1 : at + 1 + _AROUND]) if there else (),
        }
    )


def _around(place: Place, frame: Frame) -> str | None:
    """The definition around the line; with the method's name where the bundle kept it, as names of properties are."""
    found = _JAVASCRIPT.symbol_at(place.text or "", place.line)
    method = re.split(r"[.# ]", frame.function or "")[-1]
    if found is None or len(method) <= _MINIFIED or found.split(".")[-1] == method:
        return found
    above = "\n".join((place.text or "").splitlines()[: place.line])
    return f"{found}.{method}" if re.search(rf"\b{re.escape(method)}\s*[(=:]", above) else found


def _bounded(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line[:_LONGEST] for line in lines)
