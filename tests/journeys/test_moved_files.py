"""A file that the team has moved since: an event that tells its former name is located by the history."""

from __future__ import annotations

from pathlib import Path

from server.config import load
from server.house import House
from store import journal, queries
from store.event import Event
from store.project import RepositoryConfig
from tests.journeys.histories import History
from tests.unit.triage_samples import NOW, frame, raised

CODE = "def load(user, store):\n    row = store[user]\n    return row['name']\n"


def crash(project: str = "default") -> Event:
    place = frame("/app/services/profile.py", 2, "load", "    row = store[user]")
    return Event(
        event_id="1" * 32, project=project, received_at=NOW, timestamp=NOW, platform="python",
        exceptions=(raised("KeyError", "'ann'", place),),
    )  # fmt: skip


def test_a_crash_under_a_former_name_is_located_through_two_renames(tmp_path: Path) -> None:
    history = History(tmp_path / "shop-src")
    history.commit("Profiles", {"services/profile.py": CODE, "services/other.py": "x = 1\n"})
    history.git("mv", "services/profile.py", "services/person.py")
    history.commit("Persons", {})
    (history.folder / "people").mkdir()
    history.git("mv", "services/person.py", "people/loading.py")
    history.commit("People", {})
    with House.open(load(tmp_path / "data", {})) as house:
        house.mirrors.add("shop", str(history.folder))
        journal.add_repository(
            house.database, RepositoryConfig(name="shop", project="default", url=str(history.folder))
        )
        (recorded,) = house.receive([crash()])
        found = queries.incident(house.database, recorded.incident_id).location
    assert found is not None
    assert (found.path, found.line) == ("people/loading.py", 2)
    assert found.method == "renamed from services/profile.py, line text"
