"""The system call filter, assembled by hand (classic BPF) for bubblewrap, and the same as a container engine reads it.

What it closes is what namespaces leave open: socket families without a network namespace (vsock, netlink,
packet, alg), ptrace, kernel keyrings, io_uring, bpf, perf, userfaultfd, mounting and namespaces, the clock,
and typing into the caller's terminal (TIOCSTI). Refused calls fail with EPERM; `clone3` fails with ENOSYS,
so that the C library falls back.
"""

from __future__ import annotations

import errno
import json
import struct
from typing import Any

_LOAD, _JUMP_EQ, _JUMP_GE, _RETURN = 0x20, 0x15, 0x35, 0x06
_JUMP_SET = 0x45
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _FIRST_ARGUMENT, _SECOND_ARGUMENT = 0, 4, 16, 24  # offsets into struct seccomp_data
_X32 = 0x40000000
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_SHARED = {  # numbers that are the same on every machine
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
}  # fmt: skip
_CLONE3 = 435
_CLONE_NEWUSER = 0x10000000

_NAMES = (
    "ptrace process_vm_readv process_vm_writev kcmp keyctl add_key request_key bpf perf_event_open "
    "userfaultfd unshare setns mount umount2 pivot_root chroot name_to_handle_at open_by_handle_at "
    "init_module finit_module delete_module kexec_load reboot swapon swapoff quotactl acct syslog "
    "settimeofday clock_settime clock_adjtime"
)
# audit architecture, socket, ioctl, clone, and the numbers of the calls above in their order
_MACHINES = {
    "x86_64": (
        (0xC000003E, 41, 16, 56),
        "101 310 311 312 250 248 249 321 298 323 272 308 165 166 155 161 303 304 "
        "175 313 176 246 169 167 168 179 163 103 164 227 305",
    ),
    "aarch64": (
        (0xC00000B7, 198, 29, 220),
        "117 270 271 272 219 217 218 280 241 282 97 268 40 39 41 51 264 265 "
        "105 273 106 104 142 224 225 60 89 116 170 112 266",
    ),
}


def program(machine: str) -> bytes | None:
    """The filter for `platform.machine()`, as `bwrap --seccomp` reads it; None for other machines."""
    if machine not in _MACHINES:
        return None
    (architecture, socket, ioctl, clone), numbers = _MACHINES[machine]
    refused = [int(number) for _, number in zip(_NAMES.split(), numbers.split(), strict=True)]
    refuse = _statement(_RETURN, _ERRNO | errno.EPERM)
    code = [
        _statement(_LOAD, _ARCH),
        _jump(_JUMP_EQ, architecture, 1, 0),
        _statement(_RETURN, _KILL),
        _statement(_LOAD, _NUMBER),
        _jump(_JUMP_GE, _X32, 0, 1),
        refuse,
        _jump(_JUMP_EQ, _CLONE3, 0, 1),
        _statement(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    for number in (*refused, *_SHARED.values()):
        code += [_jump(_JUMP_EQ, number, 0, 1), refuse]
    code += _only(socket, _FIRST_ARGUMENT, _FAMILIES)
    code += _never(ioctl, _SECOND_ARGUMENT, _TERMINAL_INPUT)
    code += [_jump(_JUMP_EQ, clone, 0, 3), _statement(_LOAD, _FIRST_ARGUMENT)]
    code += [_jump(_JUMP_SET, _CLONE_NEWUSER, 0, 1), refuse]
    code.append(_statement(_RETURN, _ALLOW))
    return b"".join(code)


def profile(machine: str) -> bytes:
    """The same filter as a profile for Docker and Podman (JSON of the OCI runtime specification). On a machine
    that has no `program`, and with another call convention, every call is refused."""
    known = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
    families = [
        {"value": value, "op": "SCMP_CMP_EQ"} for value in range(max(_FAMILIES)) if value not in _FAMILIES
    ]
    families.append({"value": max(_FAMILIES), "op": "SCMP_CMP_GT"})
    typed = [
        {"value": 0xFFFFFFFF, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"} for value in _TERMINAL_INPUT
    ]
    space = {"value": _CLONE_NEWUSER, "valueTwo": _CLONE_NEWUSER, "op": "SCMP_CMP_MASKED_EQ"}
    rules = [_refused([*_NAMES.split(), *_SHARED], errno.EPERM), _refused(["clone3"], errno.ENOSYS)]
    rules += [_refused(["socket"], errno.EPERM, {"index": 0, **family}) for family in families]
    rules += [_refused(["ioctl"], errno.EPERM, {"index": 1, **word}) for word in typed]
    rules.append(_refused(["clone"], errno.EPERM, {"index": 0, **space}))
    allowed = "SCMP_ACT_ALLOW" if machine in known else "SCMP_ACT_ERRNO"
    made = {
        "defaultAction": allowed,
        "architectures": [known[machine]] if machine in known else [],
        "syscalls": rules,
    }
    return json.dumps(made).encode()


def _refused(names: list[str], code: int, *arguments: dict[str, Any]) -> dict[str, Any]:
    return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": code, "args": list(arguments)}


def _only(call: int, argument: int, allowed: tuple[int, ...]) -> list[bytes]:
    """Permit this call with these values of an argument, refuse it with any other."""
    body = [_statement(_LOAD, argument)]
    body += [_jump(_JUMP_EQ, value, len(allowed) - index, 0) for index, value in enumerate(allowed)]
    body += [_statement(_RETURN, _ERRNO | errno.EPERM), _statement(_RETURN, _ALLOW)]
    return [_jump(_JUMP_EQ, call, 0, len(body)), *body]


def _never(call: int, argument: int, refused: tuple[int, ...]) -> list[bytes]:
    """Refuse this call with these values of an argument, permit it with any other."""
    body = [_statement(_LOAD, argument)]
    body += [_jump(_JUMP_EQ, value, len(refused) - index, 0) for index, value in enumerate(refused)]
    body += [_statement(_RETURN, _ALLOW), _statement(_RETURN, _ERRNO | errno.EPERM)]
    return [_jump(_JUMP_EQ, call, 0, len(body)), *body]


def _statement(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
