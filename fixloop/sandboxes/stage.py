"""The outer step before bubblewrap, run as a program of its own: `python -I -S -B stage.py PLAN_FD`.

It enters a private mount namespace (as an ordinary user: a user namespace too), makes the writable folders
as tmpfs with a limit on bytes *and* on inodes (bubblewrap's own has none on inodes), binds what the job
reads below a folder that everybody may enter, leaves root behind, and becomes `bwrap`.

As root, what the job reads may be readable by root only (a 0700 home, a temporary checkout). Its mount is
then id-mapped: the owner of the folder appears as the unprivileged user. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
from typing import Any

STAGE = "/tmp"  # noqa: S108 - covered by a private tmpfs before anything is made in it
NOBODY = 65534
FAILED = 125  # exit code: the stage could not be set

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 0x1000, 0x4000, 1 << 18
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
_OPEN_TREE_CLONE, _AT_EMPTY_PATH, _AT_RECURSIVE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 0x1000, 0x8000, 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_IDMAP = 1, 0x00100000

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def main() -> None:
    """Set the stage from the plan `{scratch, shm, inodes, mounts, argv}` and become `argv`."""
    with os.fdopen(int(sys.argv[1])) as file:
        plan = json.load(file)
    try:
        root = os.geteuid() == 0
        _enter_namespaces(root)
        _set(plan, root)
        if root:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        os.chdir("/")
        os.execv(plan["argv"][0], plan["argv"])  # noqa: S606 - becoming bwrap is what this program is for
    except OSError as error:
        sys.stderr.write(f"sandbox stage: {error}\n")
        sys.exit(FAILED)


def _enter_namespaces(root: bool) -> None:
    user, group = os.geteuid(), os.getegid()
    _check(_libc.unshare(_CLONE_NEWNS if root else _CLONE_NEWNS | _CLONE_NEWUSER), "unshare")
    if not root:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE, None)


def _set(plan: dict[str, Any], root: bool) -> None:
    """Open every source first: the tmpfs that is put over the stage may cover some of them."""
    sources = [os.open(source, os.O_PATH | os.O_CLOEXEC) for source in plan["mounts"]]
    flags = _MS_NOSUID | _MS_NODEV
    _mount("stage", STAGE, "tmpfs", flags, "size=1m,mode=755")
    for name in ("scratch", "shm"):
        os.mkdir(f"{STAGE}/{name}")
        options = f"size={plan[name]},nr_inodes={plan['inodes']},mode=1777"
        _mount(name, f"{STAGE}/{name}", "tmpfs", flags, options)
    for index, source in enumerate(sources):
        target = f"{STAGE}/{index}"
        status = os.stat(f"/proc/self/fd/{source}")
        if os.path.isdir(f"/proc/self/fd/{source}"):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
        if not (root and _bind_mapped(source, target, status.st_uid, status.st_gid)):
            _mount(f"/proc/self/fd/{source}", target, None, _MS_BIND | _MS_REC, None)


def _bind_mapped(source: int, target: str, user: int, group: int) -> bool:
    """Bind with the owner shown as the unprivileged user; False where the kernel or file system cannot."""
    tree = -1
    namespace = _user_namespace(user, group)
    try:
        tree = _libc.syscall(_OPEN_TREE, source, b"", _OPEN_TREE_CLONE | _AT_EMPTY_PATH | os.O_CLOEXEC)
        wanted = _MountAttr(_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_IDMAP, 0, 0, namespace)
        size = ctypes.sizeof(wanted)
        return bool(
            tree >= 0
            and _libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(wanted), size) == 0
            and _libc.syscall(_MOVE_MOUNT, tree, b"", -100, target.encode(), _MOVE_MOUNT_F_EMPTY_PATH) == 0
        )
    finally:
        os.close(namespace)
        if tree >= 0:
            os.close(tree)


def _user_namespace(user: int, group: int) -> int:
    """A descriptor of a user namespace that maps this owner to the unprivileged one."""
    ready_read, ready_write = os.pipe()
    held_read, held_write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(held_write)
            os.write(ready_write, b"1" if _libc.unshare(_CLONE_NEWUSER) == 0 else b"0")
            os.read(held_read, 1)  # ends with us, also where we are killed before we could say so
        os._exit(0)
    os.close(ready_write)
    os.close(held_read)
    try:
        if os.read(ready_read, 1) != b"1":
            raise PermissionError("no user namespace")
        _write(f"/proc/{child}/uid_map", f"{user} {NOBODY} 1")
        _write(f"/proc/{child}/gid_map", f"{group} {NOBODY} 1")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready_read)
        os.close(held_write)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None) -> None:
    encoded = [text.encode() if text is not None else None for text in (source, target, kind)]
    _check(
        _libc.mount(*encoded, ctypes.c_ulong(flags), options.encode() if options else None), f"mount {target}"
    )


def _check(returned: int, what: str) -> None:
    if returned != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
