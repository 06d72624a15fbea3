"""`nightdesk mcp`: MCP over standard input and output.

Nothing heavy is imported before a client has asked for something: the house is opened with the first call.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import ExitStack
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from server.mcp.tools import make_server
from server.operating.memory import settle

if TYPE_CHECKING:
    from server.house import House


@click.command()
@click.option("--read-only", is_flag=True, help="Leave out every tool that writes.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data folder (else $NIGHTDESK_DATA, ./.nightdesk, or the user's own).",
)
def command(read_only: bool, data: Path | None) -> None:
    """Answer a coding assistant over standard input and output; logs go to standard error.

    Works with or without a running server on the same data folder.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    with _Opened(data) as opened:
        make_server(opened, read_only=read_only, version=metadata.version("nightdesk")).run("stdio")


class _Opened:
    """A house that is opened when it is first asked for, and closed at the end."""

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self._closing = ExitStack()
        self._lock = threading.Lock()
        self._house: House | None = None

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.close()

    def __call__(self) -> House:
        with self._lock:
            if self._house is None:
                config = import_module("server.config").load(self._data)
                house: House = self._closing.enter_context(import_module("server.house").House.open(config))
                self._house = house
                settle()
            return self._house
