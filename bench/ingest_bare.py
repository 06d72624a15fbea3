"""The reference of `bench.ingest`: an application that does nothing but write the body and commit.

    python -m bench.ingest_bare PORT FILE

One thread writes; those who wait at the same time share a commit, and each is answered after it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn


class Bare:
    """An ASGI application over one file."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("pragma journal_mode=wal")
        self._connection.execute("pragma synchronous=full")
        self._connection.execute("create table bodies (id integer primary key, body blob)")
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read, write, answer."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((body, done))
        if not self._writing:
            await self._write_all(loop)
        await done
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    async def _write_all(self, loop: asyncio.AbstractEventLoop) -> None:
        self._writing = True
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await loop.run_in_executor(self._thread, self._commit, [(body,) for body, _ in batch])
            for _, done in batch:
                done.set_result(None)
        self._writing = False

    def _commit(self, rows: list[tuple[bytes]]) -> None:
        self._connection.execute("begin immediate")
        self._connection.executemany("insert into bodies (body) values (?)", rows)
        self._connection.execute("commit")


if __name__ == "__main__":
    uvicorn.run(
        Bare(sys.argv[2]), port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off"
    )
