"""One capsule: what a test of this error needs, inside a budget of bytes and of time, redacted, in order of importance.

First what came in (the request or the job), then the application's own frames, from the one that failed outwards, then
what the request met: answers of other services, rows, and what stood around it. What did not fit is named under `cut`;
what was taken out, under `redacted`.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from types import FrameType, TracebackType
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from nightdesk_capture import library
from nightdesk_capture.calls import CALLS_OF_THE_PROCESS, arguments
from nightdesk_capture.encode import Encoder, slim
from nightdesk_capture.entry import entry_of
from nightdesk_capture.limits import LEVELS, Limits
from nightdesk_capture.peek import is_library_file
from nightdesk_capture.rules.capsule_walk import CapsuleRedactor
from nightdesk_capture.settings import Settings
from nightdesk_capture.trail import Trail
from nightdesk_capture.world import world_of

VERSION = 1
CONTENT_TYPE = "application/vnd.nightdesk.capsule+json"
FILENAME = "nightdesk-capsule.json.gz"
FAILED = gzip.compress(b'{"version":1,"failed":true}', mtime=0)  # made now: later it might not be possible
MOST_MARKS = 200  # of what was cut
MOST_FRAMES = 5_000  # that are walked in a deep recursion

__all__ = ["CONTENT_TYPE", "FAILED", "FILENAME", "VERSION", "build", "library"]


def build(
    trace: Optional[TracebackType],
    event: Mapping[str, Any],
    chosen: Settings,
    redactor: CapsuleRedactor,
    trail: Optional[Trail] = None,
) -> bytes:
    """The capsule of an error as it is sent: JSON, gzipped, at most the budget large. What goes wrong with the finest
    bounds may go well with coarser ones; else there is a capsule that says that there is none."""
    until = time.monotonic() + chosen.seconds
    for limits in LEVELS:
        try:
            packed = _packed(_content(trace, event, chosen, limits, until, trail or Trail()), redactor, until)
        except Exception:  # nothing of ours may reach the application
            packed = FAILED
        if packed is not FAILED and len(packed) <= chosen.budget:
            return packed
    return FAILED


def _packed(content: Dict[str, Any], redactor: CapsuleRedactor, until: float) -> bytes:
    clean, rows = redactor.redact(content, lambda: time.monotonic() > until)
    clean["redacted"] = [list(row) for row in rows]
    return gzip.compress(json.dumps(clean, separators=(",", ":")).encode("utf-8", "replace"), 6, mtime=0)


def _content(
    trace: Optional[TracebackType],
    event: Mapping[str, Any],
    chosen: Settings,
    limits: Limits,
    until: float,
    trail: Trail,
) -> Dict[str, Any]:
    encoder = Encoder(limits, until, chosen.denies)
    entry: Dict[str, Any] = {}
    every = list(_innermost_first(trace, _own_places(event)))
    own = [pair for pair in every
           if "locals" not in chosen.parts_off and not chosen.is_off(_place(pair[0]))]  # fmt: skip
    if "entry" not in chosen.parts_off:
        off = chosen.parts_off if len(own) == len(every) else chosen.parts_off | {"locals"}
        entry = {name: encoder.attribute(name, item, f"/entry/{name}", -1)
                 for name, item in entry_of(event, trace, off).items()}  # fmt: skip
    if len(own) > limits.frames:
        encoder.cut["/frames"] = f"{len(own) - limits.frames} of {len(own)} frames, in the middle"
        half = limits.frames // 2
        own = [*own[:half], *own[-half:]]
    kept: Dict[int, Dict[str, Any]] = {}
    for place in _by_importance(len(own)):
        frame, line = own[place]
        kept[place] = _frame(frame, line, place, encoder)
    frames = [kept[place] for place in range(len(own))]
    world = world_of(trail, [frame for frame, _ in own], event, chosen, encoder, limits)
    return {
        "version": VERSION,
        "python": ".".join(map(str, sys.version_info[:3])),
        "entry": {name: slim(node) for name, node in entry.items()},
        "frames": [
            {
                name: {key: slim(node) for key, node in part.items()} if type(part) is dict else part
                for name, part in frame.items()
            }
            for frame in frames
        ],
        **world,
        "cut": dict(list(encoder.cut.items())[:MOST_MARKS]),
    }


def _by_importance(count: int) -> Iterator[int]:
    """Places of frames, 0 the one that failed: from both ends to the middle. A test calls as far outside as it can."""
    for step in range((count + 1) // 2):
        yield step
        if count - 1 - step != step:
            yield count - 1 - step


def _frame(frame: FrameType, line: int, place: int, encoder: Encoder) -> Dict[str, Any]:
    """A frame with its arguments first: when room ends, they are there."""
    code = frame.f_code
    local = frame.f_locals
    taken = code.co_varnames[: arguments(code)]
    names = dict.fromkeys([*taken, *(local if type(local).__module__ == "builtins" else ())])
    found = {}
    for name in names:
        if type(name) is str and name in local and not _is_ours(name):
            found[name] = encoder.attribute(name, local[name], f"/frames/{place}/vars/{name}", -1)
    made = {
        "function": code.co_name,
        "module": str(frame.f_globals.get("__name__", "")),
        "line": line,
        "vars": found,
    }
    called = CALLS_OF_THE_PROCESS.changed(frame)
    if called:
        made["called"] = {
            name: encoder.attribute(name, item, f"/frames/{place}/called/{name}", -1)
            for name, item in called.items()
        }
    return made


def _is_ours(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _place(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '')}:{frame.f_code.co_name}"


def _innermost_first(
    trace: Optional[TracebackType], own: "Set[Tuple[str, int]]"
) -> Iterator[Tuple[FrameType, int]]:
    """The application's own frames. `own` are the places that the SDK calls so; without any, the path decides."""
    found: List[Tuple[FrameType, int]] = []
    while trace is not None and len(found) < MOST_FRAMES:
        frame, line = trace.tb_frame, trace.tb_lineno
        path = frame.f_code.co_filename
        if (path, line) in own if own else not is_library_file(path):
            found.append((frame, line))
        trace = trace.tb_next
    return iter(found[::-1])


def _own_places(event: Mapping[str, Any]) -> "Set[Tuple[str, int]]":
    values = (event.get("exception") or {}).get("values") or []
    frames = ((values[-1].get("stacktrace") or {}).get("frames") or []) if values else []
    return {
        (str(frame.get("abs_path")), int(frame.get("lineno") or 0)) for frame in frames if frame.get("in_app")
    }
