"""Names that the standard library had once, put back: so that old commits run on today's Python.

The text of this file stands before a call, on *both* sides of a comparison or on none. It imports nothing but the
standard library, and changes nothing that is still there: what a newer Python has keeps its own meaning.
"""

from __future__ import annotations

import base64
import builtins
import collections
import collections.abc
import contextlib
import fractions
import functools
import html
import importlib
import importlib.abc
import importlib.util
import inspect
import itertools
import math
import operator
import string
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


def restore(age: int = 1) -> None:
    """Put back what is missing; of the age of 2 what Python 2 had, too."""
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
    if age > 1:
        _names_of_two()


# Python 2's names: what they stood for, and where they are now.
_BUILTINS: dict[str, Any] = {
    "unicode": str, "basestring": str, "long": int, "unichr": chr, "xrange": range, "raw_input": input, "file": open,
    "buffer": memoryview, "reduce": functools.reduce, "cmp": lambda one, other: (one > other) - (one < other),
}  # fmt: skip
_TYPES: dict[str, Any] = {
    "BooleanType": bool, "StringType": str, "UnicodeType": str, "IntType": int, "LongType": int, "FloatType": float,
    "ListType": list, "DictType": dict, "TupleType": tuple, "TypeType": type, "ClassType": type, "ObjectType": object,
    "InstanceType": object, "StringTypes": (str,),
}  # fmt: skip
_MEMBERS: dict[Any, dict[str, Any]] = {
    operator: {"div": operator.truediv, "isCallable": callable},
    sys: {"maxint": sys.maxsize},
    itertools: {"izip": zip, "imap": map, "ifilter": filter, "izip_longest": itertools.zip_longest},
    string: {name: getattr(string, f"ascii_{name}") for name in ("letters", "lowercase", "uppercase")},
}
_NAMES_OF_TWO = {*_TYPES, *(name for members in _MEMBERS.values() for name in members)}


def _names_of_two() -> None:
    """What Python 2 had, as names only: its texts and its division are another matter."""
    for name, value in _BUILTINS.items():
        _put(builtins, name, value)
    for name, value in _TYPES.items():
        _put(types, name, value)
    for owner, members in _MEMBERS.items():
        for name, value in members.items():
            _put(owner, name, value)
    sys.meta_path.append(_Beside())


class _Beside:
    """`import beside` in a package meant the module beside it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module of that name in the package of whoever imports, where nothing else has the name."""
        if path is not None or "." in name:
            return None
        frame = sys._getframe(1)
        while frame is not None and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back  # type: ignore[assignment]
        package = frame.f_globals.get("__package__") if frame is not None else None
        beside = importlib.util.find_spec(f"{package}.{name}") if package else None
        if beside is None:
            return None
        whole = importlib.import_module(beside.name)
        return importlib.util.spec_from_loader(name, _Ready(whole))


class _Ready(importlib.abc.Loader):
    """Loads a module that is there already."""

    def __init__(self, module: Any) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: Any) -> Any:
        """The module itself."""
        return self._module

    def exec_module(self, module: Any) -> None:
        """It has run already, and keeps the name that it has."""
        module.__spec__ = self._spec


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


def how_old(error: str, message: str) -> int:
    """Whose names an error misses: 1, those of an older Python 3; 2, Python 2's, or a module that stands beside the one
    which imports it, where only Python 2 looked; 0, no such names."""
    words = message.replace('"', "'").split("'")[1::2]
    if error == "NameError":
        return 2 * bool(words and words[0] in _BUILTINS)
    if error not in ("ImportError", "ModuleNotFoundError", "AttributeError") or not words:
        return 0
    if message.startswith("No module named"):
        if words[0] in _GONE or words[0].partition(".")[0] in _GONE:
            return 1
        return 2 * words[0].isidentifier()
    if message.startswith("cannot import name") and len(words) > 1:
        return int(words[1].partition(".")[0] in sys.stdlib_module_names)
    if not message.startswith("module ") or words[0].partition(".")[0] not in sys.stdlib_module_names:
        return 0
    return 2 if len(words) > 1 and words[1] in _NAMES_OF_TWO else 1
