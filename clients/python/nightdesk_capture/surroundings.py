"""What stands around a failure when it is reported: the variables that its code names, the clock, what it runs on.

All of it is read when an error is sent, so a request without one pays nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import platform
import re
import sys
import threading
import time
import tracemalloc
import types
from functools import lru_cache
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Tuple

from nightdesk_capture.peek import is_library_file

MODULES = 40  # whose source is read for the names of variables
SOURCE = 512 * 1024  # bytes of one
TOGETHER = 40  # threads, tasks
_ASKED = re.compile(r"""(?:environ(?:\.get)?|getenv|\benv(?:\.\w+)?)\s*[\[(]\s*["']([A-Za-z_]\w{0,99})["']""")
_LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "requirements.txt")
_IMAGE = ("IMAGE_DIGEST", "CONTAINER_IMAGE_DIGEST")
HINT = "debug-replay-hint"  # of a span: "off" for no capsule, "more" for all that can be had
_HINT = re.compile(r"debug[-_.]replay[-_.]hint|.*\bseed\b.*|decision[-_.].*", re.IGNORECASE)


def environment(frames: Iterable[types.FrameType]) -> Dict[str, Any]:
    """Environment variables that the modules of these frames name, and the modules of the application that those
    use; None for one that is not set."""
    found: Dict[str, Any] = {}
    for file in _files(frames):
        for name in _names(file):
            found[name] = os.environ.get(name)
    return found


def _files(frames: Iterable[types.FrameType]) -> Iterator[str]:
    seen: Dict[str, None] = {}
    for frame in frames:
        for names in _near(frame.f_globals):
            file = names.get("__file__")
            if type(file) is str and file not in seen and not is_library_file(file) and len(seen) < MODULES:
                seen[file] = None
                yield file


def _near(names: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    """The names of a module, and of the modules that it has things of."""
    yield names
    modules = dict.fromkeys(
        value.__name__ if type(value) is types.ModuleType else getattr(value, "__module__", None)
        for value in list(names.values())
        if type(value) in (types.ModuleType, types.FunctionType, type)
    )
    for name in modules:
        module = sys.modules.get(name) if type(name) is str else None
        if type(module) is types.ModuleType:
            yield vars(module)


@lru_cache(maxsize=512)
def _names(file: str) -> Tuple[str, ...]:
    try:
        with io.FileIO(file) as opened:
            text = opened.read(SOURCE).decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(dict.fromkeys(_ASKED.findall(text)))


def clock() -> Dict[str, Any]:
    """The time, and the zone in which the process tells it."""
    return {
        "now": time.time(),
        "zone": list(time.tzname),
        "offset": time.localtime().tm_gmtoff,
        "tz": os.environ.get("TZ"),
    }


def manifest(event: Mapping[str, Any]) -> Dict[str, Any]:
    """What the application runs on."""
    found: Dict[str, Any] = {
        "release": event.get("release"),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform} {platform.machine()}",
        "hash_seed": os.environ.get("PYTHONHASHSEED") or ("random" if sys.flags.hash_randomization else "0"),
        "image": next((os.environ[name] for name in _IMAGE if name in os.environ), None),
        "lock": _lock(),
    }
    return {name: value for name, value in found.items() if value is not None}


@lru_cache(maxsize=1)
def _lock() -> Any:
    """Name and hash of the lock file that lies where the process runs."""
    for name in _LOCKS:
        try:
            with io.FileIO(name) as file:
                return [name, hashlib.sha256(file.read(8 << 20)).hexdigest()]
        except OSError:
            continue
    return None


def together() -> Dict[str, List[List[str]]]:
    """Who else ran: other threads and the tasks of this loop, each with its innermost own place."""
    frames, names = sys._current_frames(), {one.ident: one.name for one in threading.enumerate()}
    threads = [[names.get(key) or str(key), _where(frame)]
               for key, frame in frames.items() if key != threading.get_ident()]  # fmt: skip
    try:
        tasks = [
            [task.get_name(), getattr(task.get_coro(), "__qualname__", "")] for task in asyncio.all_tasks()
        ]
    except RuntimeError:  # there is no loop here
        tasks = []
    found = {"threads": threads[:TOGETHER], "tasks": tasks[:TOGETHER]}
    return {name: every for name, every in found.items() if every}


def _where(frame: Any) -> str:
    """The innermost place of the application; and the library's call in which it waits, where it does."""
    inner = frame.f_code.co_name
    while frame is not None and is_library_file(frame.f_code.co_filename):
        frame = frame.f_back
    own = f"{frame.f_globals.get('__name__', '')}:{frame.f_code.co_name}:{frame.f_lineno}" if frame else ""
    return f"{own} in {inner}"


def memory() -> List[List[Any]]:
    """The lines that hold most memory, where tracemalloc is on."""
    if not tracemalloc.is_tracing():
        return []
    top = tracemalloc.take_snapshot().statistics("lineno")[:10]
    return [[f"{one.traceback[0].filename}:{one.traceback[0].lineno}", one.size, one.count] for one in top]


def hints(event: Mapping[str, Any]) -> Dict[str, Any]:
    """What the application says of its replay on the span that failed: `debug-replay-hint`, seeds, decisions."""
    trace = (event.get("contexts") or {}).get("trace") or {}
    return {
        str(name): value
        for name, value in dict(trace.get("data") or {}).items()
        if _HINT.fullmatch(str(name))
    }


def flags(event: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Feature flags as the SDK has noted them."""
    values = ((event.get("contexts") or {}).get("flags") or {}).get("values") or []
    return [{"flag": one["flag"], "result": one["result"]} for one in list(values) if type(one) is dict]
