"""The probes: each named attack with what it needs to bite, and how its outcome is read.

The quick ones run as the self-test whenever a sandbox is first used; all of them run in the tests, together
with a control outside the sandbox that shows they bite.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixloop import Job, Mount
from fixloop.sandboxes import attacks
from fixloop.sandboxes.child import Child

SCRATCH = 16 << 20  # bytes; small, so that filling it is quick
PROCESSES = 32
MEMORY = 512 << 20
OUTPUT = 1 << 20
QUICK = (
    "host_loopback",
    "external_route",
    "abstract_socket",
    "write_outside",
    "fill_scratch",
    "host_processes",
    "parent_environment",
    "host_secrets",
    "nested_namespace",
)
_INSIDE = frozenset(
    {"PATH", "HOME", "LANG", "TZ", "PWD", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "SHLVL", "_"}
)
_CALLS = {  # what is asked for has a number of its own on each machine
    "x86_64": {"keyctl": 250, "bpf": 321, "perf_event_open": 298, "io_uring_setup": 425, "userfaultfd": 323,
               "clock_settime": 227, "mount": 165, "process_vm_writev": 311, "open_by_handle_at": 304},
    "aarch64": {"keyctl": 219, "bpf": 280, "perf_event_open": 241, "io_uring_setup": 425, "userfaultfd": 282,
                "clock_settime": 112, "mount": 40, "process_vm_writev": 271, "open_by_handle_at": 265},
}  # fmt: skip
_PRIVATE = (".ssh", ".netrc", ".gitconfig", ".bash_history", ".bashrc", ".aws", ".config")
_SCRIPT = "/probe/attacks.py"
_WALL = 0.5  # seconds that the stubborn one gets


@dataclass(frozen=True)
class Bait:
    """What the probes are let loose on: real, and harmless to lose."""

    port: int
    abstract: str
    folder: Path  # holds the mounted source and a secret that is not mounted
    canary: str

    @property
    def source(self) -> Path:
        """The folder that is mounted."""
        return self.folder / "source"

    @property
    def secret(self) -> Path:
        """The file that is not."""
        return self.folder / "id_ed25519"

    @property
    def socket(self) -> Path:
        """A unix socket of the host."""
        return self.folder / "engine.sock"

    def arguments(self, *, scratch: str, places: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What each attack is given: the bound it is to exceed, the places it is to write to."""
        variables = {name: value for name, value in os.environ.items() if name not in _INSIDE and value}
        return {
            "host_loopback": {"port": self.port},
            "external_route": {},
            "abstract_socket": {"abstract": self.abstract},
            "netlink_socket": {},
            "write_outside": {"places": list(places)},
            "fill_scratch": {"scratch": scratch, "size": SCRATCH + (4 << 20)},
            "many_files": {"scratch": scratch, "files": 20_000},
            "fork_bomb": {"processes": PROCESSES + 8},
            "memory_bomb": {"memory": MEMORY + (64 << 20)},
            "host_processes": {"commands": [Path("/proc/self/cmdline").read_bytes().hex()]},
            "parent_environment": {"variables": variables},
            "host_secrets": {"secrets": [str(self.secret), *(str(Path.home() / name) for name in _PRIVATE)]},
            "leaked_descriptor": {"canary": self.canary},
            "trace": {},
            "nested_namespace": {},
            "thread_bomb": {"processes": PROCESSES + 8},
            "shared_memory": {"size": SCRATCH + (4 << 20)},
            "huge_file": {"scratch": scratch, "size": 1 << 30},
            "path_socket": {
                "paths": [str(self.socket), "/var/run/docker.sock", "/run/dbus/system_bus_socket"]
            },
            "system_interfaces": {"paths": ["/sys", "/sys/kernel", "/dev/mem", "/dev/kmsg", "/proc/kcore"]},
            "signal_outside": {"pids": [os.getpid()]},
            "gain_rights": {},
            "device_node": {"scratch": scratch},
            "hard_link": {"sources": [str(self.secret), str(self.source / "mine")], "scratch": scratch},
            "symbolic_link": {"link": str(self.source / "link"), "canary": self.canary},
            "raw_sockets": {},
            "system_calls": {"numbers": _CALLS.get(platform.machine(), {})},
            "terminal_input": {},
            "endless_output": {},
            "stubborn": {},
        }


@contextmanager
def bait() -> Iterator[Bait]:
    """Listeners, a secret and a source folder, for as long as the block runs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightdesk-probe-")))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        name = f"nightdesk-{uuid.uuid4().hex}"
        nameless = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        nameless.bind("\0" + name)
        nameless.listen()
        made = Bait(listener.getsockname()[1], name, folder, uuid.uuid4().hex)
        made.source.mkdir()
        made.secret.write_text(made.canary)
        made.secret.chmod(0o600)
        (made.source / "mine").write_text(made.canary)
        (made.source / "link").symlink_to(made.secret)
        named = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        named.bind(str(made.socket))
        named.listen()
        yield made


def own_python() -> tuple[str, tuple[Mount, ...]]:
    """The interpreter that runs us, and what has to be mounted for it to run inside."""
    base = Path(sys.base_prefix).resolve()
    return str(Path(sys.executable).resolve()), (Mount(base, str(base)),)


def job(made: Bait, names: Sequence[str], *, wall: float = 20.0, marker: str = "") -> Job:
    """The job that tries these attacks inside. By the argument `marker` its processes can be found."""
    python, mounts = own_python()
    places = ["/", "/usr", "/etc", "/dev", "/proc/sys/kernel", str(made.source)]
    given = made.arguments(scratch="/tmp", places=places)  # noqa: S108 - inside
    return Job(
        argv=(python, "-I", "-S", "-B", _SCRIPT, json.dumps({name: given[name] for name in names}), marker),
        mounts=(*mounts, Mount(made.source, str(made.source))),
        files={_SCRIPT: Path(attacks.__file__).read_bytes()},
        wall=wall,
        scratch=SCRATCH,
        processes=PROCESSES,
        memory=MEMORY,
        output=OUTPUT,
    )


def reached(stdout: bytes) -> dict[str, str | None]:
    """What the attacks said: name to what was reached, or None where it was stopped."""
    return dict(json.loads(line) for line in stdout.splitlines() if line.startswith(b"["))


def quick(start: Callable[[Job], Child]) -> str | None:
    """Run the quick probes. None where all are stopped, otherwise what is wrong, in a few words."""
    with bait() as made:
        try:
            child = start(job(made, QUICK))
        except OSError as error:
            return f"it cannot be started: {error}"
        try:
            child.send(b"", last=True)
            result = child.finish()
        finally:
            child.close()
        said = reached(result.stdout)
        if missing := [name for name in QUICK if name not in said]:
            words = result.stderr.decode(errors="replace").strip().splitlines() or [
                f"{missing[0]} did not run"
            ]
            return words[-1]
        if bitten := [f"{name}: {what}" for name, what in said.items() if what is not None]:
            return "; ".join(bitten)
        return survivors(start, made)


def survivors(start: Callable[[Job], Child], made: Bait) -> str | None:
    """Let a stubborn tree run into the wall limit; None where none of it is left, otherwise who is."""
    marker = uuid.uuid4().hex
    child = start(job(made, ["stubborn"], wall=_WALL, marker=marker))
    try:
        child.send(b"", last=True)
        result = child.finish()
    finally:
        child.close()
    if not result.timed_out:
        return "the wall limit does not hold"
    left = marked(marker)
    return f"process {left[0]} outlives the wall limit" if left else None


def marked(marker: str, within: float = 2.0) -> list[int]:
    """Processes of this machine with the marker among their arguments, after `within` seconds to go."""
    deadline = time.monotonic() + within
    while True:
        found = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if marker in _arguments(entry)]
        if not found or time.monotonic() >= deadline:
            return found
        time.sleep(0.01)


def _arguments(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""
