"""Names that the standard library had once, put back: so that old commits run on today's Python.

The text of this file stands before a call, on *both* sides of a comparison or on none. It imports nothing but the
standard library, and changes nothing that is still there: what a newer Python has keeps its own meaning.
"""

from __future__ import annotations

import base64
import collections
import collections.abc
import contextlib
import fractions
import html
import importlib
import inspect
import math
import sys
import threading
import time
import types
from typing import Any

_GONE = {
    "imp",
    "distutils",
    "asynchat",
    "asyncore",
    "cgi",
    "pipes",
    "xml.etree.cElementTree",
    "typing.io",
    "typing.re",
}


def restore() -> None:
    """Put back what is missing."""
    for name in ("Mapping", "MutableMapping", "Sequence", "MutableSequence", "Set", "MutableSet", "Iterable",
                 "Iterator", "Callable", "Hashable", "Sized", "Container", "Generator", "Awaitable", "Coroutine",
                 "KeysView", "ItemsView", "ValuesView", "MappingView", "ByteString"):  # fmt: skip
        _put(collections, name, getattr(collections.abc, name, None))
    _put(time, "clock", time.perf_counter)
    _put(fractions, "gcd", math.gcd)
    _put(inspect, "getargspec", _getargspec)
    _put(inspect, "formatargspec", lambda *args, **kwargs: "(...)")
    _put(base64, "encodestring", base64.encodebytes)
    _put(base64, "decodestring", base64.decodebytes)
    _put(threading.Thread, "isAlive", threading.Thread.is_alive)
    _put(sys, "setcheckinterval", lambda interval: None)
    _put(_module("html.parser").HTMLParser, "unescape", staticmethod(html.unescape))
    _put(_module("asyncio"), "coroutine", types.coroutine)
    _put(_module("platform"), "linux_distribution", lambda *args, **kwargs: ("", "", ""))
    _put(_module("os"), "errno", _module("errno"))
    _put(_module("cgi"), "escape", html.escape)
    sys.modules.setdefault("xml.etree.cElementTree", _module("xml.etree.ElementTree"))
    _modules_that_are_gone()


def _put(owner: Any, name: str, value: Any) -> None:
    if owner is not None and value is not None and not hasattr(owner, name):
        with contextlib.suppress(AttributeError, TypeError):
            setattr(owner, name, value)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_ArgSpec = collections.namedtuple("_ArgSpec", "args varargs keywords defaults")


def _getargspec(function: Any) -> Any:
    spec = inspect.getfullargspec(function)
    return _ArgSpec(spec.args, spec.varargs, spec.varkw, spec.defaults)


def _modules_that_are_gone() -> None:
    """`imp` and the parts of `distutils` that applications used."""
    if _module("imp") is None:
        gone = types.ModuleType("imp")
        gone.reload, gone.new_module = importlib.reload, types.ModuleType  # type: ignore[attr-defined]
        sys.modules["imp"] = gone
    if _module("distutils") is None:
        for name in ("distutils", "distutils.version", "distutils.util", "distutils.spawn"):
            sys.modules[name] = types.ModuleType(name)
        sys.modules["distutils.version"].LooseVersion = _LooseVersion  # type: ignore[attr-defined]
        sys.modules["distutils.version"].StrictVersion = _LooseVersion  # type: ignore[attr-defined]
        sys.modules["distutils.util"].strtobool = _strtobool  # type: ignore[attr-defined]
        sys.modules["distutils.spawn"].find_executable = _module("shutil").which  # type: ignore[attr-defined]


class _LooseVersion:
    def __init__(self, text: str = "") -> None:
        self.vstring = str(text)
        self.version = [
            int(part) if part.isdigit() else part for part in self.vstring.replace("-", ".").split(".")
        ]

    def _key(self) -> list[tuple[bool, Any]]:
        return [(isinstance(part, str), part) for part in self.version]

    def _other(self, other: Any) -> list[tuple[bool, Any]]:
        return (other if isinstance(other, _LooseVersion) else _LooseVersion(other))._key()

    def __eq__(self, other: object) -> bool:
        return self._key() == self._other(other)

    def __lt__(self, other: Any) -> bool:
        return self._key() < self._other(other)

    def __le__(self, other: Any) -> bool:
        return self._key() <= self._other(other)

    def __gt__(self, other: Any) -> bool:
        return self._key() > self._other(other)

    def __ge__(self, other: Any) -> bool:
        return self._key() >= self._other(other)

    def __hash__(self) -> int:
        return hash(self.vstring)


def _strtobool(value: str) -> int:
    text = value.lower()
    if text in ("y", "yes", "t", "true", "on", "1"):
        return 1
    if text in ("n", "no", "f", "false", "off", "0"):
        return 0
    raise ValueError(f"invalid truth value {value!r}")


def speaks_of(error: str, message: str) -> bool:
    """Whether an error says that a name of the standard library is not there (any more)."""
    if error not in ("ImportError", "ModuleNotFoundError", "AttributeError"):
        return False
    words = message.replace('"', "'").split("'")[1::2]
    if message.startswith("No module named") and words:
        return words[0] in _GONE or words[0].partition(".")[0] in _GONE
    if message.startswith("cannot import name") and len(words) > 1:
        return words[1].partition(".")[0] in sys.stdlib_module_names
    return (
        message.startswith("module ")
        and bool(words)
        and words[0].partition(".")[0] in sys.stdlib_module_names
    )
