"""The git command line, as we call it: no configuration but ours, no hooks, no prompts, no network unless
asked for.

A repository is somebody else's text. So a revision or path never stands where an option could, time is
bounded, and what git complains of becomes one of our errors.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import unquote as unquote_url

from store.errors import NotAllowed, NotFound, Unavailable

READING = 120.0  # seconds for a command that reads a mirror
FETCHING = 1800.0  # seconds for a command that talks to a remote

_OPTIONS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.quotePath=off"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "gc.autoDetach=false"),
    *("-c", "core.attributesFile=/dev/null"),
    *("-c", "protocol.ext.allow=never"),
    *("-c", "safe.directory=*"),
    "--literal-pathspecs",
)
# A local source that another user owns is refused by the *other* end, which sees none of the options above.
UPLOAD_PACK = "--upload-pack=git -c safe.directory=* upload-pack"
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_NO_ACCESS = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied (",
    "requested url returned error: 401",
    "requested url returned error: 403",
)
_NO_REPOSITORY = ("not a git repository", "not appear to be a git repository", "does not exist", "not found")
_NO_COMMIT = (
    "bad object",
    "not a valid object name",
    "unknown revision",
    "bad revision",
    "not a valid commit",
    "not a tree object",
)
_NO_OBJECT = (
    "unable to read",
    "cannot read",
    "missing",
    "promisor",
    "could not get object info",
    "not allowed",
)


def git(
    folder: Path | None,
    *arguments: str,
    stdin: bytes = b"",
    stdout: IO[bytes] | None = None,
    seconds: float = READING,
    remote: bool = False,
) -> bytes:
    """Run one git command and return what it printed (nothing where `stdout` takes it). `folder` is a git
    directory.

    Raises NotFound for commits or repositories that are not there, Unavailable for everything else that
    fails."""
    done = _run(folder, arguments, stdin, stdout, seconds, remote)
    if done.returncode != 0:
        raise _worded(folder, done.stderr.decode("utf-8", "replace"))
    return done.stdout or b""


def git_says(folder: Path, *arguments: str) -> bool:
    """Whether a command that answers by its exit code says yes. Raises as `git` does where it neither says
    yes nor no."""
    done = _run(folder, arguments, b"", None, READING, False)
    if done.returncode not in (0, 1):
        raise _worded(folder, done.stderr.decode("utf-8", "replace"))
    return done.returncode == 0


def unquote(name: bytes) -> bytes:
    """A file name as git prints it where it cannot print it plainly: in quotes, with C escapes."""
    if not (len(name) > 1 and name.startswith(b'"') and name.endswith(b'"')):
        return name
    return re.sub(rb'\\([abtnvfr"\\]|[0-7]{3})', _unescape, name[1:-1])


_ESCAPES = dict(zip(b'abtnvfr"\\', b'\a\b\t\n\v\f\r"\\', strict=True))


def _unescape(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes([int(code, 8) & 255 if len(code) == 3 else _ESCAPES[code[0]]])


def without_credentials(text: str) -> str:
    """A text in which no address carries a user name, password or token."""
    return _CREDENTIALS.sub("", text)


def _run(
    folder: Path | None,
    arguments: Sequence[str],
    stdin: bytes,
    stdout: IO[bytes] | None,
    seconds: float,
    remote: bool,
) -> subprocess.CompletedProcess[bytes]:
    place = () if folder is None else (f"--git-dir={folder}",)
    try:
        return subprocess.run(
            ["git", *_OPTIONS, *place, *arguments],
            input=stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            timeout=seconds,
            env=_environment(remote),
            check=False,
        )
    except FileNotFoundError as error:
        raise Unavailable("git is not installed, or not on PATH; install it.") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"git {arguments[0]} took longer than {seconds:.0f} s.", retry=True) from error
    except (OSError, ValueError) as error:  # an argument with a NUL, or too long a list of them
        raise Unavailable(f"git {arguments[0]} could not be started: {error}.") from error


def _environment(remote: bool) -> dict[str, str]:
    """Ours, without anything that would redirect git (we may be running inside somebody's hook).

    A reading command may use no protocol at all: a partial clone would fetch what it lacks, silently."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh" if remote else "none",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "LC_ALL": "C",
    }


def _worded(folder: Path | None, said: str) -> NotFound | NotAllowed | Unavailable:
    lines = [line for line in without_credentials(said).strip().splitlines() if line] or ["git said nothing"]
    told = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1])[:300]
    low = said.lower()
    name = "" if folder is None else f" in {unquote_url(folder.name.removesuffix('.git'))}"
    if any(sign in low for sign in _NO_COMMIT):
        return NotFound(f"There is no such commit{name} ({told}); run `nightdesk repo sync`.")
    if folder is not None and any(sign in low for sign in _NO_OBJECT):
        return Unavailable(f"The history{name} is not complete ({told}); mirror a full clone instead.")
    if any(sign in low for sign in _NO_ACCESS):
        return NotAllowed(f"The credentials are not taken there ({told}).")
    if any(sign in low for sign in _NO_REPOSITORY):
        return NotFound(f"There is no git repository there ({told}).")
    return Unavailable(f"git could not do it{name}: {told}", retry=folder is None)
