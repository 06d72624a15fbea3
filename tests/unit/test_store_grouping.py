"""Group commit: who waits at the same time shares a transaction, and each has its own answer or exception."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, insert
from sqlmodel import select

from store.database import Database
from store.errors import NotFound
from store.tables import SwitchRow
from tests.unit.triage_samples import NOW

PATIENCE = 30.0  # seconds that anything here may take


@pytest.fixture
def database(tmp_path: Path, database_url: str) -> Iterator[Database]:
    opened = Database.open(database_url)
    yield opened
    opened.close()


def switched_on(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.exec(select(SwitchRow.name)))


def put(connection: Connection, names: Sequence[str]) -> list[str]:
    for name in names:
        connection.execute(insert(SwitchRow), {"name": name, "at": NOW, "by": "t"})
        if name.startswith("bad"):
            raise NotFound(name)
    return [name.upper() for name in names]


def together(database: Database, names: list[str]) -> tuple[dict[str, Future[str]], int]:
    """Submit all while another transaction holds the lock; gives their futures, and how many commits it took."""
    commits: list[object] = []
    with ThreadPoolExecutor(len(names)) as threads:
        with database._writing:
            event.listen(database._writer, "commit", commits.append)
            first = threads.submit(database.submit, put, names[0])
            waiting = threading.Event()
            while not database._grouped._leading.locked():
                assert waiting.wait(0.001) is False
            rest = {name: threads.submit(database.submit, put, name) for name in names[1:]}
            while len(database._grouped._gathered) < len(rest):
                assert waiting.wait(0.001) is False
        futures = {names[0]: first, **rest}
        for future in futures.values():
            future.exception(PATIENCE)
    return futures, len(commits)


def test_writers_that_wait_at_the_same_time_share_one_commit(database: Database) -> None:
    names = [f"n{number}" for number in range(8)]

    futures, commits = together(database, names)

    assert {name: future.result() for name, future in futures.items()} == {n: n.upper() for n in names}
    assert switched_on(database) == set(names)
    assert commits == 2


def test_what_one_of_them_does_wrong_is_its_own_and_the_others_are_kept(database: Database) -> None:
    futures, commits = together(database, ["n1", "bad1", "n2", "bad2"])

    assert {name for name, future in futures.items() if future.exception() is None} == {"n1", "n2"}
    assert str(futures["bad2"].exception()) == "bad2"
    assert switched_on(database) == {"n1", "n2"}
    assert commits == 2


def test_a_commit_that_fails_is_told_to_everybody_in_it_and_nothing_is_kept(database: Database) -> None:
    def refuse(*_: object) -> None:
        raise OSError("the disk is gone")

    event.listen(database._writer, "commit", refuse)
    with pytest.raises(OSError, match="the disk is gone"):
        database.submit(put, "n1")
    event.remove(database._writer, "commit", refuse)

    assert switched_on(database) == set()
    assert database.submit(put, "n2") == "N2"


def test_more_than_one_transaction_takes_are_written_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.grouping.LARGEST", 3)

    futures, commits = together(database, [f"n{number}" for number in range(9)])

    assert len(switched_on(database)) == len(futures) == 9
    assert 3 <= commits <= 9
