"""What runs inside the sandbox: execute a call many times, each in a fork of its own, and tell what happened.

Standard library only, and written for old interpreters, for it runs under the application's Python. It is put
into the sandbox as one file; the rest of Nightdesk is not there. One JSON line in, one JSON line out over the
channel (``ND_CHANNEL``), each reply carrying the nonce of its request. The code under judgement runs in a
child that has neither the channel nor the nonce and cannot reach into this process: a child that ends by
itself, by ``os._exit`` or by a signal, or whose answer does not begin with the token of its run, has simply
not answered. What it leaves behind (processes, files) is gone before the next run.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import inspect
import io
import json
import linecache
import os
import random
import re
import select
import shutil
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

SCRATCH = (os.environ.get("TMPDIR", "/tmp"), "/dev/shm")  # noqa: S108 - the sandbox's own bounded tmpfs
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
DATABASE = "/opt/nightdesk_database.py"  # what starts a database server, in a world that has one
MAKES_DATABASE = re.compile(r"setup_databases\(|django_db|\bdb\b.*\):")
TEXT = 20_000  # characters of any text that is reported
CALLS = 4_000  # calls and raises that are reported


# --- values -------------------------------------------------------------------------------------------------


def snapshot(value: Any, depth: int = 0) -> Any:
    """A JSON picture of a value: containers as they are, what JSON lacks as {"$kind": …}, objects as type and
    repr."""
    if value is None or (isinstance(value, (bool, int, str)) and type(value) in (bool, int, str)):
        return value[:TEXT] if isinstance(value, str) else value
    if type(value) is float:
        return (
            value if value == value and abs(value) != float("inf") else {"$repr": f"float({repr(value)!r})"}
        )
    if depth > 12:
        return {"$object": type(value).__name__, "repr": None}
    if type(value) is list:
        return [snapshot(item, depth + 1) for item in value[:2000]]
    if type(value) is tuple:
        return {"$tuple": [snapshot(item, depth + 1) for item in value[:2000]]}
    if type(value) is dict and all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: snapshot(item, depth + 1) for key, item in list(value.items())[:2000]}
    if type(value) in (set, frozenset):
        return {"$set": sorted((snapshot(item, depth + 1) for item in value), key=repr)}
    if type(value) is bytes:
        return {"$repr": repr(value[:TEXT])}
    return _object(value)


def _object(value: Any) -> Any:
    kind = type(value)
    try:
        text = repr(value)
    except BaseException:
        text = ""
    stable = bool(text) and len(text) < TEXT and not ADDRESS.search(text)
    return {"$object": f"{kind.__module__}.{kind.__qualname__}", "repr": text if stable else None}


# --- watching -----------------------------------------------------------------------------------------------


class Watch:
    """Records which own functions were called, which exceptions passed through them and, if asked, which
    lines ran."""

    def __init__(self, own: list[str], cover: bool) -> None:
        self.own = tuple(root.rstrip("/") + "/" for root in own)
        self.cover = cover
        self.calls: dict[str, None] = {}
        self.raised: list[dict[str, Any]] = []
        self.lines: dict[str, set[int]] = {}
        self._seen: set[int] = set()

    def __call__(self, frame: Any, event: str, arg: Any) -> Any:
        path = frame.f_code.co_filename
        if not path.startswith(self.own):
            return None
        if len(self.calls) < CALLS:
            self.calls[self._name(frame)] = None
        if self.cover:
            self.lines.setdefault(path, set()).add(frame.f_lineno)
        return self._inside

    def _name(self, frame: Any) -> str:
        code = frame.f_code
        return f"{frame.f_globals.get('__name__', '?')}:{getattr(code, 'co_qualname', code.co_name)}"

    def _inside(self, frame: Any, event: str, arg: Any) -> Any:
        if event == "line":
            if self.cover:
                self.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        elif event == "exception" and len(self.raised) < 200:
            error = arg[1]
            if (
                isinstance(error, BaseException)
                and id(error) not in self._seen
                and not isinstance(error, StopIteration)
            ):
                self._seen.add(id(error))
                self.raised.append(describe(error, arg[2], self.own, holder=error))
        return self._inside

    def report(self) -> dict[str, Any]:
        for entry in self.raised:
            entry.pop("holder", None)
        return {
            "calls": list(self.calls),
            "raised": self.raised,
            "lines": {path: sorted(lines) for path, lines in self.lines.items()},
        }


def describe(error: BaseException, trace: Any, own: tuple[str, ...], holder: Any = None) -> dict[str, Any]:
    """An exception as type, message and own frames (oldest first). `holder` keeps it alive so that its id
    stays its own."""
    kind = type(error)
    frames = []
    for frame, line in walk(trace):
        path = frame.f_code.co_filename
        if path.startswith(own):
            code = frame.f_code
            frames.append(
                {
                    "path": path,
                    "module": frame.f_globals.get("__name__", "?"),
                    "function": getattr(code, "co_qualname", code.co_name),
                    "line": line,
                    "text": linecache.getline(path, line).strip()[:400],
                }
            )
    last = None
    for frame, line in walk(trace):
        last = {
            "path": frame.f_code.co_filename,
            "line": line,
            "function": frame.f_code.co_name,
            "text": linecache.getline(frame.f_code.co_filename, line).strip()[:400],
        }
    try:
        message = str(error)
    except BaseException:
        message = ""
    told = {
        "type": kind.__name__,
        "module": kind.__module__,
        "message": message[:2000],
        "frames": frames[-60:],
        "last": last,
    }
    if isinstance(error, ImportError):
        told["missing"] = getattr(error, "name", None)
    if holder is not None:
        told["holder"] = holder
    return told


def walk(trace: Any) -> Any:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


# --- one run ------------------------------------------------------------------------------------------------


class Text:
    """The text of a request. It runs under a name of its own each time; what is told calls it by the path of the
    request."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.name = "job_" + os.urandom(5).hex()
        self.path = os.path.join(os.path.dirname(request["path"]), self.name + ".py")
        self.source, self.names = request["source"], {}  # type: str, dict[str, Any]
        self.shown = os.path.splitext(os.path.basename(request["path"]))[0]
        linecache.cache[self.path] = (len(self.source), None, self.source.splitlines(True), self.path)
        surround(request.get("surroundings") or {}, self.path)

    def load(self) -> None:
        """Execute it up to its functions, and the one that a test framework calls before the tests of a module."""
        if not self.names:
            names: dict[str, Any] = {"__name__": self.name, "__file__": self.path}
            exec(compile(self.source, self.path, "exec"), names)  # noqa: S102 - our own text
            if "setUpModule" in names:
                names["setUpModule"]()
            self.names = names


def execute(request: dict[str, Any], loaded: Text | None = None) -> dict[str, Any]:
    """Run the request's function once, in this process. `loaded`: its text, where it was loaded before the fork.
    Returns the outcome."""
    text = loaded or Text(request)
    if loaded is None:
        serve_database(text.source)
    own = [*request["own"], text.path]
    watch = Watch(own, request.get("cover", False)) if request.get("watch", True) else None
    random.seed(0)
    started = time.perf_counter()
    try:
        if watch:
            threading.settrace(watch)  # an application may serve a request in a thread of its own
            sys.settrace(watch)
        try:
            text.load()
            value = text.names[request["function"]]()
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type,unused-ignore]
        outcome: dict[str, Any] = {"status": "ok", "value": snapshot(value)}
    except BaseException as error:
        told = describe(error, error.__traceback__, tuple(root.rstrip("/") for root in own))
        outcome = {"status": "raised", "exception": told}
    if watch:
        outcome.update(watch.report())
    if request.get("cover"):
        outcome["modules"] = outside(tuple(own))
    outcome["took"] = round(time.perf_counter() - started, 4)
    return dict(json.loads(json.dumps(outcome).replace(text.name, text.shown)))


def serve_database(source: str) -> None:
    """Start the database server that the world has, for a text that makes a test database."""
    if os.path.exists(DATABASE) and MAKES_DATABASE.search(source):
        os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-I", "-S", DATABASE])  # noqa: S606


def execute_warm(request: dict[str, Any], times: int, keep: tuple[int, ...]) -> list[dict[str, Any]]:
    """Load the text once in this process, and run its function so many times, each in a fork. What cannot be
    loaded is loaded by each run, which tells why. `keep` as in `run_all`."""
    seclude()  # what a run leaves behind comes back to here
    text = Text(request)
    random.seed(0)
    with contextlib.suppress(BaseException):
        text.load()
    gc.freeze()
    with kept_scratch() as put_back:
        outcomes = []
        loaded = text if text.names else None
        for _ in range(times):
            outcomes.append(forked(lambda _: execute(request, loaded), keep, request.get("wall", 20.0)))
            put_back()
    return outcomes


def surround(about: dict[str, Any], path: str) -> None:
    """Make this process look as the request wants it: variables, arguments, folder, modules that seem to be
    there."""
    for name in [name for name in os.environ if name.startswith("ND_")]:
        del os.environ[name]
    os.environ.update(about.get("env", {}))
    sys.argv[:] = about.get("argv", ["app"])
    if about.get("cwd"):
        os.chdir(about["cwd"])
    main = types.ModuleType("__main__")
    main.__file__ = path
    sys.modules["__main__"] = main
    for name in about.get("modules", ()):
        sys.modules.setdefault(name, types.ModuleType(name))


def outside(own: tuple[str, ...]) -> list[str]:
    """Modules that are loaded now and have a file that is not the team's."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not file.startswith(own) and name != "__main__":
            found.append(name)
    return found


def run_all(request: dict[str, Any], keep: tuple[int, ...]) -> list[dict[str, Any]]:
    """The outcomes of all runs of a request. `keep`: descriptors that are not for what is run."""
    times, wall = int(request.get("times", 1)), request.get("wall", 20.0)
    makes_database = os.path.exists(DATABASE) and MAKES_DATABASE.search(request["source"])
    if request.get("warm") and not makes_database:  # a run must not find the rows of the one before
        told = forked(lambda out: execute_warm(request, times, (out,)), keep, wall * (times + 1))
        return told if isinstance(told, list) else [told] * times
    outcomes = []
    with kept_scratch() as put_back:
        for _ in range(times):
            outcomes.append(forked(lambda _: execute(request), keep, wall))
            put_back()
    return outcomes


def forked(work: Callable[[int], Any], keep: tuple[int, ...], wall: float) -> Any:
    """What `work` gives in a child that has so many seconds; it is called with the descriptor on which the child
    answers. The child closes every descriptor in `keep` first; its silence is an outcome, too."""
    token = os.urandom(16).hex().encode()
    mine, theirs = os.pipe()
    before = children()
    child = os.fork()
    if child == 0:
        _child(work, theirs, (*keep, mine), token)
    os.close(theirs)
    text = _collect(mine, child, time.monotonic() + wall)
    os.close(mine)
    end(before)
    if text is None:
        return {"status": "timeout"}
    try:
        outcome = json.loads(text[len(token) :]) if text.startswith(token) else None
    except (ValueError, RecursionError):
        outcome = None
    return outcome if isinstance(outcome, (dict, list)) else {"status": "died"}


def _child(work: Callable[[int], Any], out: int, unwanted: tuple[int, ...], token: bytes) -> None:
    try:
        os.setpgid(0, 0)
        for descriptor in unwanted:
            os.close(descriptor)
        silent = os.open(os.devnull, os.O_RDWR)
        os.dup2(silent, 0)
        noise = os.open(os.path.join(SCRATCH[0], ".output"), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(noise, 1)
        os.dup2(noise, 2)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", 0, closefd=False), write_through=True)
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", 0, closefd=False), write_through=True)
        body = json.dumps(work(out)).encode()
        with os.fdopen(out, "wb") as pipe:
            pipe.write(token + body)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _collect(descriptor: int, child: int, until: float) -> bytes | None:
    """What the child says until it closes the pipe or ends (others may still hold the pipe); None: the time
    is up."""
    parts: list[bytes] = []
    ended = False
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return None
        if select.select([descriptor], [], [], 0 if ended else min(left, 0.1))[0]:
            part = os.read(descriptor, 1 << 16)
            if not part:
                return b"".join(parts)
            parts.append(part)
        elif ended:
            return b"".join(parts)
        else:
            ended = os.waitpid(child, os.WNOHANG)[0] == child


# --- what a run leaves behind -------------------------------------------------------------------------------


def seclude() -> None:
    """Close this process to others of the same user (memory, descriptors), and become the parent of
    orphans."""
    call = getattr(ctypes.CDLL(None), "prctl", None)
    if call is not None:
        call(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
        call(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def children() -> set[int]:
    """The processes whose parent is this one."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with (
                contextlib.suppress(OSError, ValueError, IndexError),
                open(f"/proc/{name}/stat", "rb") as file,
            ):
                if int(file.read().rpartition(b")")[2].split()[1]) == os.getpid():
                    found.add(int(name))
    return found


def end(before: set[int]) -> None:
    """Kill what has become a child of this process since `before`; orphans of the killed come next."""
    for _ in range(1000):
        left = children() - before
        if not left:
            return
        for child in left:
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        for child in left:
            with contextlib.suppress(OSError):
                os.waitpid(child, 0)


def scratch_walk() -> list[tuple[str, list[str], list[str]]]:
    """The scratch folders as `os.walk` gives them, without what is mounted in them (an environment)."""
    found = []
    for root in SCRATCH:
        device = os.stat(root).st_dev
        for folder, inner, names in os.walk(root):
            inner[:] = [name for name in inner if lies_on(device, os.path.join(folder, name))]
            found.append(
                (folder, inner, [name for name in names if lies_on(device, os.path.join(folder, name))])
            )
    return found


def lies_on(device: int, path: str) -> bool:
    """Whether a path is on that device."""
    try:
        return os.lstat(path).st_dev == device
    except OSError:
        return False


def scratch_state() -> dict[str, bytes]:
    """Every file in the scratch folders with its bytes; larger trees than 16 MB are not kept."""
    kept, size = {}, 0
    for folder, _, names in scratch_walk():
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.path.isfile(path):
                size += os.path.getsize(path)
                if size > 16 << 20:
                    return {}
                with open(path, "rb") as file:
                    kept[path] = file.read()
    return kept


@contextlib.contextmanager
def kept_scratch() -> Iterator[Callable[[], None]]:
    """Gives what puts the scratch folders back to what they were at the beginning."""
    kept = scratch_state()
    stay = set()  # type: set[str]
    for folder, inner, names in scratch_walk():
        links = [name for name in names if os.path.islink(os.path.join(folder, name))]
        stay.update(os.path.join(folder, name) for name in [*inner, *links])
    yield lambda: scratch_restore(kept, stay)


def scratch_restore(kept: dict[str, bytes], stay: set[str]) -> None:
    """Put the scratch folders back: a run must not see what an earlier run has left."""
    for folder, inner, names in reversed(scratch_walk()):
        for name in [*names, *inner]:
            path = os.path.join(folder, name)
            if path in kept or path in stay:
                continue
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(path)
    for path, body in kept.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(body)


# --- the loop -----------------------------------------------------------------------------------------------


def serve(channel: int) -> None:
    """Answer requests until stdin closes. A request is its length in bytes, a newline and that many bytes of
    JSON, then a line with its nonce: that one is read after the runs, for a fork has all the memory of its
    parent."""
    for size in iter(read_line, b""):
        request = json.loads(read_exactly(int(size)))
        for name in request.get("preload", ()):
            try:
                __import__(name)
            except BaseException:  # the run itself will tell, with its trace
                traceback.print_exc()
        gc.freeze()
        answer(channel, run_all(request, (channel,)))


def answer(channel: int, outcomes: list[dict[str, Any]]) -> None:
    """Read the nonce and send it with the outcomes; afterwards it is in no frame any more."""
    nonce = read_line().decode("ascii", "replace").strip()
    view = memoryview(json.dumps({"nonce": nonce, "outcomes": outcomes}).encode() + b"\n")
    while view:
        view = view[os.write(channel, view) :]


def read_line() -> bytes:
    """One short line of stdin and not a byte more: nothing that was read ahead is in memory."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 1)
        if not part:
            return b""
        line += part
    return line


def read_exactly(size: int) -> bytes:
    """So many bytes of stdin."""
    parts: list[bytes] = []
    while size > 0:
        part = os.read(0, min(size, 1 << 16))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


if __name__ == "__main__":
    inspect.getmodule(serve)  # warms the import machinery before the first fork
    sys.path[:] = [entry for entry in sys.path if entry not in ("", *SCRATCH)]
    seclude()
    serve(int(os.environ.pop("ND_CHANNEL")))
