"""How long a sandbox takes to start, over the same program started plainly; and a run out of a warm process beside it.

    uv run python -m bench.sandbox_start [RUNS]

Both forms and the plain start take turns, so that what else the machine does meets all of them alike. Milliseconds:
median of the wall clock, and of the processor time of the children.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

from fixloop import Job
from fixloop.sandboxes import bubblewrap, probes

RUNS = 60
_PYTHON, _MOUNTS = probes.own_python()
_WORDS = (_PYTHON, "-I", "-S", "-c", "pass")


def plain() -> None:
    """The program by itself."""
    subprocess.run(_WORDS, check=True, capture_output=True)


def boxed(*, staged: bool) -> None:
    """The program in one of the two forms of the sandbox."""
    child = bubblewrap.start(Job(argv=_WORDS, mounts=_MOUNTS), staged=staged)
    child.send(b"", last=True)
    if child.finish().exit_code != 0:
        raise SystemExit("The sandbox does not start here: see nightdesk doctor.")


def forked() -> None:
    """What a warm process does for each run of a scan."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def measured(call: Callable[[], None]) -> tuple[float, float]:
    """Milliseconds of one call: wall clock, processor time of its children."""
    before, started = _children(), perf_counter()
    call()
    return 1000 * (perf_counter() - started), 1000 * (_children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(runs: int) -> None:
    """Print the table."""
    ways: dict[str, Callable[[], None]] = {
        "plain": plain,
        "staged": lambda: boxed(staged=True),
        "direct": lambda: boxed(staged=False),
        "fork": forked,
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, call in ways.items():
            taken[name].append(measured(call))
    base = median(wall for wall, _ in taken["plain"])
    print(f"{'':8} {'wall':>8} {'over plain':>11} {'processor':>10}   load {os.getloadavg()[0]:.1f}")
    for name, rows in taken.items():
        wall, used = (median(column) for column in zip(*rows, strict=True))
        print(f"{name:8} {wall:8.1f} {wall - base:11.1f} {used:10.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
