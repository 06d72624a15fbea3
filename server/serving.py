"""One process of several behind one address: what `serve --workers` starts, told by the environment what to serve."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread
from starlette.applications import Starlette

from server.app import make_app
from server.config import Config, load
from server.house import House
from server.memory import settle


def configure_logging() -> None:
    """Log to standard error; to be called before the MCP server does it in its own way."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )


def environment(config: Config) -> Mapping[str, str]:
    """What a process of its own has to be told; everything else it reads where we have read it."""
    return {
        "NIGHTDESK_DATA": str(config.data),
        "NIGHTDESK_HOST": config.host,
        "NIGHTDESK_PORT": str(config.port),
    }


def application() -> Starlette:
    """The application over a house of its own, which is closed when the application ends."""
    configure_logging()
    opened = House.open(load(Path(os.environ["NIGHTDESK_DATA"])))
    app = make_app(opened.__enter__())
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(starting: Starlette) -> AsyncIterator[None]:
        try:
            async with inner(starting):
                settle()
                yield
        finally:
            await to_thread.run_sync(opened.__exit__, None, None, None)

    app.router.lifespan_context = lifespan
    return app
