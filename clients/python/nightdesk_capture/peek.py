"""Look into objects without running a line of theirs: no properties, no `__getattr__`, no `__class__` of proxies.

Everything here goes through the type machinery of the interpreter itself. What a class has put in the way (a
`__dict__` property, a metaclass with opinions) is not asked.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import types
from functools import lru_cache
from typing import Any, Dict, List, Optional, Tuple

_MRO = type.__dict__["__mro__"].__get__
_DICT = type.__dict__["__dict__"].__get__
_QUALNAME = type.__dict__["__qualname__"].__get__
_MODULE = type.__dict__["__module__"].__get__
_MODULE_TYPE: Any = types.ModuleType
_GLOBALS = _MODULE_TYPE.__dict__["__dict__"].__get__
_FLAGS = type.__dict__["__flags__"].__get__
_MADE_BY_CODE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: all other classes are the interpreter's own


def lineage(kind: type) -> Tuple[type, ...]:
    """The classes a class is made of, itself first."""
    found: Tuple[type, ...] = _MRO(kind)
    return found


def derives(value: object, base: type) -> bool:
    """`isinstance` that believes the interpreter and not the object."""
    return base in lineage(type(value))


def own_names(kind: type) -> Any:
    """The attributes that a class itself has, read-only."""
    return _DICT(kind)


def class_name(kind: type) -> str:
    """`module.Qualified.name` of a class."""
    module = _module(kind)
    name = str.__str__(_QUALNAME(kind))
    return name if module in ("", "builtins") else f"{module}.{name}"


def _module(kind: type) -> str:
    """The name of the module that a class says it is of; "" where that is no text."""
    try:
        found = _MODULE(kind)
    except AttributeError:
        return ""
    return found if type(found) is str else ""


def _names_of(module: object) -> Dict[str, Any]:
    """The globals of a module; nothing where it is none."""
    if types.ModuleType not in lineage(type(module)):
        return {}
    found: Dict[str, Any] = _GLOBALS(module)
    return found


def is_what_it_says(kind: type, name: str) -> bool:
    """Whether a class is the one that its name says, and not one of the application's that says the same."""
    if not _FLAGS(kind) & _MADE_BY_CODE:
        return True
    module, _, last = name.rpartition(".")
    return _names_of(sys.modules.get(module)).get(last) is kind


def instance_dict(value: object) -> Optional[Dict[str, Any]]:
    """The attributes an object keeps in its `__dict__`; None where it has none, or a class hides it."""
    for kind in lineage(type(value)):
        found = own_names(kind).get("__dict__")
        if found is not None:
            if type(found) is not types.GetSetDescriptorType:
                return None
            kept = found.__get__(value)
            return kept if type(kept) is dict else None
    return None


def state_of(value: object) -> List[Tuple[str, Any]]:
    """Name and value of everything an object keeps: its slots, then its `__dict__`."""
    found: List[Tuple[str, Any]] = []
    for kind in reversed(lineage(type(value))):
        names = own_names(kind)
        if "__slots__" not in names:
            continue
        for name, member in list(names.items()):
            if type(member) is types.MemberDescriptorType:
                try:
                    found.append((name, member.__get__(value)))
                except AttributeError:  # never set
                    continue
    kept = instance_dict(value)
    if kept is not None:
        found += [(name, item) for name, item in list(kept.items()) if type(name) is str]
    return found


def _folders() -> Tuple[str, ...]:
    paths = sysconfig.get_paths()
    found = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib") if name in paths]
    found += site.getsitepackages() if hasattr(site, "getsitepackages") else []
    return tuple({os.path.join(os.path.realpath(path), "") for path in found})


_LIBRARIES = _folders()
_MARKS = ("/site-packages/", "/dist-packages/", "/lib/python")


@lru_cache(maxsize=4096)
@lru_cache(maxsize=4096)
def is_library_file(path: str) -> bool:
    """Whether a file is a library's or the interpreter's rather than the application's."""
    plain = path.replace("\\", "/")
    return path.startswith(("<frozen", *_LIBRARIES)) or any(mark in plain for mark in _MARKS)


def is_own(kind: type) -> bool:
    """Whether a class was written by the application. What was made without a file counts as its own."""
    name = _module(kind)
    if name in ("", "builtins"):
        return False
    file = _names_of(sys.modules.get(name)).get("__file__")
    if type(file) is not str:
        return name == "__main__" or name not in sys.builtin_module_names
    return not is_library_file(file)
