"""Lines of log files near a failure: found by their time, whatever the size of the file and the form of its times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.repairs import log_files
from server.repairs.log_files import moment_of, near

AT = datetime(2026, 11, 20, 11, 47, 36, 560_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ('10.0.0.1 - - [20/Nov/2026:11:47:36.560 +0000] "GET / HTTP/1.1" 200 9', AT),
        ('10.0.0.1 - - [20/Nov/2026:12:47:36 +0100] "GET / HTTP/1.1" 200 9', AT.replace(microsecond=0)),
        ("2026-11-20T11:47:36.560Z INFO started", AT),
        ("2026-11-20 11:47:36,560 INFO started", AT),
        ("[99/Nov/2026:11:47:36 +0000] no such day", None),
        ("no time at all", None),
    ],
)
def test_times_are_read_in_the_forms_that_logs_have(line: str, at: datetime | None) -> None:
    assert moment_of(line) == at


def test_only_lines_near_a_moment_are_kept_in_their_order(tmp_path: Path) -> None:
    place = tmp_path / "access.log"
    lines = [f"{(AT + timedelta(seconds=step)).isoformat()} step {step}" for step in range(-5, 6)]
    place.write_text("\n".join(lines) + "\n")
    assert [line.text.rpartition(" ")[2] for line in near(place, [AT])] == ["-2", "-1", "0", "1", "2"]
    assert [line.id for line in near(place, [AT])] == ["L0", "L1", "L2", "L3", "L4"]


def test_of_a_large_file_only_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "READ", 200)
    place = tmp_path / "access.log"
    place.write_text("".join(f"{AT.isoformat()} line {number:03}\n" for number in range(100)))
    found = near(place, [AT])
    assert found[-1].text.endswith("line 099")
    assert len(found) < 10


def test_a_file_that_is_not_there_is_no_failure(tmp_path: Path) -> None:
    assert near(tmp_path / "nothing.log", [AT]) == []
