"""Arguments as they were when a function was called, for functions that have failed before, once more was asked for.

What a function changes in place before it fails (a list that it empties, an attribute that it sets) is not to be had
from the frame that failed. `sys.monitoring` (Python 3.12) can tell of the calls of a few code objects and leaves all
others as they are: which failed is remembered, and only when the server, the application or a span asks for more are
their calls listened to, for ten minutes or so many calls, whichever ends first. Older Pythons have nothing of it.
"""

from __future__ import annotations

import collections
import copy
import sys
import time
from types import CodeType, FrameType, TracebackType
from typing import Any, Callable, Dict, List, Optional, Tuple

from nightdesk_capture.peek import instance_dict, is_library_file, is_own, lineage, own_names

FUNCTIONS = 64  # that are remembered, the last ones that failed
DEEP = 200  # frames of one failure that are looked at
KEPT = 200  # calls under way of which arguments are kept
CALLS = 20_000  # of one function that are listened to
VALUES = 400  # that are copied of one call; of what is beyond, references are kept
NESTED = 4
ITEMS = 2_000  # of a container that is copied; of a larger one the reference is kept
SECONDS = 1.0  # that copying may take in all within …
PERIOD = 600.0  # … these
_TOOL, _NAME = 4, "nightdesk-capture"  # one of the numbers that no kind of tool has for its own
_ITERATORS: Tuple[Any, ...] = (type(iter([])), type(iter(())), type(iter("")))
_SIZED = frozenset({list, tuple, dict, set, bytearray, collections.deque})
_CONSTANT = frozenset({str, int, float, bool, type(None), bytes})
_MONITORING: Any = getattr(sys, "monitoring", None)


class Calls:
    """The functions of this process that failed, and the arguments of their calls that are under way."""

    def __init__(self) -> None:
        self._names: "Dict[CodeType, Tuple[str, ...]]" = {}
        self._left: "Dict[CodeType, int]" = {}  # calls that are still listened to, of each that is
        self._kept: "Dict[int, Tuple[CodeType, Dict[str, Any], Dict[str, Any]]]" = {}
        self._until = 0.0
        self._since, self._spent = -PERIOD, 0.0
        self._is_ours = False

    def failed(self, trace: Optional[TracebackType]) -> None:
        """Remember the application's functions of a trace; listen to them from now on, where that was asked for."""
        if _MONITORING is None:
            return
        for _ in range(DEEP):
            if trace is None:
                break
            code = trace.tb_frame.f_code
            if code not in self._names and not is_library_file(code.co_filename):
                if len(self._names) >= FUNCTIONS:
                    self._forget(next(iter(self._names)))
                self._names[code] = code.co_varnames[: arguments(code)]
                if time.monotonic() < self._until:
                    self._listen(code)
            trace = trace.tb_next

    def watch(self, seconds: float) -> None:
        """Listen for so long to the functions that failed, and to those that will."""
        now = time.monotonic()
        if now - self._since >= PERIOD:
            self._since, self._spent = now, 0.0
        if self._spent >= SECONDS or _MONITORING is None or not self._is_there():
            return
        self._until = now + seconds
        for code in list(self._names):
            self._listen(code)

    def end(self) -> None:
        """Listen to nobody any more."""
        self._until = 0.0
        for code in list(self._left):
            self._leave(code)
        self._kept.clear()

    def changed(self, frame: FrameType) -> Dict[str, Any]:
        """The arguments of a call that are not any more what they were when it began, as they were."""
        code, called, copies = self._kept.get(id(frame), (None, {}, {}))
        if code is not frame.f_code:
            return {}
        now = frame.f_locals
        try:
            return {
                name: copies[name]
                for name, value in called.items()
                if name not in now or now[name] is not value or not alike(copies[name], value, 0, [VALUES])
            }
        except Exception:  # then the frame has its values of now
            return {}

    def _is_there(self) -> bool:
        if not self._is_ours and _MONITORING.get_tool(_TOOL) is None:
            _MONITORING.use_tool_id(_TOOL, _NAME)
            events = _MONITORING.events
            _MONITORING.register_callback(_TOOL, events.PY_START, self._started)
            _MONITORING.register_callback(_TOOL, events.PY_RETURN, self._returned)
            self._is_ours = True
        return self._is_ours

    def _listen(self, code: CodeType) -> None:
        self._left.setdefault(code, CALLS)
        _MONITORING.set_local_events(_TOOL, code, _MONITORING.events.PY_START | _MONITORING.events.PY_RETURN)

    def _leave(self, code: CodeType) -> None:
        if self._left.pop(code, None) is not None:
            _MONITORING.set_local_events(_TOOL, code, 0)

    def _forget(self, code: CodeType) -> None:
        self._names.pop(code, None)
        self._leave(code)

    def _started(self, code: CodeType, offset: int) -> None:
        try:
            self._left[code] -= 1
            if self._left[code] < 0:
                self._leave(code)
            elif (began := time.monotonic()) > self._until or self._spent >= SECONDS:
                self.end()
            else:
                frame = sys._getframe(1)
                local, room = frame.f_locals, [VALUES]
                known: Dict[int, Any] = {}
                called = {name: local[name] for name in self._names[code] if name in local}
                copies = {name: copied(value, 0, room, known) for name, value in called.items()}
                if len(self._kept) >= KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[id(frame)] = code, called, copies
                self._spent += time.monotonic() - began
        except Exception:  # the call goes on
            return

    def _returned(self, code: CodeType, offset: int, value: object) -> None:
        try:
            self._kept.pop(id(sys._getframe(1)), None)
        except Exception:  # the call has ended
            return


CALLS_OF_THE_PROCESS = Calls()


def arguments(code: CodeType) -> int:
    """How many of a code's variables are its arguments."""
    return code.co_argcount + code.co_kwonlyargcount + bin(code.co_flags & 12).count("1")


# --- copies ---------------------------------------------------------------------------------------------------------


def copied(value: Any, depth: int, room: List[int], known: Dict[int, Any]) -> Any:
    """The value, with copies of what of it can be changed in place; nothing of the application runs for it."""
    kind: Any = type(value)
    made: Any = None
    if id(value) in known:
        return known[id(value)]
    if depth > NESTED or room[0] <= 0:
        return value
    if kind in _ITERATORS:
        return known.setdefault(id(value), copy.copy(value))

    def inner(item: Any) -> Any:
        room[0] -= 1
        return copied(item, depth + 1, room, known)

    if kind in _SIZED and len(value) > ITEMS:
        made = value
    elif kind is list or kind is collections.deque:
        known[id(value)] = made = value.copy()
        for at, item in enumerate(value):
            if type(item) not in _CONSTANT:
                made[at] = inner(item)
    elif kind is dict:
        known[id(value)] = made = value.copy()
        for key, item in value.items():
            if type(item) not in _CONSTANT:
                made[key] = inner(item)
    elif kind is set or kind is bytearray:
        made = value.copy()
    elif kind is tuple:
        made = tuple([inner(item) for item in value])
    else:
        made = _object(value, kind, inner, known)
    return made


def _object(value: Any, kind: type, inner: Callable[[Any], Any], known: Dict[int, Any]) -> Any:
    state = instance_dict(value)
    if state is None or not is_own(kind) or not _is_plain(kind):
        return value
    try:
        made: Any = object.__new__(kind)
    except TypeError:  # it is more than an object underneath
        return value
    known[id(value)] = made
    kept = instance_dict(made)
    if kept is not None:
        kept.update({name: inner(item) for name, item in state.copy().items()})
    return made


def _is_plain(kind: type) -> bool:
    """Whether an instance is what it has in its `__dict__`, and one more of them is nobody's concern."""
    return all(
        base is object
        or not (
            {"__del__", "__new__"}.intersection(own_names(base)) or own_names(base).get("__slots__", ()) != ()
        )
        for base in lineage(kind)
    )


def alike(then: Any, now: Any, depth: int, room: List[int]) -> bool:
    """Whether a value is what its copy says, down to the things that are not copied, without asking any of them."""
    room[0] -= 1
    if then is now or room[0] <= 0:
        return True
    kind = type(then)
    if kind is not type(now) or depth > NESTED:
        return False
    if kind in (list, tuple, collections.deque):
        return len(then) == len(now) and all(
            alike(a, b, depth + 1, room) for a, b in zip(list(then), list(now))
        )
    if kind is dict:
        keys = list(then)
        return (
            len(then) == len(now)
            and all(a is b for a, b in zip(keys, list(now)))
            and all(alike(a, b, depth + 1, room) for a, b in zip(list(then.values()), list(now.values())))
        )
    if kind is set:
        return len(then) == len(now) and {id(one) for one in then} == {id(one) for one in now}
    if kind is bytearray:
        return bool(then == now)
    if kind in _ITERATORS:
        return bool(then.__length_hint__() == now.__length_hint__())
    first, second = instance_dict(then), instance_dict(now)
    return first is not None and second is not None and alike(first, second, depth, room)
