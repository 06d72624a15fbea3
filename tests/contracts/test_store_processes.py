"""Several processes, one SQLite file: everything that was written is there, and nobody was told "locked"."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.writers import measure
from store import queries
from store.database import Database

ROOT = Path(__file__).resolve().parents[2]
WRITES = 200
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from store import journal
from store.artifacts import Artifacts
from store.database import Database
from store.event import Event
from store.incident import Fingerprint

url, folder, me, writes = sys.argv[1:]
database = Database.open(url)
now = datetime.now(UTC)
for number in range(int(writes)):
    name = f"{me}-{number}"
    event = Event(event_id=name, project="default", received_at=now, timestamp=now, user={"id": me})
    fingerprint = Fingerprint(key=f"k{number % 3}", mechanism="v1", parts=())
    journal.record(database, Artifacts(Path(folder)), [(event, fingerprint, "T", "c")])
database.close()
"""


def test_three_processes_write_to_one_file_from_its_very_first_moment(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nightdesk.sqlite'}"

    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, url, str(tmp_path), str(me), str(WRITES)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for me in range(3)
    ]
    complaints = [writer.communicate(timeout=120)[1] for writer in writers]

    assert complaints == ["", "", ""]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    database = Database.open(url)
    found = queries.incidents(database)
    assert sum(incident.event_count for incident in found) == 3 * WRITES
    assert [incident.user_count for incident in found] == [3, 3, 3]
    assert len(queries.keys(database, "default")) == 1
    database.close()


def test_threads_of_several_processes_share_commits_and_lose_nothing(tmp_path: Path) -> None:
    found = measure(tmp_path, 300)

    assert found["writes"] == 300
    assert found["commits"] < 300
