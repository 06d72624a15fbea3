"""How values of the standard library, numpy and pandas are encoded: exactly these classes, no subclasses.

All of them are code that is known to have no side effects when it is asked for its value. Nothing is imported for it.
"""

from __future__ import annotations

import itertools
from typing import Any, Dict, List

from nightdesk_capture.encode import Inner, call, encoded_bytes, known
from nightdesk_capture.limits import Limits


@known("bytes")
def _bytes(value: bytes, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return encoded_bytes(value, limits)


@known("bytearray", "memoryview")
def _bytearray(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return call("bytearray", [encoded_bytes(bytes(value[: limits.text]), limits)])


@known("complex")
def _complex(value: complex, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return call("complex", [inner(value.real, "real"), inner(value.imag, "imag")])


@known("range", "slice")
def _range(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    parts = [inner(part, "of") for part in (value.start, value.stop, value.step)]
    return call(type(value).__name__, parts)


@known("ellipsis")
def _ellipsis(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return {"$": "function", "module": "builtins", "name": "Ellipsis"}


@known("decimal.Decimal", "uuid.UUID", "fractions.Fraction")
def _written(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    kind = type(value)
    return call(f"{kind.__module__}.{kind.__name__}", [str(value)[: limits.text]])


@known(
    "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath", "pathlib._local.PosixPath",
    "pathlib._local.PurePosixPath", "ipaddress.IPv4Address", "ipaddress.IPv6Address", "ipaddress.IPv4Network",
    "ipaddress.IPv6Network",
)  # fmt: skip
def _named(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    kind = type(value)
    return call(f"{kind.__module__.partition('.')[0]}.{kind.__name__}", [inner(str(value), "of")])


@known("datetime.datetime")
def _datetime(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    parts = [value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond]
    words = {} if value.tzinfo is None else {"tzinfo": inner(value.tzinfo, "tzinfo")}
    return call("datetime.datetime", parts, {**words, **({"fold": 1} if value.fold else {})})


@known("datetime.time")
def _time(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    words = {} if value.tzinfo is None else {"tzinfo": inner(value.tzinfo, "tzinfo")}
    parts = [value.hour, value.minute, value.second, value.microsecond]
    return call("datetime.time", parts, {**words, **({"fold": 1} if value.fold else {})})


@known("datetime.date")
def _date(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return call("datetime.date", [value.year, value.month, value.day])


@known("datetime.timedelta")
def _timedelta(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return call("datetime.timedelta", [value.days, value.seconds, value.microseconds])


@known("datetime.timezone")
def _timezone(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return call("datetime.timezone", [inner(value.utcoffset(None), "offset")])


@known("zoneinfo.ZoneInfo")
def _zone(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return call("zoneinfo.ZoneInfo", [str(value.key)])


@known("collections.OrderedDict", "collections.Counter")
def _mapping(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return call(f"collections.{type(value).__name__}", [_pairs(value, inner, limits)])


@known("collections.defaultdict")
def _defaultdict(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return call(
        "collections.defaultdict", [inner(value.default_factory, "factory"), _pairs(value, inner, limits)]
    )


def _pairs(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    """The entries, without a new dictionary: that would ask keys for their hash."""
    kept = list(itertools.islice(dict.items(value), limits.items))
    size = dict.__len__(value)
    node = {"$": "dict", "of": [[inner(key, "key"), inner(item, str(key)[:99] if type(key) is str else "of")]
                                for key, item in kept]}  # fmt: skip
    return {**node, "size": size} if size > len(kept) else node


@known("collections.deque")
def _deque(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    words = {} if value.maxlen is None else {"maxlen": value.maxlen}
    kept = list(itertools.islice(value.copy(), limits.items + 1))
    return call("collections.deque", [inner(kept, "of")], words)


@known("dict_keys", "dict_values", "dict_items")
def _view(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    kept = list(itertools.islice(value, limits.items + 1))
    return {"$": "tuple", "of": [inner(item, str(at)) for at, item in enumerate(kept[: limits.items])]}


@known("list_iterator", "tuple_iterator", "str_ascii_iterator", "str_iterator", "set_iterator", "dict_keyiterator",
       "list_reverseiterator")  # fmt: skip
def _iterator(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    """What an iterator has yet to give: `__reduce__` of these copies and takes nothing."""
    reduced = value.__reduce__()
    if len(reduced[1]) != 1 or not isinstance(reduced[1][0], (list, tuple, str)):
        return {"$": "opaque", "class": type(value).__name__}
    place = reduced[2] if len(reduced) > 2 and isinstance(reduced[2], int) else 0
    if type(value).__name__ == "list_reverseiterator":
        rest: List[Any] = list(reduced[1][0][: place + 1])[::-1]
    else:
        rest = list(reduced[1][0][place:])
    return call("iter", [inner(rest, "of")])


@known("types.SimpleNamespace", "argparse.Namespace")
def _namespace(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    kind = type(value)
    name = "argparse.Namespace" if kind.__name__ == "Namespace" else "types.SimpleNamespace"
    kept = list(vars(value).items())[: limits.items]
    return call(name, [], {key: inner(item, key) for key, item in kept if key.isidentifier()})


@known("_io.StringIO", "_io.BytesIO")
def _file(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    if value.closed:
        return call(f"io.{type(value).__name__}", [])
    return call(f"io.{type(value).__name__}", [inner(value.getvalue(), "of")])


@known("re.Pattern")
def _pattern(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    plain = value.flags & ~32 if isinstance(value.pattern, str) else value.flags
    return call("re.compile", [inner(value.pattern, "pattern"), *([plain] if plain else [])])


@known("_thread.lock", "_thread.RLock")
def _lock(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    """A new one: whoever held the old one is not there any more."""
    return call("threading.Lock" if type(value).__name__ == "lock" else "threading.RLock", [])


# --- numpy and pandas ------------------------------------------------------------------------------------------------


@known("numpy.ndarray")
def _array(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    dtype = value.dtype
    if dtype.hasobject or dtype.names:
        return {"$": "opaque", "class": "numpy.ndarray"}
    words = {"dtype": str(dtype.str)}
    if value.size <= limits.items:
        return call("numpy.array", [inner(value.tolist(), "of")], words)
    sample = call("numpy.array", [inner(value.flat[: limits.items].tolist(), "of")], words)
    shape = {"$": "tuple", "of": [int(side) for side in value.shape]}
    return {**call("numpy.resize", [sample, shape]), "size": int(value.size)}


def _scalar(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    return call(f"numpy.{type(value).__name__}", [inner(value.item(), "of")])


known(*(f"numpy.{name}" for name in (
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "bool", "bool_", "complex64", "complex128", "str_",
)))(_scalar)  # fmt: skip


@known("pandas.core.frame.DataFrame", "pandas.DataFrame")
def _frame(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    top = value.iloc[: limits.items]
    columns = [(name, _column(top[name])) for name in list(value.columns)[: limits.items]]
    more = {"size": int(value.shape[0])} if value.shape[0] > limits.items else {}
    words = {} if more else {"index": inner(top.index.tolist(), "index")}
    return {**call("pandas.DataFrame", [inner(dict(columns), "of")], words), **more}


@known("pandas.core.series.Series", "pandas.Series")
def _series(value: Any, inner: Inner, limits: Limits) -> Dict[str, Any]:
    top = value.iloc[: limits.items]
    more = {"size": int(value.shape[0])} if value.shape[0] > limits.items else {}
    words = {
        "dtype": str(value.dtype),
        "name": inner(value.name, "name"),
        "index": inner(top.index.tolist(), "index"),
    }
    return {**call("pandas.Series", [inner(_column(top), "of")], words), **more}


def _column(column: Any) -> List[Any]:
    return [item.to_pydatetime() if hasattr(item, "to_pydatetime") else item for item in column.tolist()]
