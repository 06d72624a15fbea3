"""What hostile code would try, in harmless doses. Run inside a sandbox, and outside it as the control.

`python -I -S -B attacks.py ARGUMENTS` with ARGUMENTS as a JSON object: the name of each attack to try, and
what it needs. Prints one JSON line `[name, reached]` for each: `reached` is null where the attempt was
stopped, and otherwise a sentence. Standard library only; depends on nothing else of the house.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def host_loopback(port: int) -> str | None:
    """Reach a service that listens on the host's loopback."""
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return f"connected to the host's 127.0.0.1:{port}"


def external_route() -> str | None:
    """Find a way to another machine. Connecting a datagram socket asks for the route and sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        attempt.connect(("192.0.2.1", 53))
        return f"a route outside from {attempt.getsockname()[0]}"


def abstract_socket(abstract: str) -> str | None:
    """Reach a unix socket of the host that has no path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
        attempt.connect("\0" + abstract)
        return "connected to the host's abstract unix socket"


def netlink_socket() -> str | None:
    """Open a socket family that network namespaces do not bind to a network."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0):
        return "opened a netlink socket"


def write_outside(places: list[str]) -> str | None:
    """Write where only reading is promised."""
    for place in places:
        target = Path(place) / "nightdesk-probe"
        with contextlib.suppress(OSError):
            target.write_text("x")
            target.unlink()
            return f"wrote to {place}"
    return None


def fill_scratch(scratch: str, size: int) -> str | None:
    """Write more than the bound."""
    target = Path(scratch) / "fill"
    try:
        with target.open("wb") as file:
            for _ in range(size >> 20):
                file.write(b"\0" * (1 << 20))
        return f"wrote {size >> 20} MiB to {scratch}"
    finally:
        target.unlink(missing_ok=True)


def many_files(scratch: str, files: int) -> str | None:
    """Make more files than the bound: each costs memory that no size limit counts."""
    folder = Path(scratch) / "many"
    folder.mkdir()
    made = 0
    try:
        for made in range(files):
            os.close(os.open(f"{folder}/{made}", os.O_CREAT | os.O_WRONLY))
        return f"made {files} files in {scratch}"
    finally:
        for name in os.listdir(folder):
            os.unlink(f"{folder}/{name}")
        folder.rmdir()


def fork_bomb(processes: int) -> str | None:
    """Start more processes than the bound."""
    children: list[int] = []
    try:
        for _ in range(processes):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                signal.pause()
                os._exit(0)
            children.append(child)
        return f"started {processes} processes"
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def memory_bomb(memory: int) -> str | None:
    """Ask for more memory than the bound (untouched pages: nothing is really used)."""
    return f"got {len(bytearray(memory)) >> 20} MiB"


def host_processes(commands: list[str]) -> str | None:
    """See a process of the host. `commands`: command lines of the host, as hex."""
    for found in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if found.read_bytes().hex() in commands:
                return f"saw a process of the host at {found.parent}"
    return None


def parent_environment(variables: dict[str, str]) -> str | None:
    """Read variables of the host's environment, from our own or from that of any process in sight."""
    texts = [f"{name}={value}".encode() for name, value in variables.items()]
    for name, value in variables.items():
        if os.environ.get(name) == value:
            return f"{name} is in the environment"
    for found in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            entries = found.read_bytes().split(b"\0")
            if any(text in entries for text in texts):
                return f"read {found}"
    return None


def host_secrets(secrets: list[str]) -> str | None:
    """Read what only the host's user may: keys, a home folder."""
    for secret in map(Path, secrets):
        with contextlib.suppress(OSError):
            if secret.is_dir():
                if list(secret.iterdir()):
                    return f"listed {secret}"
            else:
                secret.read_bytes()
                return f"read {secret}"
    return None


def leaked_descriptor(canary: str) -> str | None:
    """Find an open file of the host among the descriptors."""
    for number in range(3, 256):
        with contextlib.suppress(OSError):
            os.lseek(number, 0, os.SEEK_SET)
            if canary.encode() in os.read(number, 4096):
                return f"descriptor {number} reads a file of the host"
    return None


def trace() -> str | None:
    """Use ptrace, the road into other processes."""
    child = os.fork()
    if child == 0:
        os._exit(0 if ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0 else 1)  # PTRACE_TRACEME
    return "ptrace is permitted" if os.waitpid(child, 0)[1] == 0 else None


def nested_namespace() -> str | None:
    """Become root of a user namespace of our own, where most kernel holes lie."""
    made = ctypes.CDLL(None, use_errno=True).unshare(0x10000000)  # CLONE_NEWUSER
    return "made a user namespace" if made == 0 else None


def thread_bomb(processes: int) -> str | None:
    """Start more threads than the bound of processes."""
    end, threads = threading.Event(), []
    try:
        for _ in range(processes):
            threads.append(threading.Thread(target=end.wait, args=(20,), daemon=True))
            threads[-1].start()
        return f"started {processes} threads"
    except RuntimeError:
        return None
    finally:
        end.set()


def shared_memory(size: int) -> str | None:
    """Write more to /dev/shm than the bound."""
    return fill_scratch("/dev/shm", size)  # noqa: S108 - what is attacked


def huge_file(scratch: str, size: int) -> str | None:
    """Make a file that is larger than the bound and takes no room."""
    target = Path(scratch) / "huge"
    try:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with target.open("wb") as file:
            file.truncate(size)
        return f"a file of {size >> 20} MiB in {scratch}"
    finally:
        target.unlink(missing_ok=True)


def path_socket(paths: list[str]) -> str | None:
    """Reach a unix socket of the host by its path: an engine's, an agent's, a bus."""
    for path in paths:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
            attempt.connect(path)
            return f"connected to {path}"
    return None


def system_interfaces(paths: list[str]) -> str | None:
    """Read what the kernel tells of the machine."""
    for path in map(Path, paths):
        with contextlib.suppress(OSError):
            if path.is_dir() and list(path.iterdir()):
                return f"listed {path}"
            if not path.is_dir() and path.open("rb").read(1):
                return f"read {path}"
    return None


def signal_outside(pids: list[int]) -> str | None:
    """Send a signal to a process of the host; the signal 0 only asks whether that is allowed."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return f"may send signals to {pid}"
    return None


def gain_rights() -> str | None:
    """Start a program that runs with the rights of its owner (setuid)."""
    status = Path("/proc/self/status").read_text()
    return None if "NoNewPrivs:\t1" in status else "a setuid program would gain its owner's rights"


def device_node(scratch: str) -> str | None:
    """Make a device of our own: the machine's memory, a disk."""
    target = Path(scratch) / "device"
    try:
        os.mknod(target, stat.S_IFCHR | 0o600, os.makedev(1, 1))
        return f"made a device in {scratch}"
    finally:
        target.unlink(missing_ok=True)


def hard_link(sources: list[str], scratch: str) -> str | None:
    """Keep a file of the host under a name of our own."""
    for source in sources:
        target = Path(scratch) / "linked"
        with contextlib.suppress(OSError):
            os.link(source, target)
            target.unlink()
            return f"linked {source} into {scratch}"
    return None


def symbolic_link(link: str, canary: str) -> str | None:
    """Follow a link that lies in the repository and points out of it."""
    return f"read the host's file through {link}" if canary in Path(link).read_text() else None


def raw_sockets() -> str | None:
    """Open sockets that see all of a network, the host's machine, or the kernel's own ciphers."""
    kinds = {"packet": (17, socket.SOCK_RAW), "raw": (2, socket.SOCK_RAW), "vsock": (40, socket.SOCK_STREAM),
             "alg": (38, socket.SOCK_SEQPACKET)}  # fmt: skip
    opened = []
    for name, (family, kind) in kinds.items():
        with contextlib.suppress(OSError):
            socket.socket(family, kind, 1 if name == "raw" else 0).close()
            opened.append(name)
    return f"opened sockets of {', '.join(opened)}" if opened else None


def system_calls(numbers: dict[str, int]) -> str | None:
    """Ask the kernel for what most of its holes lie behind, with arguments that do nothing: a refusal says EPERM or
    ENOSYS, everything else has come through."""
    library = ctypes.CDLL(None, use_errno=True)
    passed = []
    for name, number in numbers.items():
        ctypes.set_errno(0)
        got = library.syscall(
            ctypes.c_long(number), ctypes.c_long(0 if "clock" in name else -1), None, None, None, None
        )
        if got >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
            passed.append(name)
    return f"{', '.join(passed)} came through" if passed else None


def terminal_input() -> str | None:
    """Type into the terminal of whoever has started us; what is no terminal says ENOTTY where that is allowed."""
    try:
        fcntl.ioctl(0, 0x5412, b"x")
    except OSError as error:
        return "typing into a terminal is allowed" if error.errno == errno.ENOTTY else None
    return "typed into the terminal"


def endless_output() -> str | None:
    """Print until somebody stops it (64 MiB at the most)."""
    for _ in range(64):
        sys.stdout.write("x" * (1 << 20))
    return "printed 64 MiB"


def stubborn() -> str | None:
    """Ignore SIGTERM, leave a daemon behind that holds stdout, and stay (20 s at the most)."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        print(json.dumps(["daemon", "started"]), flush=True)
    time.sleep(20)
    return "outlived the limit"


ATTACKS: dict[str, Callable[..., str | None]] = {
    attack.__name__: attack
    for attack in (
        host_loopback,
        external_route,
        abstract_socket,
        netlink_socket,
        write_outside,
        fill_scratch,
        many_files,
        fork_bomb,
        memory_bomb,
        host_processes,
        parent_environment,
        host_secrets,
        leaked_descriptor,
        trace,
        nested_namespace,
        thread_bomb,
        shared_memory,
        huge_file,
        path_socket,
        system_interfaces,
        signal_outside,
        gain_rights,
        device_node,
        hard_link,
        symbolic_link,
        raw_sockets,
        system_calls,
        terminal_input,
        endless_output,
        stubborn,
    )
}


def _attempt(arguments: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for name, given in arguments.items():
        try:
            yield name, ATTACKS[name](**given)
        except (OSError, MemoryError):
            yield name, None


if __name__ == "__main__":
    for verdict in _attempt(json.loads(sys.argv[1])):
        print(json.dumps(verdict), flush=True)
