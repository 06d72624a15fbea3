"""What a function asks of its surroundings: random numbers, files, caches, feature flags.

Environment variables need no hook: which ones the failing code names is read in its source when an error is sent.
"""

from __future__ import annotations

import _random
import builtins
import hashlib
import io
import os
import random
import sys
from time import time
from typing import Any, Callable, Dict, Iterable, List, Sequence, Tuple

from nightdesk_capture.exchanges import Wrap
from nightdesk_capture.peek import is_library_file
from nightdesk_capture.trail import MOST, Note, current

FILE = 16 * 1024  # bytes of a file that is sent with what is in it
_READS = frozenset(
    {"GET", "MGET", "HGET", "HGETALL", "HMGET", "EXISTS", "LRANGE", "SMEMBERS", "ZRANGE", "ZSCORE"}
)
_RANDOM, _BITS = _random.Random.random, _random.Random.getrandbits


# --- random numbers -------------------------------------------------------------------------------------------------


class Drawing(random.Random):
    """The generator behind the functions of `random`, with notes of what it gives."""

    __slots__ = ()

    def random(self) -> float:
        """A number, noted."""
        made = _RANDOM(self)
        _drawn("random", made)
        return made

    def getrandbits(self, k: int, /) -> int:
        """Bits, noted."""
        made = _BITS(self, k)
        _drawn("getrandbits", made)
        return made


def hook_random(module: Any, wrap: Wrap) -> None:
    """The generator that the functions of the module share."""
    shared = module._inst
    if type(shared) is random.Random:
        shared.__class__ = Drawing
        module.random, module.getrandbits = shared.random, shared.getrandbits


def unhook_random() -> None:
    """Leave the generator alone again: whoever draws this much must not pay for it."""
    shared: Any = vars(random)["_inst"]
    if type(shared) is Drawing:
        setattr(shared, "__class__", random.Random)  # noqa: B010 - its type says that it cannot
        random.random, random.getrandbits = shared.random, shared.getrandbits


def _drawn(kind: str, made: Any) -> None:
    try:
        trail = current()
        if trail.is_noted:
            draws = trail.notes["draws"]
            draws.append((kind, made))
            if len(draws) > MOST["draws"]:
                unhook_random()
    except Exception:  # the number is drawn
        return


def told_draws(notes: Sequence[Any]) -> List[List[Any]]:
    """The numbers in order; none where some are not among them, or are too large to be said."""
    found = [[kind, made] for kind, made in list(notes)]
    if type(vars(random)["_inst"]) is not Drawing or any(
        made.bit_length() > 64 for _, made in found if type(made) is int
    ):
        return []
    return found


# --- files ----------------------------------------------------------------------------------------------------------


def hook_open(module: Any, wrap: Wrap) -> None:
    """Files that the application reads."""

    def opening(opened: Any) -> Any:
        def hooked(file: Any, mode: Any = "r", *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            found = opened(file, mode, *args, **words)
            try:
                if "r" in mode and "+" not in mode and type(file) is not int and current().is_noted:
                    caller: Any = sys._getframe(1)
                    while caller.f_globals.get("__name__", "").startswith("pathlib"):
                        caller = caller.f_back  # whoever it was that asked the path
                    if not is_library_file(caller.f_code.co_filename):
                        whole = type(file) is str and file[:1] == "/"
                        current().add("files", (file, "/" if whole else os.getcwd()))
            except Exception:  # the file is open
                return found
            return found

        hooked.__name__ = hooked.__qualname__ = "open"
        return hooked

    wrap(module, "open", opening)
    wrap(io, "open", lambda original: builtins.open)


def told_files(notes: Iterable[Tuple[Any, str]], most: int) -> List[Dict[str, Any]]:
    """The files as they are now, each once: path, size, and where it is small text (at most so many characters) what
    it says."""
    found: Dict[str, Dict[str, Any]] = {}
    for given, folder in list(notes):
        try:
            path = os.fsdecode(os.fspath(given))
            whole = os.path.join(folder, path)
            if path not in found and os.path.isfile(whole) and not is_library_file(whole):
                found[path] = _file(whole, path, min(most, FILE))
        except Exception:  # it is gone, or was never one
            continue
    return list(found.values())


def _file(whole: str, path: str, most: int) -> Dict[str, Any]:
    made: Dict[str, Any] = {"path": path, "size": os.path.getsize(whole)}
    if made["size"] <= most:
        with io.FileIO(whole) as file:
            content = file.read(most)
        made["sha256"] = hashlib.sha256(content).hexdigest()
        try:
            made["content"] = content.decode()
        except UnicodeDecodeError:  # no text: only which it was
            return made
    return made


# --- caches and flags -------------------------------------------------------------------------------------------------


def hook_redis(module: Any, wrap: Wrap) -> None:
    """Reads of redis, and of its asynchronous client."""

    def executing(execute: Any) -> Any:
        def hooked(self: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            found = execute(self, *args, **words)
            _read_of_redis(args, found)
            return found

        return hooked

    def later(execute: Any) -> Any:
        async def hooked(self: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            found = await execute(self, *args, **words)
            _read_of_redis(args, found)
            return found

        return hooked

    wrap(module.Redis, "execute_command", executing)
    wrap(module.asyncio.Redis, "execute_command", later)


def _read_of_redis(args: Any, found: Any) -> None:
    try:
        command = str(args[0]).upper()
        if command in _READS and (trail := current()).is_noted:
            trail.add("cache", {"store": "redis", "name": [command, *args[1:]], "value": found, "at": time()})
    except Exception:  # the value is the caller's in any case
        return


def hook_django_cache(module: Any, wrap: Wrap) -> None:
    """Reads of Django's caches, whichever lies behind them."""

    def creating(create: Any) -> Any:
        def hooked(self: Any, alias: Any) -> Any:
            __tracebackhide__ = True
            made = create(self, alias)
            try:
                made.get = _getting(made.get, alias)
            except Exception:  # then its reads are not noted
                return made
            return made

        return hooked

    wrap(module.core.cache.CacheHandler, "create_connection", creating)


def _getting(get: Any, alias: str) -> Any:
    def hooked(key: Any, default: Any = None, version: Any = None) -> Any:
        __tracebackhide__ = True
        missing = object()
        found = get(key, missing, version)
        if found is missing:
            return default
        try:
            if (trail := current()).is_noted:
                trail.add("cache", {"store": f"django:{alias}", "name": [key], "value": found, "at": time()})
        except Exception:  # the value is the caller's in any case
            return found
        return found

    return hooked


def hook_openfeature(module: Any, wrap: Wrap) -> None:
    """Flags that are asked over OpenFeature."""
    base = module.hook.Hook

    class Noting(base):  # type: ignore[misc, valid-type]
        """A hook of OpenFeature, which hears of every flag."""

        def after(self, hook_context: Any, details: Any, hints: Any) -> None:
            try:
                if (trail := current()).is_noted:
                    trail.add("flags", {"flag": details.flag_key, "result": details.value, "at": time()})
            except Exception:  # the flag has its value in any case
                return

    if not any(
        type(one).__module__ == __name__ for one in module.api.get_hooks()
    ):  # it cannot be taken out again
        module.api.add_hooks([Noting()])


def told_plain(notes: Iterable[Note], value: Callable[[Any, str], Any], part: str) -> List[Dict[str, Any]]:
    """Notes whose values are encoded one by one."""
    plain = ("at", "store", "flag")
    return [
        {name: item if name in plain else value(item, f"/{part}/{at}/{name}") for name, item in note.items()}
        for at, note in enumerate(list(notes))
    ]
