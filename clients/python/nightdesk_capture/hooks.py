"""Which hooks there are, and how each is put in place: once, when its library is there, and without a fault of its own.

A library that is imported after the integration was set up is hooked when the next request begins.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Callable, Dict, Tuple

from sentry_sdk.integrations import threading
from sentry_sdk.scope import Scope

from nightdesk_capture import ambient, counts, exchanges, rows, trail
from nightdesk_capture.purse import PURSE_OF_THE_PROCESS, step_of_this_machine

Hook = Callable[[Any, exchanges.Wrap], None]

# name of the part that can be switched off, the module that has to be loaded, the hook
HOOKS: Tuple[Tuple[str, str, Hook], ...] = (
    ("exchanges", "httpx", exchanges.hook_httpx),
    ("exchanges", "httpx2", exchanges.hook_httpx),
    ("exchanges", "requests", exchanges.hook_requests),
    ("exchanges", "urllib3", exchanges.hook_urllib3),
    ("exchanges", "urllib.request", exchanges.hook_urllib),
    ("exchanges", "aiohttp", exchanges.hook_aiohttp),
    ("statements", "sqlalchemy.engine.cursor", rows.hook_sqlalchemy),
    ("statements", "django.db.backends.utils", rows.hook_django),
    ("statements", "sqlite3", rows.hook_sqlite3),
    ("statements", "psycopg", rows.hook_psycopg),
    ("statements", "psycopg2", rows.hook_psycopg),
    ("draws", "random", ambient.hook_random),
    ("files", "builtins", ambient.hook_open),
    ("cache", "redis", ambient.hook_redis),
    ("cache", "django.core.cache", ambient.hook_django_cache),
    ("flags", "openfeature.api", ambient.hook_openfeature),
    ("counts", "sentry_sdk.integrations.wsgi", counts.hook_wsgi),
    ("counts", "sentry_sdk.integrations.asgi", counts.hook_asgi),
)
EARLY = "requests"  # often loaded by the first request only, with the views that use it
_waiting: Dict[Tuple[str, str], Hook] = {}
_there: "set[Tuple[str, str]]" = set()  # in place, or waiting for its library
_undo: "list[Tuple[Any, str, Any]]" = []
_seen = 0  # how many modules there were when libraries were looked for last


def install(off: "frozenset[str]") -> None:
    """Put the hooks of all parts that are not off in place, now or when their library is there."""
    fresh = {
        (part, name): hook for part, name, hook in HOOKS if part not in off and (part, name) not in _there
    }
    _waiting.update(fresh)
    if not _there:
        _wrap(Scope, "fork", _forking)
        PURSE_OF_THE_PROCESS.begin(step_of_this_machine())
    _there.update(fresh)
    if ("exchanges", EARLY) in _waiting:
        _load(EARLY)
    look()


def _load(name: str) -> None:
    """Load a library where it is installed. Those that sentry-sdk has an integration for, it loads itself."""
    try:
        importlib.import_module(name)
    except Exception:  # it is not there, or not whole
        return


def look() -> None:
    """Hook the libraries that have come since."""
    global _seen
    _seen = len(sys.modules)
    for (part, name), hook in list(_waiting.items()):
        if name in sys.modules:
            del _waiting[part, name]
            try:
                hook(sys.modules[name.partition(".")[0]], _wrap)
            except Exception:  # another version of it: then there are no notes of it
                continue


def remove() -> None:
    """Take every hook out again."""
    _waiting.clear()
    _there.clear()
    ambient.unhook_random()
    while _undo:
        holder, name, original = _undo.pop()
        setattr(holder, name, original)


def _forking(fork: Any) -> Any:
    """`Scope.fork`, which is called when a request, a job or a thread begins: often, so it asks as little as it can."""
    modules, caller, of_threads = sys.modules, sys._getframe, vars(threading)

    def hooked(self: Any) -> Any:
        made = fork(self)
        try:
            if len(modules) != _seen:
                look()
            if caller(1).f_globals is of_threads:
                trail.hand_on(self, made)
        except Exception:  # then the thread has a trail of its own
            return made
        return made

    return hooked


def _wrap(holder: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put a wrapper in place of what a class or module has under a name."""
    original = getattr(holder, name)
    made = make(original)
    for part in ("__module__", "__name__", "__qualname__", "__doc__", "__wrapped__"):
        try:
            setattr(made, part, original if part == "__wrapped__" else getattr(original, part))
        except (AttributeError, TypeError):  # it has none
            continue
    setattr(holder, name, made)
    _undo.append((holder, name, original))
