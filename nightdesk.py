"""The launcher: the one uniquely named module of the house, standard library only.

An assistant starts our stdio server *inside the user's project*, which may have folders called ``server``
or ``store`` of its own. So before anything else is imported, the working directory and every ``PYTHONPATH``
entry leave ``sys.path``, and children inherit an environment in which neither can come back.

Only ``os`` and ``sys`` may be imported here: the interpreter has loaded them before our first line. Any other
module, even of the standard library (``pathlib`` needs ``types``), could come from the user's folder.
"""

import os
import sys


def _harden_import_path() -> None:
    """Take the caller's folders off ``sys.path``, put our own at the end, protect every child likewise."""
    home = os.path.dirname(os.path.realpath(__file__))
    unwanted = {os.path.realpath(os.getcwd())}
    unwanted.update(
        os.path.realpath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry
    )
    unwanted.discard(home)
    sys.path[:] = [entry for entry in sys.path if entry and os.path.realpath(entry) not in unwanted]
    if not any(os.path.realpath(entry) == home for entry in sys.path):
        sys.path.append(home)
    os.environ.pop("PYTHONPATH", None)
    os.environ["PYTHONSAFEPATH"] = "1"


def main() -> None:
    """Entry point of the ``nightdesk`` command."""
    _harden_import_path()
    __import__("server.cli", fromlist=["main"]).main()


if __name__ == "__main__":
    main()
