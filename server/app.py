"""The ASGI application: routes and nothing else. A fresh one for each call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from anyio import CancelScope, to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from server.api.serving import Api
from server.house import House
from server.http.answers import refused
from server.http.ending import Ending
from server.ingest.doors import Ingest
from server.metrics import Metrics
from server.moments import Clock, utc_now
from server.oauth.doors import OAuthDoors
from server.web.guard import SecurityHeaders
from server.web.pages import Pages
from server.work.worker import Worker
from store import queries
from store.errors import NightdeskError


def make_app(house: House, clock: Clock = utc_now) -> Starlette:
    """The application over an open house. A worker runs as long as the application does. `clock` is what logins and
    grants end by."""
    worker, ending = Worker(house), Ending()
    mcp = import_module("server.mcp.http").McpDoors(
        house, clock
    )  # the SDK takes a second: not before it is served

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await to_thread.run_sync(worker.__enter__)
        try:
            with ending.heard():
                async with mcp.running():
                    yield
        finally:
            with CancelScope(shield=True):
                await to_thread.run_sync(worker.__exit__, None, None, None)

    app = Starlette(
        routes=[
            *Ingest(house, worker.wake).routes(),
            Route("/healthz", _alive),
            Route("/readyz", _Ready(house).answer),
            Route("/metrics", Metrics(house).answer),
            *mcp.routes(),
            *OAuthDoors(house, clock).routes(),
            *Api(house).routes(),
            *Pages(house, clock, ending).routes(),
        ],
        middleware=[Middleware(SecurityHeaders)],
        exception_handlers={NightdeskError: refused},
        lifespan=lifespan,
    )
    app.state.worker = worker
    return app


async def _alive(request: Request) -> Response:
    return PlainTextResponse("ok")


class _Ready:
    """Readiness: the database answers."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def answer(self, request: Request) -> Response:
        """200 when a read succeeds, else 503; says nothing else."""
        try:
            await to_thread.run_sync(queries.lane_counts, self._house.database)
        except NightdeskError:
            return PlainTextResponse("not ready", status_code=503)
        return PlainTextResponse("ok")
