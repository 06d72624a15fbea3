"""One process of several behind one address: what `serve --workers` starts, told by the environment what to serve."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from anyio import to_thread
from starlette.applications import Starlette

from server.app import make_app
from server.config import Config, load
from server.house import House
from server.operating import logs
from server.operating.memory import settle
from server.operating.self_watch import watched


def environment(config: Config) -> Mapping[str, str]:
    """What a process of its own has to be told; everything else it reads where we have read it."""
    return {
        "NIGHTDESK_DATA": str(config.data),
        "NIGHTDESK_HOST": config.host,
        "NIGHTDESK_PORT": str(config.port),
    }


def application() -> Starlette:
    """The application over a house of its own, which is closed when the application ends."""
    config = load(Path(os.environ["NIGHTDESK_DATA"]))
    logs.configure(config.log_format)
    opened = ExitStack()
    house = opened.enter_context(House.open(config))
    opened.enter_context(watched(house))
    app = make_app(house)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(starting: Starlette) -> AsyncIterator[None]:
        try:
            async with inner(starting):
                settle()
                yield
        finally:
            await to_thread.run_sync(opened.close)

    app.router.lifespan_context = lifespan
    return app
