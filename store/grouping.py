"""Group commit: whoever wants to write at the same time shares one transaction, and one sync of the disk.

There is no thread for it. The first who comes writes at once; those who come while it does wait, and the next
of them writes for all that have gathered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Generic, TypeAlias, TypeVar, cast

from sqlalchemy import Connection

LARGEST = 64  # works of one transaction: the lock is held for them all

P = TypeVar("P")
T = TypeVar("T")
Joint: TypeAlias = Callable[[Connection, Sequence[P]], Sequence[T]]  # parts of callers -> an answer for each


class Work(Generic[T]):
    """One caller's part of a transaction, and what came of it. `joint` does the parts of several callers at once."""

    def __init__(self, joint: Joint[Any, T], part: Any) -> None:
        self.joint, self.part = joint, part
        self._answer: T | None = None
        self._error: BaseException | None = None
        self.done = threading.Event()

    def answer(self, answer: T) -> None:
        """It is done, and counts once the transaction is committed."""
        self._answer, self._error = answer, None

    def fail(self, error: BaseException) -> None:
        """The transaction was not committed: nothing of this was kept."""
        self._error = error

    def result(self) -> T:
        """The answer, or what went wrong."""
        if self._error is not None:
            raise self._error
        return cast(T, self._answer)


def attempt(works: Sequence[Work[Any]], connection: Connection) -> None:
    """Do the works of a batch inside the caller's transaction: those of one kind together, in a savepoint. Where that
    fails, each by itself: what one raises is kept for its caller, and the others go on."""
    for joint, some in groupby(works, lambda work: work.joint):
        together = list(some)
        try:
            with connection.begin_nested():
                answers = joint(connection, [work.part for work in together])
        except Exception as error:
            if connection.invalidated or not connection.in_transaction():
                raise
            if len(together) == 1:
                together[0].fail(error)
            else:
                for work in together:
                    attempt([work], connection)
            continue
        for work, answer in zip(together, answers, strict=True):
            work.answer(answer)


class Grouped:
    """Callers that wait for the same commit. `commit` does a batch in one transaction, or raises."""

    def __init__(self, commit: Callable[[Sequence[Work[Any]]], None]) -> None:
        self._commit = commit
        self._gathered: list[Work[Any]] = []
        self._gathering = threading.Lock()
        self._leading = threading.Lock()

    def submit(self, joint: Joint[P, T], part: P) -> T:
        """Have it done with the next commit, and wait for that."""
        return self.submit_all(joint, [part])[0].result()

    def submit_all(self, joint: Joint[P, T], parts: Sequence[P]) -> list[Work[T]]:
        """Have several parts done, each kept or not on its own; each has its own `result` now."""
        works: list[Work[T]] = [Work(joint, part) for part in parts]
        with self._gathering:
            self._gathered += works
        for work in works:
            with self._leading:
                if not work.done.is_set():
                    self._write(self._take(work))
        return works

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
