"""Group commit: whoever wants to write at the same time shares one transaction, and one sync of the disk.

There is no thread for it. The first who comes writes at once; those who come while it does wait, and the next
of them writes for all that have gathered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Connection
from sqlmodel import Session

LARGEST = 64  # works of one transaction: the lock is held for them all

T = TypeVar("T")


class Work(Generic[T]):
    """One caller's part of a transaction, and what came of it."""

    def __init__(self, do: Callable[[Session], T]) -> None:
        self._do = do
        self._answer: T | None = None
        self._error: BaseException | None = None
        self.done = threading.Event()

    def attempt(self, connection: Connection) -> None:
        """Do it in a savepoint. What it raises is kept for its caller; the others of the batch go on."""
        self._answer = self._error = None
        session = Session(
            connection, autoflush=False, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )
        try:
            with session, session.begin():
                self._answer = self._do(session)
        except Exception as error:
            if connection.in_transaction() and not connection.invalidated:
                self._error = error
            else:
                raise

    def fail(self, error: BaseException) -> None:
        """The transaction was not committed: nothing of this was kept."""
        self._error = error

    def result(self) -> T:
        """The answer, or what went wrong."""
        if self._error is not None:
            raise self._error
        return cast(T, self._answer)


class Grouped:
    """Callers that wait for the same commit. `commit` does a batch in one transaction, or raises."""

    def __init__(self, commit: Callable[[Sequence[Work[Any]]], None]) -> None:
        self._commit = commit
        self._gathered: list[Work[Any]] = []
        self._gathering = threading.Lock()
        self._leading = threading.Lock()

    def submit(self, do: Callable[[Session], T]) -> T:
        """Have it done with the next commit, and wait for that."""
        work = Work(do)
        with self._gathering:
            self._gathered.append(work)
        with self._leading:
            if not work.done.is_set():
                self._write(self._take(work))
        return work.result()

    def _take(self, own: Work[Any]) -> list[Work[Any]]:
        """The next batch; our own part is in it."""
        with self._gathering:
            batch, self._gathered = self._gathered[:LARGEST], self._gathered[LARGEST:]
            if own not in batch:
                self._gathered.remove(own)
                batch.append(own)
        return batch

    def _write(self, batch: list[Work[Any]]) -> None:
        try:
            self._commit(batch)
        except BaseException as error:
            for work in batch:
                work.fail(error)
        finally:
            for work in batch:
                work.done.set()
