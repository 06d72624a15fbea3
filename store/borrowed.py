"""A git folder of our own that borrows another's objects, so that a clone which is not ours is never written to.

It holds what makes reading fast (the commit graph) and hunks speak (which lines begin a definition, by language).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from store.errors import Unavailable
from store.git import FETCHING, git

# Built into git: how the first line of a definition looks. Files it has no driver for fall back to unindented lines.
_DRIVERS = {
    "python": ("py", "pyx", "pyi"),
    "golang": ("go",),
    "java": ("java",),
    "kotlin": ("kt", "kts"),
    "cpp": ("c", "h", "cc", "cpp", "hpp", "cxx"),
    "csharp": ("cs",),
    "ruby": ("rb",),
    "php": ("php",),
    "rust": ("rs",),
    "perl": ("pl", "pm"),
    "elixir": ("ex", "exs"),
    "bash": ("sh",),
}
_ATTRIBUTES = "* !diff -text -ident\n" + "".join(
    f"*.{suffix} diff={driver}\n" for driver, suffixes in _DRIVERS.items() for suffix in suffixes
)


def borrow(source: Path, place: Path) -> Path:
    """The folder at `place` that reads from the git folder `source`; made at the first call.

    Raises Unavailable for a shallow clone: what it cuts off would be blamed on the commit where it ends."""
    if (source / "shallow").exists():
        raise Unavailable(
            f"{source} is a shallow clone, in which causes cannot be told; run `git fetch --unshallow` there."
        )
    if not (place / "HEAD").exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".new-") as temporary:
            fresh = Path(temporary) / "git"
            git(None, "init", "--quiet", "--bare", str(fresh))
            (fresh / "info").mkdir(exist_ok=True)
            (fresh / "info" / "attributes").write_text(_ATTRIBUTES)
            _settle(fresh, place)
    (place / "objects" / "info").mkdir(exist_ok=True)
    (place / "objects" / "info" / "alternates").write_text(f"{(source / 'objects').resolve()}\n")
    return place


def _settle(fresh: Path, place: Path) -> None:
    try:
        os.rename(fresh, place)
    except OSError:
        if not (place / "HEAD").exists():  # another process was faster: fine; anything else is not
            raise


def write_graph(folder: Path, commit: str) -> None:
    """Make walking everything that `commit` reaches fast. Added to what is there."""
    wanted = ("commit-graph", "write", "--stdin-commits", "--split", "--append")
    git(folder, *wanted, stdin=commit.encode() + b"\n", seconds=FETCHING)
