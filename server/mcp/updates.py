"""News of incidents for whoever listens (`subscriptions/listen`, protocol of 2026).

What changes an incident may be another process on the same folder, so nothing is announced: as long as
somebody listens, the newest row numbers are looked at every LOOK seconds, and what is behind them is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)

from server.mcp.desk import caller
from server.mcp.resources import uri
from server.policy import Action, may
from store.errors import NightdeskError

if TYPE_CHECKING:
    from server.house import House

log = logging.getLogger("nightdesk.mcp")

LOOK = 2.0  # seconds between two looks


class Updates:
    """A `SubscriptionBus` over what is kept: it listens to the database as long as anybody listens to it."""

    def __init__(self, house: Callable[[], House]) -> None:
        self._house = house
        self._bus = InMemorySubscriptionBus()
        self._projects: dict[str, str] = {}  # address -> project, of what is told now
        self._listeners = 0
        self._looking: asyncio.Task[None] | None = None

    async def publish(self, event: ServerEvent) -> None:
        """Tell everybody who listens and may know of it."""
        await self._bus.publish(event)

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Tell a listener from now on what whoever listens may read; the answer ends it."""
        principal = caller()

        def told(event: ServerEvent) -> None:
            project = self._projects.get(str(event.uri)) if isinstance(event, ResourceUpdated) else None
            if project is None or may(principal, Action.READ, project).allowed:
                listener(event)

        leave = self._bus.subscribe(told)
        self._listeners += 1
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())
        gone = False

        def unsubscribe() -> None:
            nonlocal gone
            leave()
            self._listeners -= not gone
            gone = True
            if self._listeners == 0 and self._looking is not None:
                self._looking.cancel()
                self._looking = None

        return unsubscribe

    async def _look(self) -> None:
        mark: Any = None
        while True:
            try:
                mark, changed = await to_thread.run_sync(self._changed, mark)
            except (
                NightdeskError
            ) as error:  # a folder that is busy now is not a reason to end everybody's stream
                log.warning("News could not be read: %s", error)
                changed = {}
            self._projects = {uri(name): project for name, project in changed.items()}
            for address in self._projects:
                await self.publish(ResourceUpdated(uri=address))
            if changed:
                await self.publish(ResourcesListChanged())
            await asyncio.sleep(LOOK)

    def _changed(self, mark: Any) -> Any:
        return import_module("store.news").changed(self._house().database, mark)
