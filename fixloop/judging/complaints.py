"""What a repository's own linter or type checker says before and after a patch: only what is new counts.

The commands are the repository's, from the default branch or the server; they run in the sandbox, from the
application's environment, and what they print is a stranger's text. Line numbers are left out of the comparison, for a
patch moves lines; the same complaint once more is new.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fixloop import Sandbox
from fixloop.running.worlds import SOURCES, World

WALL = 120.0  # seconds for one run
LONGEST = 300  # characters of a line that are kept
_WRITABLE = {"RUFF_CACHE_DIR": "/tmp/ruff", "MYPY_CACHE_DIR": "/tmp/mypy", "NO_COLOR": "1", "TERM": "dumb"}  # noqa: S108
_NUMBERS = re.compile(r":\d+(?::\d+)?(?=[:\s]|$)|\bline \d+|\(\d+,\d+\)")
_NOT_ABOUT_A_PLACE = re.compile(
    r"^(found \d+|checked \d+|success|all checks passed|warning: )", re.IGNORECASE
)


@dataclass(frozen=True)
class Complaints:
    """The complaints of one run, without line numbers. `ran` is False where the tool is not there or did not end."""

    ran: bool
    said: str = ""
    lines: Counter[str] = field(default_factory=Counter)

    def summary(self) -> dict[str, Any]:
        """What is kept of it."""
        return {"ran": self.ran, "complaints": self.lines.total(), "said": self.said}


def complaints(sandbox: Sandbox, world: World, repo: str, command: str) -> Complaints:
    """Run the command in a world."""
    words = shlex.split(command)
    program = Path(world.environment.python).parent / Path(words[0] if words else "").name
    if words[:2] == ["python", "-m"] and len(words) > 2:
        argv = [world.environment.python, *words[1:]]
    elif words and program.is_file():
        argv = [str(program), *words[1:]]
    else:
        missing = words[0] if words else "nothing"
        return Complaints(False, f"{missing} is not in the application's environment: it was not run")
    job = world.job(argv, cwd=f"{SOURCES}/{repo}", wall=WALL)
    result = sandbox.run(replace(job, env={**job.env, **_WRITABLE}))
    if result.timed_out or result.exit_code is None:
        return Complaints(False, f"{words[0]} did not end within {WALL:.0f} s")
    text = (result.stdout + result.stderr).decode("utf-8", "replace")
    if result.exit_code != 0 and "No module named " in text and len(text) < LONGEST:
        return Complaints(
            False, f"{' '.join(words[:3])} is not in the application's environment: it was not run"
        )
    return Complaints(True, "", Counter(_about_places(text)))


def new_complaint(before: Complaints, after: Complaints) -> str | None:
    """One that the patch brings; None where there is none, or where one of the runs says nothing."""
    if not (before.ran and after.ran):
        return None
    return next(iter((after.lines - before.lines).elements()), None)


def _about_places(text: str) -> list[str]:
    """The lines that complain about a place in a file, by file and words."""
    found = []
    for line in text.splitlines():
        short = line.strip()[:LONGEST]
        if _NUMBERS.search(short) and not _NOT_ABOUT_A_PLACE.match(short):
            found.append(_NUMBERS.sub("", short))
    return found
