"""The launcher: the one uniquely named module of the house, standard library only.

An assistant starts our stdio server *inside the user's project*, which may have folders called ``server`` or
``store`` of its own. So before anything else is imported, the working directory and every ``PYTHONPATH`` entry
leave ``sys.path``, and children inherit an environment in which neither can come back.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path


def _harden_import_path() -> None:
    """Take the caller's folders off ``sys.path``; put our own at the end; protect every child the same way."""
    home = Path(__file__).resolve().parent
    unwanted = {Path.cwd().resolve()}
    unwanted.update(Path(entry).resolve() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry)
    unwanted.discard(home)
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() not in unwanted]
    if not any(Path(entry).resolve() == home for entry in sys.path):
        sys.path.append(str(home))
    os.environ.pop("PYTHONPATH", None)
    os.environ["PYTHONSAFEPATH"] = "1"


def main() -> None:
    """Entry point of the ``nightdesk`` command."""
    _harden_import_path()
    import_module("server.cli").main()


if __name__ == "__main__":
    main()
